"""`python -m lib.bench.embedder`: what one network costs in one training step of each arm.

A *network-step* is the embedder's own share of a training step for one network: embed it, decode
it as its architecture, classify its latent, and the gradients of all that. Left out is what every
arm pays alike, running the decoded network on images (`running_multiply_adds`), and the optimizer.
What an encoder observes of a network is computed once for each version of a training network and
not in each step (`lib.embed.pool`); `observation_share` of it belongs to a step, as many times as
the arm's own config and the default zoo say, and is included.

Multiply-adds are those of convolutions and matrix products, forward and backward, as torch's
`FlopCounterMode` counts them (its flops by two), also where compiled kernels run a network instead;
element-wise work is timed and not counted.

Seconds and memory of each row are measured by a process of its own on one thread with an untrained
arm and a freshly initialised network: seconds are the median of rounds after a warm-up,
`peak_bytes` how far the process's resident memory rose above what it was before the arm was built
(Linux; elsewhere null).
The arm serves all architectures of the table, and so do its `parameters`.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from lib import nets
from lib.config import Embedding, Study
from lib.core.progress import track
from lib.core.repro import atomic
from lib.embed.arm import Arm
from lib.embed.arms.paper import Paper
from lib.embed.product import make_arm
from lib.engine.family import Family
from lib.nets.fuse import fuse

REFERENCE = "paper"
KNOWN = 2  # networks of each architecture that an arm takes its statistics from
# architectures, image [C, H, W], PRep of the reference: the paper's own, and the digits'
FULL = ("LeNetLike", "VanillaCNN", "ResNet8", "ResNet32"), (3, 32, 32), (88, 10000)
ZOO = Study().zoos["digits"]
QUICK = ZOO.architectures, (1, 8, 8), None
CLASSES = 10


@dataclass(frozen=True)
class Measurement:
    """One arm on one architecture; see the module for what is counted."""

    embedder: str
    architecture: str
    network_parameters: int
    parameters: int
    multiply_adds: int
    seconds_per_network_step: float
    peak_bytes: int | None
    observation_multiply_adds: int
    observation_seconds: float
    observation_share: float
    running_multiply_adds: int
    images: int
    rounds: int
    threads: int = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(prog="python -m lib.bench.embedder", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="networks of the digits' size")
    parser.add_argument("--arms", nargs="+", default=[Embedding().arm, REFERENCE])
    parser.add_argument("--rounds", type=int, default=3, help="timed repetitions")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    options = parser.parse_args(arguments)
    architectures, image, prep = QUICK if options.quick else FULL
    todo = [
        (config_of(arm, prep), architectures, image, name, options.rounds)
        for arm in options.arms
        for name in architectures
    ]
    found = [measure(*case) for case in track(todo, "arms and architectures")]
    print(table(found))
    if options.out:
        with atomic(options.out) as temporary:
            temporary.write_text(json.dumps([asdict(one) for one in found], indent=2) + "\n")
    return 0


def config_of(arm: str, prep: tuple[int, int] | None) -> Embedding:
    """An arm at its defaults; the reference as in the paper, with a PRep of this size."""
    return Embedding(**Paper.PROTOCOL, prep=prep) if arm == REFERENCE else Embedding(arm=arm)


def table(found: Iterable[Measurement]) -> str:
    """The measurements as text in columns; ratios are the reference's cost over the arm's."""
    found = list(found)
    reference = {m.architecture: m for m in found if m.embedder == REFERENCE}
    lines = [
        f"{'arm':10}{'architecture':14}{'parameters':>12}{'GMAC':>10}{'ratio':>8}"
        f"{'seconds':>10}{'ratio':>8}{'peak MB':>9}{'running GMAC':>14}"
    ]
    for m in found:
        base, ratios = reference.get(m.architecture), ("", "")
        if base:
            ratios = (
                f"{base.multiply_adds / m.multiply_adds:.0f}",
                f"{base.seconds_per_network_step / m.seconds_per_network_step:.0f}",
            )
        peak = "" if m.peak_bytes is None else f"{m.peak_bytes / 1e6:.0f}"
        lines.append(
            f"{m.embedder:10}{m.architecture:14}{m.parameters:12,}{m.multiply_adds / 1e9:10.3f}"
            f"{ratios[0]:>8}{m.seconds_per_network_step:10.4f}{ratios[1]:>8}{peak:>9}"
            f"{m.running_multiply_adds / 1e9:14.3f}"
        )
    return "\n".join(lines)


def measure(
    cfg: Embedding,
    architectures: Sequence[str],
    image: tuple[int, int, int],
    architecture: str,
    rounds: int,
) -> Measurement:
    """The cost of one network of an architecture."""
    arm = make_arm(cfg, architectures, image, CLASSES)
    seconds, observing, peak = _apart(spent, cfg, architectures, image, architecture, rounds)
    counts = counted(arm, image, architecture)
    share = observation_share(cfg)
    return Measurement(
        cfg.arm,
        architecture,
        arm.families[architecture].layout.size,
        sum(p.numel() for p in arm.parameters() if p.requires_grad),
        round(counts["step"] + share * counts["observation"]),
        seconds + share * observing,
        peak,
        counts["observation"],
        observing,
        share,
        counts["running"],
        cfg.batch_size,
        rounds,
    )


def counted(
    arm: Arm, image: tuple[int, int, int], architecture: str, meta: bool = True
) -> dict[str, int]:
    """Multiply-adds of a step, of observing a network and of running what was decoded.

    From shapes alone, but for an arm whose work depends on values (`meta` is false). Networks are
    run by torch, whatever runs them otherwise: compiled kernels know neither device nor type.
    """
    like = {"device": "meta"} if meta else {"device": "cpu", "dtype": torch.float64}
    arm = arm.to(**like)
    family = arm.families[architecture]
    flat = torch.zeros(1, family.layout.size, **like)
    x = torch.zeros(arm.cfg.batch_size, *image, **like)
    with torch.no_grad():
        observed, observation = _count(lambda: arm.observe(architecture, flat))
    return {
        "step": _count(lambda: step(arm, architecture, observed))[1],
        "observation": observation,
        "running": _count(lambda: run(family, flat, x))[1],
    }


def spent(
    cfg: Embedding,
    architectures: Sequence[str],
    image: tuple[int, int, int],
    architecture: str,
    rounds: int,
) -> tuple[float, float, int | None]:
    """Seconds of a step and of observing a network, and peak bytes, of this process."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    family = Family.of("LeNetLike", 1, 8, CLASSES)  # loads what torch loads at its first use
    run(family, fresh(family, (1, 8, 8), 1), torch.randn(2, 1, 8, 8))
    before = _memory("VmRSS")
    arm = prepared(cfg, architectures, image)
    flat = fresh(arm.families[architecture], image, 1)
    resettable = _forget_peak()
    with torch.no_grad():
        observed = arm.observe(architecture, flat)
        observing = _seconds(lambda: arm.observe(architecture, flat), rounds)
    step(arm, architecture, observed)
    seconds = _seconds(lambda: step(arm, architecture, observed), rounds)
    return seconds, observing, _memory("VmHWM") - before if resettable else None


def step(arm: Arm, architecture: str, observed: Tensor) -> None:
    """Embed, decode and classify what was observed [1, ...], and all gradients."""
    arm.zero_grad()
    latent = arm.embed(architecture, observed)
    decoded = arm.decode(architecture, latent)
    (decoded.square().mean() + arm.classify(latent).square().mean()).backward()


def observation_share(cfg: Embedding) -> float:
    """How often a network is observed for each time that it is in a step, with the default zoo."""
    networks = ZOO.instances.train
    return cfg.versions / cfg.visits(networks, networks * len(ZOO.architectures))


def prepared(
    cfg: Embedding,
    architectures: Sequence[str],
    image: tuple[int, int, int],
    classes: int = CLASSES,
) -> Arm:
    """An untrained arm that has taken its statistics from a few fresh networks."""
    arm = make_arm(cfg, architectures, image, classes)
    networks = {name: fresh(family, image, KNOWN, classes) for name, family in arm.families.items()}
    scores = dict.fromkeys(networks, torch.zeros(KNOWN))
    arm.prepare(networks, scores, torch.randn(cfg.probes, *image), torch.Generator())
    return arm


def fresh(
    family: Family, image: tuple[int, int, int], count: int, classes: int = CLASSES
) -> Tensor:
    """Freshly initialised networks [n, P], batch norm fused."""
    channels, size, _ = image
    modules = [
        fuse(nets.build(family.architecture, channels, size, classes).eval()) for _ in range(count)
    ]
    with torch.no_grad():
        return torch.stack([family.layout.flatten(module.state_dict()) for module in modules])


def run(family: Family, flat: Tensor, x: Tensor) -> None:
    """What every arm pays for a network: its outputs, those of the decoded one, its gradient."""
    with torch.no_grad():
        family.run(flat, x)
    decoded = flat.clone().requires_grad_()
    family.run(decoded, x).square().mean().backward()


def _apart(call: Callable, *arguments):
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(call, *arguments).result()


def _count(call: Callable[[], Tensor | None]) -> tuple[Tensor | None, int]:
    with FlopCounterMode(display=False) as counter:
        out = call()
    return out, counter.get_total_flops() // 2


def _seconds(call: Callable[[], object], rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def _memory(field: str) -> int:
    """Bytes of this process's resident memory, now (`VmRSS`) or at most (`VmHWM`); else 0."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    return int(re.search(rf"{field}:\s+(\d+)", status.read_text())[1]) * 1024


def _forget_peak() -> bool:
    """Let the peak begin anew; whether that was possible."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
