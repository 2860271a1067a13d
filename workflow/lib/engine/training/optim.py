"""SGD, Adam and AdamW on flat stacked parameters, each instance at rates of its own.

The updates are those of `torch.optim`, element for element (Kingma and Ba 2015; Loshchilov and
Hutter 2019). All tensors are [K, P]; rates are [K, 1].
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from lib.config import Training

State = dict[str, Tensor]
Update = Callable[[Tensor, Tensor, State, Tensor, Training], None]


def sgd(parameters: Tensor, gradient: Tensor, state: State, rate: Tensor, cfg: Training) -> None:
    """One step of SGD with momentum and weight decay; uses up `gradient`."""
    gradient.addcmul_(parameters, state["weight_decay"])
    velocity = state["velocity"].mul_(state["momentum"]).add_(gradient)
    parameters.addcmul_(velocity, rate, value=-1)


def adam(parameters: Tensor, gradient: Tensor, state: State, rate: Tensor, cfg: Training) -> None:
    """One step of Adam, weight decay as a part of the gradient; uses up `gradient`."""
    gradient.addcmul_(parameters, state["weight_decay"])
    _adam(parameters, gradient, state, rate, cfg)


def adamw(parameters: Tensor, gradient: Tensor, state: State, rate: Tensor, cfg: Training) -> None:
    """One step of Adam, weight decay apart from the gradient; uses up `gradient`."""
    parameters.mul_(1 - rate * state["weight_decay"])
    _adam(parameters, gradient, state, rate, cfg)


def _adam(parameters: Tensor, gradient: Tensor, state: State, rate: Tensor, cfg: Training) -> None:
    first, second = cfg.betas
    steps = state["steps"].add_(1)  # [K, 1], in double precision
    mean = state["mean"].lerp_(gradient, 1 - first)
    square = state["square"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
    root = square.sqrt().div_((1 - second**steps).sqrt().to(square)).add_(cfg.eps)
    size = (rate / (1 - first**steps)).to(mean)
    parameters.addcdiv_(mean * size, root, value=-1)


# name in the config: the update, and what it keeps for each parameter
OPTIMIZERS: dict[str, tuple[Update, tuple[str, ...]]] = {
    "sgd": (sgd, ("velocity",)),
    "adam": (adam, ("mean", "square")),
    "adamw": (adamw, ("mean", "square")),
}
