"""The arm that sees fields at points."""

import pytest
import torch

from lib.core.streams import Stream
from lib.embed.arm import EmbedderError
from lib.embed.product import make_arm
from toy_shapes import CFG, FIELD, zoo

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def known():
    return zoo(12, 0)


def test_a_warped_field_is_seen_as_the_field_of_the_warped_shape(known):
    """Stretching a box by hand and through a warp shows the encoder the same."""
    arm = make_arm(CFG.embedder, ["SIREN"], (3,), 1, FIELD)
    flat, alike = known.flat, torch.zeros(len(known.flat))
    arm.prepare(
        {"SIREN": flat}, {"SIREN": alike}, known.near.flatten(0, 1), Stream("prepare").torch()
    )
    stretched = arm.family.layout.unflatten(flat.clone())
    stretched["layers.0.weight"] /= 1.25  # f(x / 1.25): everything 1.25 times as large
    by_hand = arm.observe("SIREN", arm.family.layout.flatten(stretched))
    probes = arm.probes.expand(len(flat), -1, -1)
    assert torch.allclose(arm.observe_at(flat, probes / 1.25), by_hand, atol=1e-4)


def test_fields_only_take_probing_of_their_own_kind(known):
    with pytest.raises(EmbedderError, match="reach"):
        make_arm(CFG.embedder.changed({"options": {"reach": 0}}), ["SIREN"], (3,), 1, FIELD)
