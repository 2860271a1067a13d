"""What the benchmark of the zoo engine says of one way to train one architecture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One way to train one architecture; see `lib.bench.zoo` for what is counted."""

    architecture: str
    dataset: str
    device: str
    ensemble_size: int
    networks_per_hour: float
    ratio_to_sequential: float
    share_of_peak: float
    bytes_per_network: float | None
    kernels: str
    variant: str
    baseline: bool
    ratio_lowest: float
    ratio_highest: float
    ms_per_network_step: float
    setup_seconds: float
    multiply_adds: float
    batch: int
    steps: int
    rates: list[float]
    processes: int
    peak_multiply_adds: float
    cpu: str
    date: str
    versions: dict[str, str]
