"""SIRENs: initialisation, training each on samples of its own, running each on its own points."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from lib import nets
from lib.config import FieldTraining
from lib.core.streams import Stream
from lib.engine import ensemble
from lib.engine.family import Family
from lib.engine.training.fields import balanced, rates, train_fields
from lib.nets import ArchitectureError, UnknownArchitecture

WIDTHS, OMEGA = (12, 20), 10.0
CFG = FieldTraining(steps=300, batch_size=64, learning_rate=3e-3, decay=0.5, decay_every=100)

pytestmark = pytest.mark.usefixtures("one_thread")


def build():
    return nets.build_field("SIREN", WIDTHS, OMEGA)


def spheres(radii, count=400, seed=0):
    """Points [n, count, 3] and their distances to spheres around the origin."""
    points = np.random.default_rng(seed).uniform(-1, 1, (len(radii), count, 3))
    distances = np.linalg.norm(points, axis=2) - np.array(radii)[:, None]
    return points.astype(np.float32), distances.astype(np.float32)


def streams(count):
    return [Stream("test", i) for i in range(count)]


def test_the_papers_network_has_the_size_that_it_says():
    siren = nets.build_field("SIREN", (256, 256), 30.0)
    assert sum(parameter.numel() for parameter in siren.parameters()) == 67_073


def test_initialisation_is_that_of_its_authors():
    torch.manual_seed(0)
    siren = nets.build_field("SIREN", (400, 300), 30.0)
    for layer, bound in zip(
        siren.layers, (1 / 3, math.sqrt(6 / 400) / 30, math.sqrt(6 / 300) / 30), strict=True
    ):
        assert layer.weight.abs().max() <= 1.0001 * bound
        assert layer.weight.abs().max() > 0.9 * bound
        assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)


def test_the_forward_pass_is_sines_of_scaled_linear_layers():
    siren, x = build(), torch.rand(5, 3)
    first, second, last = siren.layers
    by_hand = last(torch.sin(10 * second(torch.sin(10 * first(x)))))
    assert torch.equal(siren(x), by_hand)


@pytest.mark.parametrize("widths", [(), (0,), (8, 0)])
def test_hidden_layers_must_be_there(widths):
    with pytest.raises(ArchitectureError, match="at least 1 neuron"):
        nets.build_field("SIREN", widths, OMEGA)


def test_an_unknown_field_names_the_known():
    with pytest.raises(UnknownArchitecture, match="SIREN"):
        nets.build_field("Nothing", WIDTHS, OMEGA)


def test_fields_run_on_their_own_points_as_the_modules_do():
    family = Family.of_field("SIREN", WIDTHS, OMEGA)
    modules = [build() for _ in range(3)]
    flat = torch.stack([family.layout.flatten(module.state_dict()) for module in modules])
    points = torch.rand(3, 70, 3) * 2 - 1
    wanted = torch.stack([module(own) for module, own in zip(modules, points, strict=True)])
    assert torch.allclose(family.run_each(flat, points), wanted, atol=1e-5)
    shared = family.run(flat, points[0])
    assert torch.equal(shared[0], family.run_each(flat, points)[0])


def test_gradients_on_own_points_are_those_of_autograd():
    family = Family.of_field("SIREN", WIDTHS, OMEGA)
    flat = torch.stack([family.layout.flatten(build().state_dict()) for _ in range(2)])
    flat = flat.detach().requires_grad_()
    points, change = torch.rand(2, 70, 3) * 2 - 1, torch.randn(2, 70, 1)
    (found,) = torch.autograd.grad(family.run_each(flat, points), flat, change)
    outputs = ensemble.run(family.module, family.layout.unflatten(flat), points)
    (wanted,) = torch.autograd.grad(outputs, flat, change)
    assert torch.allclose(found, wanted, atol=1e-4 * wanted.abs().max().item())


def test_inputs_of_as_many_networks_are_wanted():
    family = Family.of_field("SIREN", WIDTHS, OMEGA)
    flat = family.layout.flatten(build().state_dict()).expand(3, -1)
    with pytest.raises(ValueError, match="as many for each network"):
        family.run_each(flat, torch.rand(2, 8, 3))


def test_training_is_what_torch_does():
    """One step after the other: the same batches, squared error, Adam with the falling rate."""
    points, distances = spheres([0.5])
    cfg = CFG.model_copy(update={"steps": 20, "decay_every": 5})
    trained = train_fields(build, streams(1), cfg, points, distances)
    torch.manual_seed(trained.columns["seed"][0])
    module = build()
    optimizer = torch.optim.Adam(module.parameters())
    order = balanced(distances[0], 20, cfg.batch_size, Stream("test", 0, "batches", 0).torch())
    for step, batch in enumerate(order):
        optimizer.param_groups[0]["lr"] = 3e-3 * 0.5 ** (step // 5)
        optimizer.zero_grad()
        outputs = module(torch.from_numpy(points[0, batch]))[:, 0]
        loss = nn.functional.mse_loss(outputs, torch.from_numpy(distances[0, batch]))
        loss.backward()
        optimizer.step()
    for name, value in module.state_dict().items():
        assert torch.allclose(trained.stack[name][0], value, atol=2e-4), name
    assert trained.columns["train_mse"][0] == pytest.approx(loss.item(), rel=1e-2)


def test_fields_learn_their_own_shapes():
    points, distances = spheres([0.3, 0.6])
    trained = train_fields(build, streams(2), CFG, points, distances)
    family = Family.of_field("SIREN", WIDTHS, OMEGA)
    flat = family.layout.flatten(trained.stack)
    centre = family.run(flat, torch.zeros(1, 3))[:, 0, 0]
    edge = family.run(flat, torch.tensor([[0.45, 0.0, 0.0]]))[:, 0, 0]
    assert (centre < 0).all()
    assert edge[0] > 0 > edge[1]
    assert max(trained.columns["train_mse"]) < 0.01


def test_bits_do_not_depend_on_which_fields_train_together():
    points, distances = spheres([0.3, 0.4, 0.5])
    together = train_fields(build, streams(3), CFG, points, distances)
    alone = train_fields(build, streams(3)[2:], CFG, points[2:], distances[2:])
    for name, values in alone.stack.items():
        assert torch.equal(values[0], together.stack[name][2])
    assert alone.columns["seed"][0] == together.columns["seed"][2]


def test_a_shared_initialisation_is_the_same_for_all():
    points, distances = spheres([0.3, 0.5])
    cfg = CFG.model_copy(update={"steps": 1, "learning_rate": 1e-12})
    own = train_fields(build, streams(2), cfg, points, distances)
    shared = train_fields(build, streams(2), cfg, points, distances, shared=Stream("test", "all"))
    first, second = own.stack["layers.0.weight"]
    assert not torch.allclose(first, second)
    first, second = shared.stack["layers.0.weight"]
    assert torch.allclose(first, second)


def test_half_of_every_batch_is_inside():
    distances = np.float32([-1, 1, 1, 1, 1, 1, -2, 1])
    order = balanced(distances, 50, 7, Stream("test").torch())
    assert order.shape == (50, 7)
    assert ((distances[order] < 0).sum(1) == 3).all()
    assert set(order.ravel()) == set(range(8))
    assert balanced(np.ones(4, np.float32), 3, 4, Stream("test").torch()).shape == (3, 4)


def test_rates_fall_in_steps():
    found = rates(CFG, np.array([0, 99, 100, 299]), (0.9, 0.999))
    assert found[:, 0] == pytest.approx([3e-3, 3e-3, 1.5e-3, 0.75e-3])
    assert found[0, 1:] == pytest.approx([3e-3 / 0.1, 0.001**-0.5], rel=1e-4)


def test_a_field_that_diverges_is_kept_and_marked():
    points, distances = spheres([0.3, 0.5])
    distances[1] = np.nan
    trained = train_fields(build, streams(2), CFG, points, distances)
    assert trained.columns["status"] == ["ok", "diverged"]
