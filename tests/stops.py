"""A job that is stopped between epochs."""

from __future__ import annotations

import pytest

from lib.engine.kernels import CompiledBackend
from lib.engine.training.vmap import VmapBackend


class Stopped(Exception):
    """The job was stopped."""


def allow(monkeypatch: pytest.MonkeyPatch, epochs: int) -> None:
    """Stop a job before it trains more than so many epochs."""
    left = [epochs]
    for kind in (CompiledBackend, VmapBackend):

        def trained(self, plan, whole=kind.epoch):
            if left[0] == 0:
                raise Stopped
            left[0] -= 1
            return whole(self, plan)

        monkeypatch.setattr(kind, "epoch", trained)
