"""What an instance is trained with: drawn hyperparameters, schedules, random draws, pictures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.config import Training, bounds
from lib.core.streams import Stream
from lib.engine.training.augment import pick
from lib.engine.training.recipe import Recipe, learning_rate, plan_epoch, selects


def recipes(raw: dict, count: int = 400) -> list[Recipe]:
    cfg = Training.model_validate(raw)
    return [Recipe.of(cfg, Stream("zoo", 0, "X", i)) for i in range(count)]


def recipe(**values) -> Recipe:
    return Recipe.of(Training.model_validate(values), Stream("zoo", 0, "X", 0))


def test_a_number_is_everybodys():
    assert set(recipes({"learning_rate": 0.3, "epochs": 7}, 5)) == {
        recipe(learning_rate=0.3, epochs=7)
    }


def test_choices_are_drawn_evenly_and_integers_stay_integers():
    found = [one.epochs for one in recipes({"epochs": {"choices": [3, 5, 40]}})]
    assert {type(number) for number in found} == {int}
    assert all(100 < found.count(number) < 170 for number in (3, 5, 40))


def test_a_list_is_gone_through_in_turn_by_the_number_of_the_network():
    found = recipes({"epochs": {"in_turn": [3, 5, 40]}}, 7)
    assert [one.epochs for one in found] == [3, 5, 40, 3, 5, 40, 3]


@pytest.mark.parametrize("way", ("uniform", "log_uniform"))
def test_integers_between_bounds_are_drawn_with_both_bounds(way):
    found = [one.epochs for one in recipes({"epochs": {way: [2, 5]}})]
    assert {type(number) for number in found} == {int} and set(found) == {2, 3, 4, 5}


def test_a_log_uniform_rate_is_even_on_a_logarithmic_scale():
    found = [one.learning_rate for one in recipes({"learning_rate": {"log_uniform": [1e-4, 1]}})]
    decades = np.histogram(np.log10(found), 4, (-4, 0))[0]
    assert decades.sum() == 400 and decades.min() > 70


def test_each_setting_and_each_instance_has_a_stream_of_its_own():
    both = {"uniform": [0.0, 0.5]}
    found = recipes({"momentum": both, "label_smoothing": both}, 50)
    numbers = [one.momentum for one in found] + [one.label_smoothing for one in found]
    assert len(set(numbers)) == 100
    assert [one.momentum for one in found] == [
        one.momentum for one in recipes({"momentum": both}, 50)
    ], "drawing another setting changes nothing"


@settings(max_examples=60, deadline=None)
@given(
    low=st.floats(1e-300, 1e300),
    high=st.floats(1e-300, 1e300),
    way=st.sampled_from(("uniform", "log_uniform")),
    instance=st.integers(0, 10**6),
)
def test_what_is_drawn_lies_within_the_bounds(low, high, way, instance):
    if not low < high:
        return
    cfg = Training.model_validate({"learning_rate": {way: [low, high]}})
    rate = Recipe.of(cfg, Stream("zoo", 0, "X", instance)).learning_rate
    assert low <= rate <= high and bounds(cfg.learning_rate) == (low, high)


def test_known_learning_rates():
    cosine = Training.model_validate({"epochs": {"choices": [4]}, "learning_rate": 2.0})
    one = Recipe.of(cosine, Stream("x"))
    assert [learning_rate(cosine, one, epoch) for epoch in range(4)] == pytest.approx(
        [2, 1 + math.sqrt(0.5), 1, 1 - math.sqrt(0.5)]
    )
    step = Training(epochs=300, learning_rate=0.05, schedule="step", milestones=(149, 179, 209))
    one = Recipe.of(step, Stream("x"))
    rates = [learning_rate(step, one, at) for at in (0, 149, 150, 179, 180, 209, 210, 299)]
    assert rates == pytest.approx([5e-2, 5e-2, 5e-3, 5e-3, 5e-4, 5e-4, 5e-5, 5e-5])
    constant = Training(epochs=3, learning_rate=0.5, schedule="constant")
    one = Recipe.of(constant, Stream("x"))
    assert [learning_rate(constant, one, epoch) for epoch in range(3)] == [0.5] * 3


def test_which_epochs_may_be_selected():
    cfg = Training(epochs=9, select_from=1, select_every=3)
    one = Recipe.of(cfg, Stream("x"))
    assert [epoch for epoch in range(9) if selects(cfg, one, epoch)] == [1, 4, 7, 8]
    final = cfg.model_copy(update={"checkpoint": "final"})
    assert [epoch for epoch in range(9) if selects(final, one, epoch)] == [8]


def test_a_plan_holds_what_the_streams_of_each_instance_say():
    raw = {"augmentation": {"crop_padding": 2, "flip": True}, "epochs": 4}
    cfg = Training.model_validate(raw)
    streams = [Stream("zoo", 3, "X", i) for i in range(4)]
    known = {i: Recipe.of(cfg, streams[i]) for i in (1, 3)}
    plan = plan_epoch(cfg, known, streams, 2, 50)
    assert plan.who == [1, 3] and plan.rate.tolist() == [learning_rate(cfg, known[1], 2)] * 2
    for row, i in enumerate((1, 3)):
        order = torch.randperm(50, generator=streams[i].of("order", 2).torch())
        shifts = torch.randint(5, (50, 2), generator=streams[i].of("crop", 2).torch())
        flips = torch.rand(50, generator=streams[i].of("flip", 2).torch()) < 0.5
        assert np.array_equal(plan.order[row], order)
        assert np.array_equal(plan.shifts[row], shifts)
        assert np.array_equal(plan.flips[row], flips)
    plain = plan_epoch(Training(), known, streams, 2, 50)
    assert plain.shifts is None and plain.flips is None
    assert np.array_equal(plain.order, plan.order)


# --- pictures -----------------------------------------------------------------------------------


def test_no_augmentation_picks_the_images():
    x = torch.randn(5, 3, 4, 4)
    chosen = torch.tensor([[4, 0], [1, 1]])
    assert torch.equal(pick(x, chosen), x[chosen])


def test_a_known_crop_and_flip():
    x = torch.tensor([[1.0, 2], [3, 4]]).expand(1, 1, 2, 2)
    found = pick(
        x,
        torch.zeros(1, 2, dtype=torch.int64),
        torch.tensor([[[0, 1], [2, 0]]]),
        torch.tensor([[False, True]]),
        padding=1,
    )
    assert found[0, :, 0].tolist() == [[[0, 0], [1, 2]], [[3, 0], [0, 0]]]


@settings(max_examples=40, deadline=None)
@given(
    padding=st.integers(0, 3),
    channels=st.integers(1, 3),
    flip=st.booleans(),
    seed=st.integers(0, 100),
)
def test_crops_are_windows_of_the_framed_image_then_flipped(padding, channels, flip, seed):
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(6, channels, 4, 5, generator=rng)
    black = tuple(torch.randn(channels, generator=rng).tolist())
    chosen = torch.randint(6, (2, 3), generator=rng)
    shifts = torch.randint(2 * padding + 1, (2, 3, 2), generator=rng)
    flips = torch.rand(2, 3, generator=rng) < 0.5 if flip else None
    found = pick(x, chosen, shifts, flips, padding, black)
    assert found.shape == (2, 3, channels, 4, 5) and found.is_contiguous()
    for k in range(2):
        for b in range(3):
            framed = torch.stack(
                [
                    F.pad(image, (padding,) * 4, value=value)
                    for image, value in zip(x[chosen[k, b]], black, strict=True)
                ]
            )
            top, left = shifts[k, b].tolist()
            expected = framed[:, top : top + 4, left : left + 5]
            if flip and flips[k, b]:
                expected = expected.flip(-1)
            assert torch.equal(found[k, b], expected)
