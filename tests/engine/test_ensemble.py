"""Stacks of networks: what a stack computes is what each of its networks computes alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lib import nets
from lib.engine import ensemble

NAMES = ("LeNetLike", "VanillaCNN", "ResNet8", "ResNet14")
SEEDS = (5, 2**63 - 1, 0)


@pytest.fixture(autouse=True)
def _one_thread_one_seed():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
    torch.set_num_threads(threads)


def build(name: str) -> nn.Module:
    return nets.build(name, 1, 8, 10).double()


def alone(name: str, stack: ensemble.Stack, i: int) -> nn.Module:
    module = build(name)
    module.load_state_dict({key: values[i] for key, values in stack.items()})
    return module


def test_instances_start_as_a_module_built_under_their_seed():
    stack = ensemble.init_stack(lambda: build("ResNet8"), SEEDS)
    assert ensemble.size(stack) == len(SEEDS)
    for i, seed in enumerate(SEEDS):
        torch.manual_seed(seed)
        state = build("ResNet8").state_dict()
        assert stack.keys() == state.keys()
        assert all(torch.equal(stack[name][i], state[name]) for name in state)


def test_initialising_leaves_the_global_stream_where_it_was():
    before = torch.random.get_rng_state()
    ensemble.init_stack(lambda: build("LeNetLike"), SEEDS)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_selecting_by_number_slice_and_tensor():
    stack = ensemble.init_stack(lambda: build("LeNetLike"), SEEDS)
    for index, expected in ((2, 2), (slice(1, 3), [1, 2]), (torch.tensor([2, 0]), [2, 0])):
        picked = ensemble.select(stack, index)
        assert all(torch.equal(picked[name], stack[name][expected]) for name in stack)
    again = ensemble.stack_states(ensemble.select(stack, i) for i in range(3))
    assert all(torch.equal(again[name], stack[name]) for name in stack)


@pytest.mark.parametrize("shared", (False, True))
@pytest.mark.parametrize("name", NAMES)
def test_a_stack_in_train_mode_is_each_network_alone(name, shared):
    stack = ensemble.init_stack(lambda: build(name), SEEDS)
    x = torch.randn(*([] if shared else [3]), 6, 1, 8, 8, dtype=torch.float64)
    modules = [alone(name, stack, i) for i in range(3)]
    outputs = ensemble.run(build(name), stack, x, shared=shared)
    for i, module in enumerate(modules):
        expected = module(x if shared else x[i])
        torch.testing.assert_close(outputs[i], expected)
        for key, value in module.state_dict().items():  # batch norm's running statistics moved
            torch.testing.assert_close(stack[key][i], value)


@pytest.mark.parametrize("name", NAMES)
def test_predictions_are_those_of_each_network_in_eval_mode(name):
    stack = ensemble.init_stack(lambda: build(name), SEEDS)
    for key, values in stack.items():
        if key.endswith("running_var"):
            values.uniform_(0.3, 2)
    before = {key: values.clone() for key, values in stack.items()}
    module, x = build(name), torch.randn(ensemble.EVALUATION_BATCH + 3, 1, 8, 8).double()
    outputs = ensemble.predict(module, stack, x)
    assert module.training and not outputs.requires_grad
    assert all(torch.equal(stack[key], before[key]) for key in stack)
    for i in range(3):
        torch.testing.assert_close(outputs[i], alone(name, stack, i).eval()(x))


@pytest.mark.parametrize("name", NAMES)
def test_a_stack_is_differentiable(name):
    stack = ensemble.init_stack(lambda: build(name), SEEDS)
    leaves = {key: stack[key].requires_grad_() for key, _ in build(name).named_parameters()}
    x, y = torch.randn(3, 6, 1, 8, 8, dtype=torch.float64), torch.randint(10, (3, 6))
    expected = []
    for i in range(3):
        module = alone(name, {k: v.detach() for k, v in stack.items()}, i)
        loss = F.cross_entropy(module(x[i]), y[i])
        expected.append(torch.autograd.grad(loss, list(module.parameters())))
    losses = [
        F.cross_entropy(out, t)
        for out, t in zip(ensemble.run(build(name), stack, x), y, strict=True)
    ]
    found = torch.autograd.grad(sum(losses), list(leaves.values()))
    for gradient, parts in zip(found, zip(*expected, strict=True), strict=True):
        torch.testing.assert_close(gradient, torch.stack(parts))


def test_known_accuracies_and_agreements():
    labels = torch.tensor([0, 1, 2, 2])
    right, half = torch.eye(3)[labels], torch.eye(3)[torch.tensor([0, 1, 0, 1])]
    assert ensemble.accuracy(torch.stack([right, half]), labels).tolist() == [1.0, 0.5]
    assert ensemble.accuracy(right, labels).item() == 1.0
    others = torch.stack([right, half])
    both = ensemble.agreement(others[:, None], others[None])
    assert both.tolist() == [[1.0, 0.5], [0.5, 1.0]]
