"""On other hardware sums are rounded otherwise: networks are others, what they tell is the same."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from lib.config import Training
from lib.core.streams import Stream
from lib.engine.training import Engine
from lib.engine.training.shard import train_shard
from lib.experiments.statistics import mean_interval
from toy import CFG, NAMES, images

pytestmark = pytest.mark.usefixtures("one_thread")
TRAINING = Training(epochs=12, batch_size=16, learning_rate=0.2)


@contextmanager
def rounded(share: float):
    """Every step of an optimiser changes each parameter by a random share of it, like this one."""
    random = torch.Generator().manual_seed(0)

    def change(optimizer, *_):
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                noise = torch.randn(parameter.shape, generator=random)
                parameter.data.mul_(1 + share * noise)

    handle = register_optimizer_step_post_hook(change)
    try:
        yield
    finally:
        handle.remove()


def trained(kernels: str, cfg: Training = TRAINING):
    """The weights [n, P] and validation accuracies [n] of networks of one seed."""
    found = train_shard(
        "LeNetLike",
        range(32),
        cfg,
        Stream("zoo", 0, "LeNetLike"),
        images(96, 1),
        images(400, 2),
        engine=Engine(kernels),
    )
    flat = torch.cat([weights.flatten(1) for weights in found.stack.values()], 1)
    return flat, torch.tensor(found.columns["validation_accuracy"])


def decoded(toy, arm):
    """The weights and test accuracies of networks that training did not see, decoded."""
    flats, accuracies, test = [], [], images(400, 3)
    for name in NAMES:
        targets = torch.cat([toy.zoo[split][name].flat for split in ("validation", "test")])
        with torch.no_grad():
            flats.append(arm.decode(name, arm.encode(name, targets)))
        found = arm.families[name].predict(flats[-1], test.x).argmax(-1)
        accuracies.append((found == test.y).float().mean(1))
    return flats, torch.cat(accuracies)


def told_apart(accuracies, others) -> bool:
    """Whether the mean of others lies outside the interval of the mean."""
    _, low, high = mean_interval(accuracies)
    return not low <= float(others.mean()) <= high


def test_a_zoo_of_other_kernels_has_other_networks_and_the_same_accuracy():
    flat, accuracies = trained("compiled")
    other_flat, others = trained("vmap")
    assert (flat != other_flat).any(1).all()
    assert (accuracies != others).any()
    assert not told_apart(accuracies, others)
    less = TRAINING.model_copy(update={"epochs": 4})
    assert told_apart(accuracies, trained("compiled", less)[1])


def test_an_embedder_of_other_arithmetic_decodes_other_networks_of_the_same_accuracy(toy):
    flats, accuracies = decoded(toy, toy.embedder.arm)
    with rounded(1e-3):  # thousands of times what hardware does
        other_flats, others = decoded(toy, toy.fit(CFG)[0])
    assert all((one != other).any(1).all() for one, other in zip(flats, other_flats, strict=True))
    assert (accuracies != others).any()
    assert not told_apart(accuracies, others)
    less = CFG.model_copy(update={"steps": 6, "select_every": 6})
    assert told_apart(accuracies, decoded(toy, toy.fit(less)[0])[1])
