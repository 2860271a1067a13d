"""The space of classifiers, of one architecture or several: decoded networks answer as their own.

Each decoded network is distilled from the very network that it was encoded from. With several
architectures a head also learns to tell them apart, and what lies between the first and the last,
the extremes, is trained to be a good network of the architecture in between (paper, Sec. III).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.config import Embedding
from lib.config.embedding import uses_teacher
from lib.core.checkpoint import NOWHERE, Checkpoint
from lib.core.progress import log
from lib.core.streams import Stream
from lib.data.images import ImageSplit
from lib.embed import losses
from lib.embed.arm import EMBEDDER, Arm, EmbedderError, SettingError
from lib.embed.batches import noisy_images
from lib.embed.between import between, mix
from lib.embed.pool import Pool
from lib.embed.trainer import Curves, fit
from lib.engine import ensemble
from lib.zoo.population import Population, flats

Networks = Mapping[str, Tensor]  # architecture -> [n, P]

SHOWN, LEAST_KEPT = 128, 0.7  # images that noisy networks are tried on; share of answers to keep


@dataclass(frozen=True)
class Batch:
    """What one step is given.

    Attributes:
        networks: per architecture input networks [n, P]; with `draw: mixed` any number of each,
            otherwise the same.
        seen: what the encoder observes of them [n, ...].
        x: images [B, C, H, W]; as many as there are labels are as they are, the rest noisy.
        y: labels [clean].
        teacher: the teacher's logits on the clean images [clean, K], if any weight asks for them.
    """

    networks: Networks
    seen: Networks
    x: Tensor
    y: Tensor
    teacher: Tensor | None = None

    @property
    def clean(self) -> Tensor:
        """The images without noise."""
        return self.x[: len(self.y)]


def parts_of(cfg: Embedding, architectures: int) -> list[str]:
    """The parts of the loss that count, in order: of a weight, and not the same for all."""
    fewest = {"own": 1, "teacher": 1, "label": 1, "structure": 1}
    fewest |= {"architecture": 2, "interpolation": 3}
    return [
        name
        for name, count in fewest.items()
        if getattr(cfg.weights, name) and architectures >= count
    ]


def run_decoded(arm: Arm, name: str, latent: Tensor, x: Tensor) -> Tensor:
    """Logits [n, B, K] of the networks decoded from latents [n, D] that should be of `name`.

    With `run_as: predicted` each is decoded and run as the architecture predicted for it.
    """
    if arm.cfg.run_as == "given":
        return arm.run(name, latent, x)
    names, classes = list(arm.families), arm.classify(latent).argmax(-1).tolist()
    return torch.cat(
        [arm.run(names[k], one[None], x) for k, one in zip(classes, latent, strict=True)]
    )


def step_losses(arm: Arm, batch: Batch) -> dict[str, Tensor]:
    """The parts of the loss for one batch (`parts_of`).

    Each is averaged over the networks of an architecture and summed over architectures or, with
    `draw: mixed`, summed over networks.
    """
    names, cfg = list(arm.families), arm.cfg
    total = dict.fromkeys(parts_of(cfg, len(names)), torch.zeros((), device=batch.x.device))
    latents = {name: arm.embed(name, batch.seen[name]) for name in batch.networks}
    for name, flat in batch.networks.items():
        for part, loss in _own_parts(arm, batch, name, flat, latents[name], list(total)):
            total[part] = total[part] + loss
    if "interpolation" in total and names[0] in latents and names[-1] in latents:
        first, last = latents[names[0]], latents[names[-1]]
        if cfg.draw == "mixed":  # every pair, otherwise one for each network
            first, last = first.repeat_interleave(len(last), 0), last.repeat(len(first), 1)
        for name, gamma in zip(names[1:-1], between(len(names)), strict=True):
            for loss in _inner_losses(arm, batch, name, mix(first, last, gamma)):
                total["interpolation"] = total["interpolation"] + loss
    return total


def _own_parts(
    arm: Arm, batch: Batch, name: str, flat: Tensor, latent: Tensor, wanted: list[str]
) -> Iterator[tuple[str, Tensor]]:
    """The parts of networks [n, P] of one architecture, by name, from their latents [n, D]."""
    family, cfg, reduce = arm.families[name], arm.cfg, _reduction(arm)
    if {"own", "teacher", "label"} & {*wanted}:
        outputs = run_decoded(arm, name, latent, batch.x)
        clean = outputs[:, : len(batch.y)]
    if "own" in wanted:
        with torch.no_grad():
            targets = family.run(flat, batch.x)
        yield "own", reduce(losses.own_loss(outputs, targets, cfg))
    if "teacher" in wanted:
        yield "teacher", reduce(losses.distillation(clean, batch.teacher, cfg.temperature))
    if "label" in wanted:
        yield "label", reduce(losses.labels(clean, batch.y))
    if "architecture" in wanted:
        yield "architecture", _misplaced(arm, name, latent)
    if "structure" in wanted:
        decoded = arm.decode(name, latent)
        yield "structure", reduce(losses.structure(decoded, flat, family.layout))


def _inner_losses(arm: Arm, batch: Batch, name: str, latent: Tensor) -> Iterator[Tensor]:
    """The terms of the loss at latents [n, D] between the extremes, where `name` should be."""
    weights, reduce = arm.cfg.weights, _reduction(arm)
    outputs = run_decoded(arm, name, latent, batch.clean)
    yield _misplaced(arm, name, latent)
    if weights.interpolation_teacher:
        distilled = losses.distillation(outputs, batch.teacher, arm.cfg.temperature)
        yield weights.interpolation_teacher * reduce(distilled)
    if weights.label:
        yield weights.label * reduce(losses.labels(outputs, batch.y))


def _reduction(arm: Arm) -> Callable[[Tensor], Tensor]:
    return torch.sum if arm.cfg.draw == "mixed" else torch.mean


def _misplaced(arm: Arm, name: str, latent: Tensor) -> Tensor:
    """Cross entropy of the architecture predicted for latents [n, D] of `name`."""
    place = list(arm.families).index(name)
    wanted = torch.full((len(latent),), place, device=latent.device)
    over = "sum" if arm.cfg.draw == "mixed" else "mean"
    return F.cross_entropy(arm.classify(latent), wanted, reduction=over)


def scores(
    outputs: Tensor, targets: Tensor, y: Tensor, right: Tensor | float = 1.0
) -> dict[str, Tensor]:
    """How well decoded networks stand for their targets, from logits [n, B, K] of both.

    Args:
        outputs: of the decoded networks.
        targets: of the very networks they were decoded from.
        y: labels [B].
        right: for each network [n] 1, or 0 where its architecture is predicted wrongly, which
            counts as answering nothing right.

    Returns:
        Means over networks of their accuracy, of agreement with the own target, and of `error`,
        |accuracy of the target - accuracy of the decoded network|; each in [0, 1].
    """
    given, wanted = right * ensemble.accuracy(outputs, y), ensemble.accuracy(targets, y)
    return {
        "accuracy": given.mean(),
        "agreement": (right * ensemble.agreement(outputs, targets)).mean(),
        "error": (given - wanted).abs().mean(),
    }


@dataclass(frozen=True)
class Classifiers:
    """The objective (`trainer.Objective`); fields as in `train_classifiers`."""

    arm: Arm
    pool: Pool
    held_out: Networks
    images: ImageSplit
    validation: ImageSplit
    teacher: Tensor | None = None

    @cached_property
    def targets(self) -> Networks:
        """Logits [n, images, K] of the held-out networks on the validation images."""
        families = self.arm.families
        return {
            name: families[name].predict(flat, self.validation.x)
            for name, flat in self.held_out.items()
        }

    def parts(self, rng: torch.Generator) -> dict[str, Tensor]:
        """See `step_losses`."""
        cfg = self.arm.cfg
        flat, seen = self.pool.draw(cfg.networks, rng, cfg.draw == "mixed")
        x, chosen = noisy_images(self.images, cfg, rng)
        clean = chosen[: cfg.clean]
        teacher = None if self.teacher is None else self.teacher[clean]
        return step_losses(self.arm, Batch(flat, seen, x, self.images.y[clean], teacher))

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """How well held-out networks are decoded, on validation images.

        Returns:
            `scores`, averaged over architectures; `interpolation`, accuracy at the places between
            the extremes, if there are any; and `decoded`, mean accuracy of architectures and these
            places together. Each in [0, 1], a wrongly predicted architecture counting as zero.
        """
        arm, x, y = self.arm, self.validation.x, self.validation.y
        names, own, latents = list(arm.families), [], {}
        for name in (name for name in names if name in self.held_out):
            latent = latents[name] = arm.encode(name, self.held_out[name])
            outputs = arm.families[name].predict(arm.decode(name, latent), x)
            own.append(scores(outputs, self.targets[name], y, self._right(name, latent)))
        inner = []
        if names[0] in latents and names[-1] in latents:
            ends = latents[names[0]], latents[names[-1]]
            count = min(map(len, ends))
            for name, gamma in zip(names[1:-1], between(len(names)), strict=True):
                latent = mix(ends[0][:count], ends[1][:count], gamma)
                outputs = arm.families[name].predict(arm.decode(name, latent), x)
                inner.append((self._right(name, latent) * ensemble.accuracy(outputs, y)).mean())
        found = {key: torch.stack([one[key] for one in own]).mean() for key in own[0]}
        if inner:
            found["interpolation"] = torch.stack(inner).mean()
        found["decoded"] = torch.stack([one["accuracy"] for one in own] + inner).mean()
        return {f"validation_{key}": value.item() for key, value in found.items()}

    def _right(self, name: str, latent: Tensor) -> Tensor:
        """1 for each latent [n, D] that is predicted to be of `name`, else 0."""
        place = list(self.arm.families).index(name)
        return (self.arm.classify(latent).argmax(-1) == place).float()

    def score(self, found: Mapping[str, float]) -> float:
        """What the kept checkpoint is best at, as `select_by` says."""
        if self.arm.cfg.select_by == "accuracy":
            return found["validation_decoded"]
        if self.arm.cfg.select_by == "error":
            return -found["validation_error"]
        return found["validation_agreement"] + found.get("validation_interpolation", 0)


def train_classifiers(
    arm: Arm,
    *,
    train: Mapping[str, Population],
    held_out: Mapping[str, Population],
    images: ImageSplit,
    validation: ImageSplit,
    stream: Stream,
    teacher: Tensor | None = None,
    fresh: Networks | None = None,
    checkpoint: Checkpoint = NOWHERE,
    where: str = EMBEDDER,
) -> Curves:
    """Train `arm` in place and leave it at its best checkpoint on held-out networks.

    Args:
        arm: a freshly built arm.
        train: training networks, by architecture.
        held_out: validation networks, by architecture.
        images: training images; validation: validation images.
        stream: what all draws come from.
        teacher: the teacher's logits on the training images [images, K]; may be left out where no
            weight asks for them (`lib.config.embedding.uses_teacher`).
        fresh: freshly initialised networks [n, P] of architectures that `train` has none of.
            The arm takes statistics from them, nothing more: such an architecture is reached
            through the interpolation loss alone.
        checkpoint, where: see `trainer.fit`.

    Raises:
        EmbedderError: an architecture has no networks, the teacher is missing, or the loss is not
            finite.
    """
    for name, known in train.items():
        if not len(known.flat):
            raise EmbedderError(f"no {name} to train the embedder with: all have diverged")
    if not parts_of(arm.cfg, len(arm.families)):
        raise SettingError("weights", "are all 0, there is nothing to learn", where)
    if teacher is None and uses_teacher(arm.cfg, len(arm.families)):
        raise SettingError("weights", "ask for a teacher, and none is given", where)
    networks, fresh = flats(train), fresh or {}
    ranks = {name: known.scores for name, known in train.items()}
    ranks |= {name: torch.zeros(len(flat)) for name, flat in fresh.items()}
    arm.prepare({**networks, **fresh}, ranks, images.x, stream.of("prepare").torch())
    pool = Pool.of(arm, networks, arm.cfg.versions, stream)
    for name, share in pool.kept(arm, images.x[:: 1 + len(images.y) // SHOWN]).items():
        if share < LEAST_KEPT:
            log.warning(
                "with noise %s answers as without it on %.0f %% of images: too few, as the space "
                "then learns to decode broken networks; lower %s.weight_noise until 90 %%",
                name,
                100 * share,
                where,
            )
    objective = Classifiers(arm, pool, flats(held_out), images, validation, teacher)
    curves = fit(arm, stream, objective, checkpoint, where)
    arm.settle(networks, stream.of("settle").torch())
    return curves
