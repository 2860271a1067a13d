"""The space of several architectures: its losses, and the points between the extremes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.config import Embedding
from lib.core.checkpoint import NOWHERE, Checkpoint
from lib.core.progress import log
from lib.core.repro import generator
from lib.data.images import ImageSplit
from lib.embed import losses
from lib.embed.arm import Arm, EmbedderError
from lib.embed.pool import Pool
from lib.embed.trainer import Curves, fit
from lib.engine import ensemble

Networks = Mapping[str, Tensor]  # architecture -> [n, P]

SHOWN, LEAST_KEPT = 128, 0.7  # images that noisy networks are tried on; share of answers to keep


def between(architectures: int) -> list[float]:
    """Where the inner architectures lie between the two extremes: 1/3 and 2/3 for four of them."""
    return [k / (architectures - 1) for k in range(1, architectures - 1)]


def mix(first: Tensor, last: Tensor, gamma: Tensor | float) -> Tensor:
    """The latents (1 - gamma) first + gamma last, between two others (paper, Sec. III-D)."""
    return (1 - gamma) * first + gamma * last


def run_decoded(arm: Arm, name: str, latent: Tensor, x: Tensor) -> Tensor:
    """Logits [n, B, K] of the networks decoded from latents [n, D] that should be of `name`.

    With `run_as: predicted` each is decoded and run as the architecture predicted for it.
    """
    if arm.cfg.run_as == "given":
        return arm.families[name].run(arm.decode(name, latent), x)
    names, classes = list(arm.families), arm.classify(latent).argmax(-1).tolist()
    return torch.cat(
        [
            arm.families[names[k]].run(arm.decode(names[k], one[None]), x)
            for k, one in zip(classes, latent, strict=True)
        ]
    )


def step_losses(
    arm: Arm,
    networks: Networks,
    seen: Networks,
    x: Tensor,
    y: Tensor,
    teacher: Tensor,
    clean: int,
) -> dict[str, Tensor]:
    """The parts of the loss for one batch.

    Each is averaged over the networks of an architecture and summed over architectures or, with
    `draw: mixed`, summed over networks.

    Args:
        arm: the embedder.
        networks: per architecture input networks [n, P]; with `draw: mixed` any number of each,
            otherwise the same.
        seen: what the encoder observes of them [n, ...].
        x: images [B, C, H, W]; the first `clean` of them are as they are, the rest noisy.
        y: labels [clean].
        teacher: the teacher's logits on the clean images [clean, K].
        clean: number of clean images.
    """
    names, cfg = list(arm.families), arm.cfg
    mixed = cfg.draw == "mixed"
    over = "sum" if mixed else "mean"
    reduce = getattr(torch, over)
    total = dict.fromkeys(
        ("own", "teacher", "label", "structure", "architecture", "interpolation"),
        torch.zeros((), device=x.device),
    )
    latents = {name: arm.embed(name, seen[name]) for name in networks}

    def placed(name: str, latent: Tensor) -> Tensor:
        wanted = torch.full((len(latent),), names.index(name), device=latent.device)
        return F.cross_entropy(arm.classify(latent), wanted, reduction=over)

    def distilled(outputs: Tensor, targets: Tensor) -> Tensor:
        return reduce(losses.distillation(outputs, targets, cfg.temperature))

    for name, flat in networks.items():
        family = arm.families[name]
        with torch.no_grad():
            targets = family.run(flat, x)
        outputs = run_decoded(arm, name, latents[name], x)
        total["own"] = total["own"] + distilled(outputs, targets)
        outputs = outputs[:, :clean]
        total["teacher"] = total["teacher"] + distilled(outputs, teacher)
        total["label"] = total["label"] + reduce(losses.labels(outputs, y))
        total["architecture"] = total["architecture"] + placed(name, latents[name])
        if cfg.weights.structure:
            decoded = arm.decode(name, latents[name])
            total["structure"] = total["structure"] + reduce(
                losses.structure(decoded, flat, family.layout)
            )
    if names[0] in latents and names[-1] in latents:
        first, last = latents[names[0]], latents[names[-1]]
        if mixed:  # every pair, otherwise one for each network
            first, last = first.repeat_interleave(len(last), 0), last.repeat(len(first), 1)
        for name, gamma in zip(names[1:-1], between(len(names)), strict=True):
            latent = mix(first, last, gamma)
            outputs = run_decoded(arm, name, latent, x[:clean])
            total["interpolation"] = (
                total["interpolation"]
                + placed(name, latent)
                + cfg.weights.interpolation_teacher * distilled(outputs, teacher)
                + cfg.weights.label * reduce(losses.labels(outputs, y))
            )
    return total


@torch.no_grad()
def validate(arm: Arm, networks: Networks, images: ImageSplit) -> dict[str, float]:
    """How well networks [n, P] are decoded, on validation images.

    Returns:
        accuracy and agreement with the own target, accuracy at the inner points between the
        extremes, and mean accuracy of architectures and inner points together, each in [0, 1]; a
        wrongly predicted architecture counts as zero.
    """
    names, accuracies, agreements, latents = list(arm.families), [], [], {}
    for k, name in enumerate(names):
        if name not in networks:
            continue
        family, flat = arm.families[name], networks[name]
        latents[name] = arm.encode(name, flat)
        right = (arm.classify(latents[name]).argmax(-1) == k).float()
        outputs = family.predict(arm.decode(name, latents[name]), images.x)
        accuracies.append((right * ensemble.accuracy(outputs, images.y)).mean())
        agreements.append(
            (right * ensemble.agreement(outputs, family.predict(flat, images.x))).mean()
        )
    inner = []
    if names[0] in latents and names[-1] in latents:
        count = min(len(latents[names[0]]), len(latents[names[-1]]))
        for k, (name, gamma) in enumerate(zip(names[1:-1], between(len(names)), strict=True), 1):
            latent = mix(latents[names[0]][:count], latents[names[-1]][:count], gamma)
            right = (arm.classify(latent).argmax(-1) == k).float()
            outputs = arm.families[name].predict(arm.decode(name, latent), images.x)
            inner.append((right * ensemble.accuracy(outputs, images.y)).mean())
    return {
        "validation_accuracy": torch.stack(accuracies).mean().item(),
        "validation_agreement": torch.stack(agreements).mean().item(),
        "validation_interpolation": torch.stack(inner).mean().item() if inner else math.nan,
        "validation_decoded": torch.stack(accuracies + inner).mean().item(),
    }


def score(found: Mapping[str, float], by: str = "agreement") -> float:
    """What the selected checkpoint is best at, as `select_by` says."""
    if by == "accuracy":
        return found["validation_decoded"]
    inner = found["validation_interpolation"]
    return found["validation_agreement"] + (0 if math.isnan(inner) else inner)


def noisy_images(images: ImageSplit, cfg: Embedding, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """A batch [B, C, H, W] of images, noisy after the first `cfg.clean`, and their numbers [B]."""
    chosen = torch.randint(len(images.y), (cfg.batch_size,), generator=rng).to(images.x.device)
    x, clean = images.x[chosen], cfg.clean
    level = cfg.image_noise * torch.rand(len(x) - clean, 1, 1, 1, generator=rng)
    noise = level * torch.randn(x[clean:].shape, generator=rng)
    return torch.cat([x[:clean], x[clean:] + noise.to(x.device)]), chosen


@dataclass(frozen=True)
class Multiarch:
    """The objective (`trainer.Objective`); fields as in `train`."""

    arm: Arm
    pool: Pool
    held_out: Networks
    images: ImageSplit
    validation: ImageSplit
    teacher: Tensor

    def parts(self, rng: torch.Generator) -> dict[str, Tensor]:
        """See `step_losses`."""
        cfg = self.arm.cfg
        flat, seen = self.pool.draw(cfg.networks, rng, cfg.draw == "mixed")
        x, chosen = noisy_images(self.images, cfg, rng)
        clean = chosen[: cfg.clean]
        y, teacher = self.images.y[clean], self.teacher[clean]
        return step_losses(self.arm, flat, seen, x, y, teacher, cfg.clean)

    def validate(self) -> dict[str, float]:
        """See `validate`."""
        return validate(self.arm, self.held_out, self.validation)

    def score(self, found: Mapping[str, float]) -> float:
        """See `score`."""
        return score(found, self.arm.cfg.select_by)


def train(
    arm: Arm,
    names: tuple,
    networks: Networks,
    scores: Networks,
    held_out: Networks,
    images: ImageSplit,
    validation: ImageSplit,
    teacher: Tensor,
    fresh: Networks | None = None,
    checkpoint: Checkpoint = NOWHERE,
) -> Curves:
    """Train `arm` in place and leave it at its best checkpoint by `score` on held-out networks.

    Args:
        arm: a freshly built arm.
        names: names of its random streams.
        networks: training networks per architecture, [n, P].
        scores: their validation accuracies, [n].
        held_out: validation networks per architecture, [n, P].
        images: training images; validation: validation images.
        teacher: the teacher's logits on the training images [images, K].
        fresh: freshly initialised networks [n, P] of architectures that `networks` has none of.
            The arm takes statistics from them, nothing more: such an architecture is reached
            through the interpolation loss alone.
        checkpoint: see `trainer.fit`.
    """
    for name, flat in networks.items():
        if not len(flat):
            raise EmbedderError(f"no {name} to train the embedder with: all have diverged")
    fresh = fresh or {}
    unranked = {name: torch.zeros(len(flat)) for name, flat in fresh.items()}
    arm.prepare(
        {**networks, **fresh}, {**scores, **unranked}, images.x, generator(*names, "prepare")
    )
    pool = Pool.of(arm, networks, arm.cfg.versions, names)
    for name, share in pool.kept(arm, images.x[:: 1 + len(images.y) // SHOWN]).items():
        if share < LEAST_KEPT:
            log.warning(
                "with noise %s answers as without it on %.0f %% of images: too few, as the space "
                "then learns to decode broken networks; lower embedder.weight_noise until 90 %%",
                name,
                100 * share,
            )
    objective = Multiarch(arm, pool, held_out, images, validation, teacher)
    return fit(arm, names, objective, checkpoint)
