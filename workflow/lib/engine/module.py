"""What a module has to be to train as one of many."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.parameter import UninitializedTensorMixin

from lib.core.errors import InputError


class ModuleError(InputError):
    """A module cannot be trained as one of many."""


def check_module(module: Any) -> None:
    """Refuse what cannot be trained as one of many, by its name.

    Raises:
        ModuleError: it is no module, or one of its parameters cannot be one of a stack.
    """
    if not isinstance(module, nn.Module):
        raise ModuleError(f"its builder gives a {type(module).__name__}, expected torch.nn.Module")
    parameters = dict(module.named_parameters(remove_duplicate=False))
    lazy = [name for name, one in parameters.items() if isinstance(one, UninitializedTensorMixin)]
    shared = sorted(set(parameters) - set(dict(module.named_parameters())))
    frozen = [name for name, one in parameters.items() if not one.requires_grad]
    for names, what in (
        (lazy, "without a shape before the first image: give its lazy layer the number of inputs"),
        (shared, "shared between layers: each needs one of its own"),
        (frozen, "frozen: train it, or make it a buffer that is the same in every network"),
    ):
        if names:
            raise ModuleError(
                f"{type(module).__name__} cannot be trained as one of many: its parameter "
                f"{names[0]} is {what}"
            )
    if not parameters:
        raise ModuleError(f"{type(module).__name__} has no parameters: nothing to train or store")
