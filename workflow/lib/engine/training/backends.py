"""The implementations of `Backend`, by name."""

from __future__ import annotations

from functools import partial

from lib.engine.training.backend import Backend, Engine


def backend(engine: Engine) -> type[Backend]:
    """The implementation that `engine.kernels` names; to be called as a `Backend` is."""
    if engine.kernels == "compiled":
        from lib.engine.kernels import CompiledBackend

        return CompiledBackend
    from lib.engine.training.vmap import VmapBackend

    return partial(VmapBackend, width=engine.width, precision=engine.precision)  # type: ignore
