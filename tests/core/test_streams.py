"""Named random streams: a seed belongs to its names, whatever was drawn before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.core.streams import Stream

NAMES = st.lists(st.integers() | st.text("abc01:", max_size=4), max_size=4)
ORDER = Stream("order")


@pytest.mark.parametrize(
    ("names", "seed"),
    [
        ((), 8203414616412130826),
        (("zoo", 0, "ResNet8", 12), 5784366125161697780),
        (("zoo", "0", "ResNet8", 12), 7677449766674375526),
        (("split", 0), 1065654035106854827),
    ],
)
def test_seeds_never_change(names, seed):
    assert Stream(*names).seed == seed


@given(NAMES, NAMES)
def test_a_seed_is_63_bits_and_belongs_to_one_name(one, other):
    assert 0 <= Stream(*one).seed < 2**63
    assert (Stream(*one).seed == Stream(*other).seed) == (one == other)


def test_a_stream_does_not_depend_on_streams_asked_for_before():
    alone = ORDER.of(3).torch().initial_seed(), _draw(ORDER.of(3).torch())
    others = [ORDER.of(other).torch() for other in (5, 3, 4)]
    for other in others:
        _draw(other)
    assert (ORDER.of(3).torch().initial_seed(), _draw(ORDER.of(3).torch())) == alone
    assert _draw(ORDER.of(3).torch()) != _draw(ORDER.of(4).torch())


def _draw(stream):
    import torch

    return torch.rand(4, generator=stream).tolist()


def test_seeds_take_numpys_names_as_pythons_and_no_others():
    assert Stream(np.str_("zoo"), 7).seed == Stream("zoo", 7).seed
    assert Stream("zoo", np.int64(7)).seed == Stream("zoo", 7).seed != Stream("zoo", "7").seed
    for wrong in (0.5, None, b"zoo", ("zoo",)):
        with pytest.raises(TypeError):
            Stream(wrong)


@given(NAMES, NAMES)
def test_a_stream_below_has_the_names_of_both(one, other):
    below = Stream(*one).of(*other)
    assert below == Stream(*one, *other) and below.names == (*one, *other)


def test_numpys_generator_comes_from_the_same_seed():
    stream = Stream("order", 3)
    wanted = np.random.default_rng(stream.seed).random(4)
    assert np.array_equal(stream.numpy().random(4), wanted)
