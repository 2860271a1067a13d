"""Networks that no latent space made, to compare decoded ones with."""

from __future__ import annotations

import pytest
import torch

from answers import said
from lib.core.streams import Stream
from lib.embed import losses
from lib.embed.arm import EmbedderError
from lib.embed.fresh import fresh_networks
from lib.engine import ensemble
from lib.engine.family import Family
from lib.experiments import controls
from lib.nets.layout import Layout
from lib.zoo.population import Population

pytestmark = pytest.mark.usefixtures("one_thread")


def pick(found: Population, index: list[int]) -> Population:
    """Some networks of a population."""
    frame = found.frame.iloc[index].reset_index(drop=True)
    return Population(found.family, frame, found.flat[index])


def test_a_network_that_was_trained_on_finds_itself(toy):
    for train in toy.zoo["train"].values():
        order = [2, 0, 1]
        assert controls.nearest_weights(train, train.flat[order]).equal(train.flat[order])
        known = train.outputs(toy.images)
        found = controls.nearest_agreement(train, known, known[order])
        assert found.equal(train.flat[order])


def test_the_nearest_weights_of_a_worked_example(toy):
    train = pick(toy.zoo["train"]["LeNetLike"], [0, 1, 2])
    flat = torch.zeros(3, train.family.layout.size)
    flat[:, 0] = torch.tensor([0.0, 10.0, 20.0])
    train = Population(train.family, train.frame, flat)
    asked = torch.zeros(3, flat.shape[1])
    asked[:, 0] = torch.tensor([14.0, -3.0, 16.0])
    assert controls.nearest_weights(train, asked)[:, 0].tolist() == [10, 0, 20]


def test_the_nearest_in_agreement_of_a_worked_example(toy):
    train = toy.zoo["train"]["LeNetLike"]
    known = said("aaaa", "aabb", "aabb")
    known[2] *= 5  # as `aabb`, but surer
    found = controls.nearest_agreement(train, known, torch.cat([said("aaab"), 4 * said("aabb")]))
    # `aaab` agrees on three images with all of them: the outputs decide. So they do for the second.
    wanted = [losses.distillation(known, said("aaab"), 4.0).argmin().item(), 2]
    assert found.equal(train.flat[wanted])
    closer = controls.nearest_agreement(train, known, said("aabb"))
    assert closer.equal(train.flat[[1]])


def test_a_last_layer_fitted_to_the_network_it_belongs_to_gives_its_answers_back(toy):
    train = toy.zoo["train"]["ResNet8"]
    outputs = train.outputs(toy.images)
    found = train.family.predict(controls.readout(train, toy.images, outputs), toy.images.x)
    agreement = ensemble.agreement(found, outputs)
    assert agreement[train.scores.argmax()] > 0.99 and agreement.mean() > 0.8


def test_a_network_that_does_not_end_in_a_linear_layer_has_no_readout(toy):
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 4), torch.nn.Tanh())
    family = Family("Odd", module, Layout.of(module))
    flat = torch.zeros(2, family.layout.size)
    train = Population(family, toy.zoo["train"]["ResNet8"].frame[:2], flat)
    with pytest.raises(EmbedderError, match="Odd ends in Tanh"):
        controls.readout(train, toy.images, train.outputs(toy.images))


def test_principal_components_hold_what_they_span(toy):
    known = toy.zoo["train"]["ResNet8"].flat
    assert torch.allclose(controls.pca(known, known, 16), known, atol=1e-4)
    mean = known.mean(0)
    off = mean + torch.randn(1, known.shape[1], generator=torch.Generator().manual_seed(0))
    projected = controls.pca(known, off, 16)
    assert (projected - mean).norm() < 0.5 * (off - mean).norm()


def test_noise_around_training_networks_has_the_level_asked_for(toy):
    train = toy.zoo["train"]["ResNet8"]
    found = controls.noisy(train, 40, 0.1, Stream("noise", 1))
    assert found.equal(controls.noisy(train, 40, 0.1, Stream("noise", 1)))
    assert not found.equal(controls.noisy(train, 40, 0.1, Stream("noise", 2)))
    change = found[:, None] - train.flat[None]
    near = change.abs().sum(-1).argmin(1)
    assert set(near.tolist()) == {0, 1, 2}
    change = change[torch.arange(40), near]
    for entry in train.family.layout.entries:
        place = slice(entry.offset, entry.offset + entry.size)
        wanted = 0.1 * train.flat[:, place].std()
        assert change[:, place].std().item() == pytest.approx(wanted.item(), rel=0.2)
    one = controls.noisy(pick(train, [0]), 3, 0.1, Stream("noise", 1))
    assert one.isfinite().all() and not one[0].equal(one[1])


def test_distillation_from_scratch_learns(toy):
    family, y = toy.zoo["train"]["LeNetLike"].family, toy.images.y
    seen = []

    def loss(run, rng):
        chosen = torch.randint(len(y), (32,), generator=rng)
        return losses.labels(run(toy.images.x[chosen]), y[chosen])

    def distill(count=2, stream=Stream("a", 1)):  # noqa: B008 (frozen)
        return controls.distill(
            family,
            fresh_networks("LeNetLike", toy.images, count, stream),
            loss,
            stream=stream,
            steps=60,
            rate=0.01,
            every=25,
            watch=lambda step, flat: seen.append((step, flat.clone())),
        )

    made = distill()
    assert [step for step, _ in seen] == [0, 25, 50, 60] and seen[-1][1].equal(made)
    before, after = (
        ensemble.accuracy(family.predict(flat, toy.images.x), y).mean()
        for flat in (seen[0][1], made)
    )
    assert after > 0.8 > before and made.shape == (2, family.layout.size)
    assert not made.requires_grad and not made[0].equal(made[1])
    assert distill().equal(made) and not distill(stream=Stream("a", 2)).equal(made)
