"""Many instances of one plain module as stacked parameters: initialise, run, measure.

A *stack* is a dict from state name to a tensor whose leading axis counts instances. The module
itself stays an ordinary `nn.Module`; `torch.func` runs it over the stack, so no architecture is
written twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from lib.engine.dropout import Streams

Stack = dict[str, Tensor]
EVALUATION_BATCH = 512


def init_stack(build: Callable[[], nn.Module], seeds: Sequence[int]) -> Stack:
    """Freshly initialised instances, one per seed: parameters and buffers, each [N, ...]."""
    states = []
    with torch.random.fork_rng(devices=[]):
        for seed in seeds:
            torch.manual_seed(seed)
            states.append(build().state_dict())
    return stack_states(states)


def stack_states(states: Iterable[Stack]) -> Stack:
    """State dicts of the same module as one stack."""
    states = list(states)
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}


def select(stack: Stack, index) -> Stack:
    """The instances `index` (int, slice or index tensor) of a stack."""
    return {name: values[index] for name, values in stack.items()}


def size(stack: Stack) -> int:
    """Number of instances in a stack."""
    return next(iter(stack.values())).shape[0]


def run(
    module: nn.Module,
    stack: Stack,
    x: Tensor,
    *,
    shared: bool = False,
    streams: Tensor | None = None,
) -> Tensor:
    """Outputs of every instance.

    Args:
        module: the plain module; its own parameters are not used, its train/eval mode is.
        stack: N instances, each entry [N, ...]; batch-norm statistics are updated in place
            when the module is in train mode.
        x: inputs [N, B, ...] (one batch per instance) or, if `shared`, [B, ...] for all.
        streams: int64 [N]; what dropout draws from, where it does.

    Returns:
        [N, B, ...].
    """
    # What is not stacked is the same in every instance; it has to be where they are.
    same = {k: v.to(x.device) for k, v in module.named_buffers() if k not in stack}

    def one(state: Stack, batch: Tensor, stream: Tensor | None) -> Tensor:
        with nullcontext() if stream is None else Streams(stream):
            return functional_call(module, state | same, (batch,))

    axes = (0, None if shared else 0, None if streams is None else 0)
    return vmap(one, in_dims=axes)(stack, x, streams)


@torch.no_grad()
def predict(module: nn.Module, stack: Stack, x: Tensor) -> Tensor:
    """Outputs [N, n, classes] of every instance in eval mode for the same images [n, ...]."""
    was_training = module.training
    module.eval()
    parts = [run(module, stack, batch, shared=True) for batch in x.split(EVALUATION_BATCH)]
    module.train(was_training)
    return torch.cat(parts, 1)


def accuracy(outputs: Tensor, labels: Tensor) -> Tensor:
    """Share of images predicted right, [...] from outputs [..., n, classes] and labels [n]."""
    return (outputs.argmax(-1) == labels).float().mean(-1)


def agreement(outputs: Tensor, others: Tensor) -> Tensor:
    """Share of images on which two networks predict the same class; broadcasts over [..., n, K]."""
    return (outputs.argmax(-1) == others.argmax(-1)).float().mean(-1)
