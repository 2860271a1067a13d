"""Statistics of hidden neurons set to what is wanted."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lib.nets.alignment import Neurons
from lib.nets.layout import Layout
from lib.nets.repair import RepairError, mixed, moments, repaired

pytestmark = pytest.mark.usefixtures("one_thread")


def test_moments_are_those_of_a_layer_before_its_activation(toy):
    family, flat = toy.zoo["train"]["ResNet8"].family, toy.zoo["train"]["ResNet8"].flat[:2]
    found = moments(family.module, ["conv"], flat, toy.images.x)
    weight, bias = (family.layout.unflatten(flat)[f"conv.{part}"] for part in ("weight", "bias"))
    made = nn.functional.conv2d(toy.images.x, weight[1], bias[1], padding=1)
    mean, spread = found["conv"]
    torch.testing.assert_close(mean[1], made.mean((0, 2, 3)), atol=1e-5, rtol=1e-4)
    wanted = made.transpose(0, 1).flatten(1).std(1, correction=0)
    torch.testing.assert_close(spread[1], wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["ResNet8", "VanillaCNN", "LeNetLike"])
def test_repaired_networks_have_the_moments_wanted_in_every_layer(toy, name):
    family, flat = toy.zoo["train"][name].family, toy.zoo["train"][name].flat
    layers, x = Neurons.of(family.module).layers, toy.images.x
    first, last = (moments(family.module, layers, flat[[k]], x) for k in (0, 1))
    gamma = torch.tensor([0.0, 0.4])
    wanted = mixed(first, last, gamma)
    middle = torch.stack([flat[0], 0.6 * flat[0] + 0.4 * flat[2]])
    made = repaired(family.module, middle, x, wanted)
    found = moments(family.module, layers, made, x)
    for layer in layers:
        for one, other in zip(found[layer], wanted[layer], strict=True):
            torch.testing.assert_close(one, other, atol=2e-3, rtol=2e-3)
    assert torch.allclose(family.run(made[:1], x), family.run(flat[:1], x), atol=1e-2)
    assert not torch.allclose(made[1], middle[1], atol=1e-2)


def test_a_layer_without_a_bias_cannot_be_repaired():
    module = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Linear(4, 2))
    flat, x = Layout.of(module).flatten(module.state_dict())[None].detach(), torch.randn(6, 3)
    found = moments(module, ["0"], flat, x)
    with pytest.raises(RepairError, match="layer 0 has no bias"):
        repaired(module, flat, x, found)
