"""The space of one architecture: every network is distilled from its own input, without a teacher.

Networks of a performance zoo range from chance to the best, and so do their logits: at one
temperature for all, a network that is sure of its answers has a loss many times that of one that
is not (paper, Sec. III-C: KL at T = 4). With `temperature_unit: spread` the temperature is in
proportion to the spread of the target's logits, and every network weighs the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lib.config import Embedding
from lib.core.checkpoint import NOWHERE, Checkpoint
from lib.core.repro import generator
from lib.data.images import ImageSplit
from lib.embed import losses
from lib.embed.arm import Arm, EmbedderError
from lib.embed.multiarch import noisy_images
from lib.embed.pool import Pool
from lib.embed.trainer import Curves, fit
from lib.engine import ensemble


def own_loss(outputs: Tensor, targets: Tensor, cfg: Embedding) -> Tensor:
    """Distillation loss [n] of logits [n, B, K] from those of the very networks they stand for.

    With `temperature_unit: spread` it does not change when a network's logits, and those of what
    was decoded from it, are all multiplied by the same number.
    """
    if cfg.temperature_unit == "spread":
        spread = spread_of(targets)
        outputs, targets = outputs / spread, targets / spread
    return losses.distillation(outputs, targets, cfg.temperature)


def spread_of(outputs: Tensor) -> Tensor:
    """Root mean square [n, 1, 1] of logits [n, B, K] around their mean over classes."""
    centred = outputs - outputs.mean(-1, keepdim=True)
    return centred.square().mean((-2, -1), keepdim=True).sqrt().clamp_min(1e-6)


def scores(outputs: Tensor, targets: Tensor, y: Tensor) -> dict[str, float]:
    """How well decoded networks stand for their targets, from logits [n, B, K] of both.

    Returns:
        Means over networks of their accuracy, of agreement with the own target, and of `error`,
        |accuracy of the target - accuracy of the decoded network|; each in [0, 1].
    """
    given, wanted = ensemble.accuracy(outputs, y), ensemble.accuracy(targets, y)
    return {
        "accuracy": given.mean().item(),
        "agreement": ensemble.agreement(outputs, targets).mean().item(),
        "error": (given - wanted).abs().mean().item(),
    }


@dataclass(frozen=True)
class SingleArch:
    """The objective (`trainer.Objective`); fields as in `train`."""

    arm: Arm
    pool: Pool
    held_out: Tensor
    targets: Tensor  # logits of `held_out` on the validation images
    images: ImageSplit
    validation: ImageSplit

    @property
    def name(self) -> str:
        """The architecture."""
        (name,) = self.arm.families
        return name

    def parts(self, rng: torch.Generator) -> dict[str, Tensor]:
        """The loss of decoded networks from their own targets, averaged over networks."""
        arm, name = self.arm, self.name
        flat, seen = self.pool.draw(arm.cfg.networks, rng)
        x, _ = noisy_images(self.images, arm.cfg, rng)
        family = arm.families[name]
        with torch.no_grad():
            targets = family.run(flat[name], x)
        outputs = arm.run(name, arm.embed(name, seen[name]), x)
        return {"own": own_loss(outputs, targets, arm.cfg).mean()}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """`scores` of held-out networks on validation images."""
        arm, name = self.arm, self.name
        decoded = arm.decode(name, arm.encode(name, self.held_out))
        outputs = arm.families[name].predict(decoded, self.validation.x)
        found = scores(outputs, self.targets, self.validation.y)
        return {f"validation_{key}": value for key, value in found.items()}

    def score(self, found: Mapping[str, float]) -> float:
        """What the kept checkpoint is best at, as `select_by` says."""
        if self.arm.cfg.select_by == "accuracy":
            return -found["validation_error"]
        return found["validation_agreement"]


def train(
    arm: Arm,
    names: tuple,
    networks: Tensor,
    scores: Tensor,
    held_out: Tensor,
    images: ImageSplit,
    validation: ImageSplit,
    checkpoint: Checkpoint = NOWHERE,
) -> Curves:
    """Train `arm` in place and leave it at its best checkpoint on held-out networks.

    Args:
        arm: a freshly built arm of one architecture.
        names: names of its random streams.
        networks: training networks [n, P].
        scores: their validation accuracies [n].
        held_out: validation networks [n, P].
        images: training images; validation: validation images.
        checkpoint: see `trainer.fit`.

    Raises:
        EmbedderError: the arm is of several architectures, or the loss is not finite.
    """
    if len(arm.families) != 1:
        raise EmbedderError(f"expected an arm of one architecture, got {', '.join(arm.families)}")
    (name,) = arm.families
    arm.prepare({name: networks}, {name: scores}, images.x, generator(*names, "prepare"))
    pool = Pool.of(arm, {name: networks}, arm.cfg.versions, names)
    targets = arm.families[name].predict(held_out, validation.x)
    objective = SingleArch(arm, pool, held_out, targets, images, validation)
    curves = fit(arm, names, objective, checkpoint)
    arm.settle({name: networks}, generator(*names, "settle"))
    return curves
