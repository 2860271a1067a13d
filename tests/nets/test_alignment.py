"""Neurons in another order are put back; where their order is not known, nothing is done."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from lib import nets
from lib.nets.alignment import Neurons
from lib.nets.fuse import fused_skeleton
from lib.nets.layout import Layout

pytestmark = pytest.mark.usefixtures("one_thread")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def shuffled(module: nn.Module, order_of) -> nn.Module:
    """A LeNetLike or VanillaCNN with its neurons in another order, by hand."""
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        for layer, following in itertools.pairwise(layers):
            order = order_of(layer.weight.shape[0])
            layer.weight.copy_(layer.weight[order])
            layer.bias.copy_(layer.bias[order])
            weight = following.weight
            parts = weight.reshape(len(weight), len(order), -1)[:, order]
            weight.copy_(parts.reshape(weight.shape))
    return module


def flat_of(module: nn.Module) -> torch.Tensor:
    return Layout.of(module).flatten(module.state_dict())


@pytest.mark.parametrize("name", ["LeNetLike", "VanillaCNN"])
def test_neurons_in_another_order_are_put_back(name):
    torch.manual_seed(3)
    module = nets.build(name, 1, 8, 4)
    before, x = flat_of(module), torch.randn(5, 1, 8, 8, generator=rng())
    outputs, orders = module(x), rng(5)
    other = shuffled(module, lambda count: torch.randperm(count, generator=orders))
    after = flat_of(other)
    assert not torch.equal(after, before) and torch.allclose(other(x), outputs, atol=1e-5)
    neurons = Neurons.of(module)
    near = after + 0.01 * before.std() * torch.randn(before.shape, generator=rng(6))
    back = neurons.align(torch.stack([after, near, before]), before)
    assert torch.equal(back[0], before) and torch.equal(back[2], before)
    assert (back[1] - before).norm() < 0.1 * (near - before).norm()


def test_alignment_changes_no_output_and_never_the_network_given():
    torch.manual_seed(4)
    module = nets.build("VanillaCNN", 1, 8, 4)
    own, to = flat_of(module), flat_of(nets.build("VanillaCNN", 1, 8, 4))
    kept, layout = own.clone(), Layout.of(module)
    aligned = Neurons.of(module).align(own[None], to)[0]
    assert torch.equal(own, kept) and (aligned - to).norm() < (own - to).norm()
    x = torch.randn(5, 1, 8, 8, generator=rng())
    wanted = module(x)
    module.load_state_dict(layout.unflatten(aligned))
    assert not torch.equal(aligned, own) and torch.allclose(module(x), wanted, atol=1e-5)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)

    def forward(self, x):
        return self.a(self.a(x))


class Split(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        y = self.a(x)
        return self.b(y) + y


def test_neurons_around_a_shortcut_share_their_order():
    neurons = Neurons.of(fused_skeleton(nets.build("ResNet8", 1, 8, 4)))
    layers = [group.layers for group in neurons.groups]
    assert layers == [
        ("conv", "blocks.0.conv2"),
        ("blocks.0.conv1",),
        ("blocks.1.conv1",),
        ("blocks.1.conv2", "blocks.1.shortcut.0"),
        ("blocks.2.conv1",),
        ("blocks.2.conv2", "blocks.2.shortcut.0"),
    ]
    assert [group.size for group in neurons.groups] == [8, 8, 16, 16, 32, 32]
    assert not neurons.chain and Neurons.of(nets.build("VanillaCNN", 1, 8, 4)).chain


@pytest.mark.parametrize("name", ["ResNet8", "ResNet14"])
def test_a_residual_network_in_another_order_is_put_back(name):
    torch.manual_seed(3)
    module = fused_skeleton(nets.build(name, 1, 8, 4)).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape) / parameter[0].numel() ** 0.5)
    before, layout = flat_of(module), Layout.of(module)
    x = torch.randn(5, 1, 8, 8, generator=rng())
    outputs, other = module(x), before.clone()
    for group in Neurons.of(module).groups:
        order = torch.randperm(group.size, generator=rng(group.size))
        for view in group.views(other.numpy()):
            view[:] = view[order.numpy()]
    module.load_state_dict(layout.unflatten(other))
    assert not torch.equal(other, before) and torch.allclose(module(x), outputs, atol=1e-4)
    back = Neurons.of(module).align(other[None], before)[0]
    assert torch.equal(back, before)


def test_neurons_that_reach_an_output_unmixed_keep_their_order():
    neurons = Neurons.of(Split())
    assert neurons.groups == ()  # what `a` makes is added to what comes out


class Asks(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)

    def forward(self, x):
        return self.a(x) if x.sum() > 0 else x


@pytest.mark.parametrize(
    "module",
    [
        Twice(),
        Asks(),
        nn.Sequential(nn.Linear(4, 4), nn.Softmax(1), nn.Linear(4, 4)),
        nn.Sequential(nn.Conv2d(4, 4, 1, groups=4), nn.Conv2d(4, 4, 1, groups=4)),
    ],
    ids=["weights used twice", "no graph", "softmax", "groups"],
)
def test_neurons_of_which_the_order_is_not_known_are_not_aligned(module):
    assert Neurons.of(module) is None
