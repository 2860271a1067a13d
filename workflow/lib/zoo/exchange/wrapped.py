"""State dicts as training code leaves them: inside other things, and with prefixes to their names.

`torch.compile`, `DataParallel`, Lightning and the like put a module into another one, so that all
names begin alike; and what is saved is often a dict in which the state is one entry of several.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from torch import Tensor

COUNTER = ".num_batches_tracked"
# Where a state lies in what was saved; the first that is there is taken.
INSIDE = (
    "state_dict", "model_state_dict", "model", "model_state", "net", "network", "module", "weights",
    "params", "state", "net_state_dict", "network_state_dict", "generator",
)  # fmt: skip
DEPTH = 4
# Parts of names that wrappers put between those of layers, wherever they are.
WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
AVERAGES = ("ema", "averag", "swa", "teacher", "momentum")  # beside the network itself
Names = Collection[str]


def inside(found: Any) -> Mapping[str, Tensor] | None:
    """The state dict in what a file holds, or None.

    Raises:
        ValueError: there are several, and no entry says which is meant.
    """
    if is_state(found):
        return found
    for key in INSIDE:
        if isinstance(found, Mapping) and (state := _first(found.get(key), DEPTH)) is not None:
            return state
    several = list(_states(found, "", DEPTH))
    if len(several) > 1:
        names = ", ".join(repr(name) for name, _ in several[:5])
        raise ValueError(f"holds several state dicts ({names}); keep one, under 'state_dict'")
    return several[0][1] if several else None


def is_state(found: Any) -> bool:
    """Whether something is a state dict: tensors by name."""
    return (
        isinstance(found, Mapping)
        and bool(found)
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in found.items())
    )


def _first(found: Any, depth: int) -> Mapping[str, Tensor] | None:
    if is_state(found):
        return found
    if not isinstance(found, Mapping) or not depth:
        return None
    inner = (_first(found.get(key), depth - 1) for key in INSIDE)
    return next((state for state in inner if state is not None), None)


def _states(found: Any, name: str, depth: int) -> Iterator[tuple[str, Mapping[str, Tensor]]]:
    if is_state(found):
        yield name, found
    elif isinstance(found, Mapping) and depth:
        for key, value in found.items():
            yield from _states(value, f"{name}.{key}".lstrip("."), depth - 1)


def unwrapped(state: Mapping[str, Any], wanted: Names) -> dict[str, Any] | None:
    """The part of a state whose names are the `wanted` ones but for a prefix, by those names.

    What a wrapper keeps beside its network is left out. Counters of batch norm's steps may be there
    or not.

    Raises:
        ValueError: several parts are, under prefixes none of which is that of an average.
    """
    wanted = {name for name in wanted if not name.endswith(COUNTER)}
    if not wanted:
        return None
    for rename in (str, _plain(WRAPPERS), _plain((*WRAPPERS, "module"))):
        names = {rename(name): name for name in state}
        if len(names) < len(state):
            continue
        parts = {prefix: _part(names, prefix, wanted) for prefix in _prefixes(names, wanted)}
        fitting = {prefix: part for prefix, part in parts.items() if part}
        if len(fitting) > 1:
            own = {p: v for p, v in fitting.items() if not any(a in p.lower() for a in AVERAGES)}
            fitting = own if len(own) == 1 else fitting
        if len(fitting) > 1:
            names = " and ".join(repr(prefix) for prefix in fitting)
            raise ValueError(f"holds several such networks, whose names begin with {names}")
        for part in fitting.values():
            return {name: state[key] for name, key in part.items()}
    return None


def _plain(parts: tuple[str, ...]) -> Callable[[str], str]:
    return lambda name: ".".join(part for part in name.split(".") if part not in parts)


def _prefixes(names: Names, wanted: Names) -> list[str]:
    """What may stand before the wanted names."""
    first = min(wanted)
    ends = (name.removesuffix(first) for name in names if name.endswith(first))
    return sorted({end for end in ends if not end or end.endswith(".")})


def _part(names: Mapping[str, str], prefix: str, wanted: Names) -> dict[str, str] | None:
    """The names behind a prefix, without it, if they are the wanted ones."""
    part = {n.removeprefix(prefix): key for n, key in names.items() if n.startswith(prefix)}
    if not prefix:
        part.pop("n_averaged", None)  # of torch's AveragedModel
    found = {name for name in part if not name.endswith(COUNTER)}
    return part if found == wanted else None


def difference(state: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]) -> str:
    """In what the shapes of a state differ from the wanted ones, in words; empty if in nothing."""
    state, wanted = (
        {name: shape for name, shape in shapes.items() if not name.endswith(COUNTER)}
        for shapes in (state, wanted)
    )
    if odd := [name for name in wanted if name in state and state[name] != wanted[name]]:
        name = odd[0]
        return f"{name} has shape {list(state[name])}, expected {list(wanted[name])}"
    missing = [name for name in wanted if name not in state]
    more = [name for name in state if name not in wanted]
    if missing and all(name.endswith((".running_mean", ".running_var")) for name in missing):
        return f"{missing[0]} is missing: save module.state_dict(), not its parameters alone"
    if missing and more:
        return f"they are called {_some(more)}, expected {_some(missing)}"
    if missing:
        return f"{_some(missing)} is missing"
    return f"{_some(more)} is too much" if more else ""


def _some(names: list[str]) -> str:
    return repr(names[0]) + (f" and {len(names) - 1} more" if len(names) > 1 else "")
