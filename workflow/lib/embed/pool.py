"""Input networks for training an embedder: each training network, as it is and with noise.

What an encoder observes of a network is computed once, when the pool is made, and not at every
step: running networks on probes would otherwise be most of the cost of training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lib.core.progress import track
from lib.core.streams import Stream
from lib.embed.arm import Arm
from lib.engine import ensemble


@dataclass(frozen=True)
class Pool:
    """Per architecture, `versions` of each of n networks and what the encoder sees of them.

    flat: [n, versions, P]; seen: [n, versions, ...]. Version 0 is the network itself.
    """

    flat: Mapping[str, Tensor]
    seen: Mapping[str, Tensor]

    @classmethod
    @torch.no_grad()
    def of(cls, arm: Arm, networks: Mapping[str, Tensor], versions: int, stream: Stream) -> Pool:
        """Perturb and observe training networks [n, P]; each version draws from `stream`."""
        flat, seen = {}, {}
        for name, originals in networks.items():
            found = []
            for version in track(range(versions), f"versions of {name}"):
                rng = stream.of("version", name, version).torch()
                changed = arm.perturb(name, originals, rng) if version else originals
                found.append((changed, arm.observe(name, changed)))
            flat[name], seen[name] = (torch.stack(part, 1) for part in zip(*found, strict=True))
        return cls(flat, seen)

    @torch.no_grad()
    def kept(self, arm: Arm, x: Tensor, versions: int = 4) -> dict[str, float]:
        """How like their networks the first noisy versions are, by architecture.

        Share of images [B, C, H, W] on which they predict the same; none without noisy versions.
        """
        found = {}
        for name, flat in self.flat.items():
            noisy = flat[:, 1 : versions + 1].unbind(1)
            if noisy:
                run = arm.families[name].run
                own = run(flat[:, 0], x)
                shares = [ensemble.agreement(run(one, x), own).mean() for one in noisy]
                found[name] = torch.stack(shares).mean().item()
        return found

    def draw(
        self, count: int, rng: torch.Generator, mixed: bool = False
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """`count` different networks (all in turn if there are fewer) and what is seen of them.

        They are `count` of each architecture or, if `mixed`, of all networks, whatever they are.
        Each comes in one version drawn at random: weights [n, P] and observations [n, ...].
        """
        flat, seen = {}, {}
        for name, rows in self._rows(count, rng, mixed):
            networks = self.flat[name]
            versions = torch.randint(networks.shape[1], (len(rows),), generator=rng)
            rows, versions = rows.to(networks.device), versions.to(networks.device)
            flat[name], seen[name] = networks[rows, versions], self.seen[name][rows, versions]
        return flat, seen

    def _rows(self, count: int, rng: torch.Generator, mixed: bool) -> Iterator[tuple[str, Tensor]]:
        """Numbers of the networks drawn of each architecture, where there are any."""
        if not mixed:
            for name, networks in self.flat.items():
                yield name, _some(len(networks), count, rng)
            return
        chosen, first = _some(sum(map(len, self.flat.values())), count, rng), 0
        for name, networks in self.flat.items():
            rows = chosen[(chosen >= first) & (chosen < first + len(networks))] - first
            first += len(networks)
            if len(rows):
                yield name, rows


def _some(total: int, count: int, rng: torch.Generator) -> Tensor:
    rows = torch.randperm(total, generator=rng)
    return rows.repeat(-(-count // total))[:count]
