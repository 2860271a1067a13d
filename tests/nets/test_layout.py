"""Networks as vectors and pictures: nothing is lost, and the order is that of the fused module."""

from __future__ import annotations

import copy
import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lib import nets
from lib.core.errors import InputError
from lib.nets.fuse import fused_skeleton
from lib.nets.layout import Entry, Layout, LayoutError, from_prep, to_prep

NAMES = ("LeNetLike", "VanillaCNN", "ResNet8", "ResNet14")

lengths = st.integers(1, 4)
leads = st.lists(st.integers(0, 3), max_size=3).map(tuple)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@st.composite
def layouts(draw) -> Layout:
    entries, offset = [], 0
    for i, shape in enumerate(
        draw(st.lists(st.lists(lengths, max_size=4), min_size=1, max_size=5))
    ):
        entries.append(Entry(f"layer{i}.weight", tuple(shape), "conv", offset))
        offset += math.prod(shape)
    return Layout(tuple(entries))


def skeleton(name: str) -> nn.Module:
    return fused_skeleton(nets.build(name, 3, 32, 10))


@settings(max_examples=60, deadline=None)
@given(layouts(), leads)
def test_vectors_survive_the_way_to_states_and_back(layout, lead):
    flat = torch.arange(math.prod(lead) * layout.size).float().reshape(*lead, layout.size)
    state = layout.unflatten(flat)
    assert [(name, tuple(value.shape)) for name, value in state.items()] == [
        (entry.name, (*lead, *entry.shape)) for entry in layout.entries
    ]
    assert torch.equal(layout.flatten(state), flat)
    assert torch.equal(layout.flatten(dict(reversed(state.items()))), flat)


@settings(max_examples=60, deadline=None)
@given(layouts(), leads, st.integers(1, 40), st.integers(0, 40))
def test_preps_are_filled_row_by_row_and_hold_everything(layout, lead, height, spare):
    width = -(-layout.size // height) + spare
    flat = torch.arange(1.0, math.prod(lead) * layout.size + 1).reshape(*lead, layout.size)
    prep = to_prep(flat, height, width)
    assert prep.shape == (*lead, height, width)
    assert torch.equal(from_prep(prep, layout.size), flat)
    assert prep.count_nonzero() == flat.numel()
    for place in range(layout.size):
        assert torch.equal(prep[..., place // width, place % width], flat[..., place])


@settings(max_examples=30, deadline=None)
@given(layouts())
def test_layouts_survive_json(layout):
    assert Layout.from_json(json.loads(json.dumps(layout.to_json()))) == layout


@pytest.mark.parametrize("name", NAMES)
def test_the_order_is_that_of_the_fused_module(name):
    module = skeleton(name)
    layout, named = Layout.of(module), dict(module.named_parameters())
    assert [entry.name for entry in layout.entries] == list(named)
    flat = layout.flatten(module.state_dict())
    assert torch.equal(flat, nn.utils.parameters_to_vector(module.parameters()))
    assert layout.size == len(flat) == sum(value.numel() for value in named.values())
    for weight, bias in zip(layout.entries[::2], layout.entries[1::2], strict=True):
        layer = weight.name.removesuffix(".weight")
        assert bias.name == f"{layer}.bias" and bias.offset == weight.offset + weight.size
        kind = {nn.Conv2d: "conv", nn.Linear: "linear"}[type(module.get_submodule(layer))]
        assert (weight.kind, bias.kind) == (kind, kind)


def test_a_vector_runs_as_the_network_it_came_from():
    module = skeleton("ResNet8").eval()
    layout, other = Layout.of(module), copy.deepcopy(module)
    flat = layout.flatten(module.state_dict())
    for parameter in other.parameters():
        nn.init.zeros_(parameter)
    other.load_state_dict(layout.unflatten(from_prep(to_prep(flat, 88, 10_000), layout.size)))
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(module(x), other(x))


def test_parameters_outside_known_layers_have_the_kind_of_their_layer():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))
            self.norm = nn.LayerNorm(2)

    layout = Layout.of(Scaled())
    assert [(entry.kind, entry.size) for entry in layout.entries] == [
        ("scaled", 1),
        ("layernorm", 2),
        ("layernorm", 2),
    ]


LINEAR = Layout.of(nn.Linear(3, 2))


@pytest.mark.parametrize(
    ("state", "words"),
    (
        ({"weight": torch.zeros(2, 3)}, "missing ['bias']"),
        (
            {"weight": torch.zeros(2, 3), "bias": torch.zeros(2), "mean": torch.zeros(2)},
            "unknown ['mean']",
        ),
        ({"weight": torch.zeros(3, 2), "bias": torch.zeros(2)}, "weight has shape (3, 2)"),
        (
            {"weight": torch.zeros(6), "bias": torch.zeros(2)},
            "weight has shape (6,), expected (2, 3)",
        ),
        ({"weight": torch.zeros(4, 2, 3), "bias": torch.zeros(5, 2)}, "bias has shape (5, 2)"),
        ({"weight": torch.zeros(4, 2, 3), "bias": torch.zeros(2)}, "bias has shape (2,)"),
    ),
)
def test_states_that_do_not_fit_are_named(state, words):
    with pytest.raises(LayoutError) as caught:
        LINEAR.flatten(state)
    assert words in str(caught.value) and isinstance(caught.value, InputError)


@pytest.mark.parametrize("size", (0, 7, 9))
def test_vectors_of_another_length_are_refused(size):
    with pytest.raises(LayoutError, match=f"{size} values, the layout has 8"):
        LINEAR.unflatten(torch.zeros(2, size))


def test_preps_too_small_for_their_network_are_refused():
    with pytest.raises(LayoutError, match="11 parameters do not fit a 2x5 PRep"):
        to_prep(torch.zeros(11), 2, 5)


def test_more_values_than_a_prep_holds_are_refused():
    with pytest.raises(LayoutError, match="2x5 PRep holds 10 values, not 11"):
        from_prep(torch.zeros(2, 5), 11)
