"""The images of a step."""

from __future__ import annotations

import pytest
import torch

from lib.embed.batches import noisy_images
from toy import CFG

pytestmark = pytest.mark.usefixtures("one_thread")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_half_of_a_batch_of_images_is_noisy(toy):
    x, chosen = noisy_images(toy.images, CFG, rng())
    again, _ = noisy_images(toy.images, CFG, rng())
    assert x.equal(again)
    same = (x == toy.images.x[chosen]).flatten(1).all(1)
    assert same.tolist() == [True] * 8 + [False] * 8
    clean = CFG.model_copy(update={"image_noise": 0.0})
    x, chosen = noisy_images(toy.images, clean, rng())
    assert x.equal(toy.images.x[chosen])
