"""Training steps compiled to machine code: one network at a time, hot in cache."""

from lib.engine.kernels.backend import CompiledBackend, running_bytes
from lib.engine.kernels.graph import UnsupportedError

__all__ = ["CompiledBackend", "UnsupportedError", "running_bytes"]
