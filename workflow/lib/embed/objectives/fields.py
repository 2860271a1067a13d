"""The space of fields: decoded fields are pulled towards the fields they were encoded from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lib.config import FieldSpace
from lib.core.checkpoint import NOWHERE, Checkpoint
from lib.core.streams import Stream
from lib.embed.arm import EMBEDDER, Arm, EmbedderError, FieldArm
from lib.embed.trainer import Curves, fit
from lib.embed.warps import Warps
from lib.zoo.fields import Fields, iou


def field_loss(outputs: Tensor, targets: Tensor, truncation: float) -> Tensor:
    """Mean squared difference of distances [n, B], saturated smoothly at `truncation`.

    DeepSDF (Park et al. 2019, arXiv 1901.05103, Sec. 4) clamps distances for the same reason: the
    surface is what counts. In units of the truncation.
    """
    first, second = (torch.tanh(values / truncation) for values in (outputs, targets))
    return (first - second).square().mean()


@dataclass(frozen=True)
class FieldObjective:
    """The objective (`trainer.Objective`); fields as in `train_fields`."""

    arm: Arm
    train: Fields
    held_out: Fields
    space: FieldSpace

    def parts(self, rng: torch.Generator) -> dict[str, Tensor]:
        """The difference of decoded fields from their own, at points near the surface.

        Where the arm runs fields to encode them (`FieldArm`), they are warped: the warped field is
        the network seen through a map of space, so its values are known and its weights are not
        needed.
        """
        arm, cfg, (name,) = self.arm, self.arm.cfg, self.arm.families
        family, (count, samples) = arm.families[name], self.train.near.shape[:2]
        who = torch.randint(count, (cfg.networks,), generator=rng)
        which = torch.randint(samples, (cfg.networks, cfg.batch_size), generator=rng)
        flat, points = self.train.flat[who], self.train.near[who[:, None], which]
        with torch.no_grad():
            targets = family.run_each(flat, points)[..., 0]
        if self.space.warp and isinstance(arm, FieldArm):
            warps = Warps.draw(len(who), self.space.warp, rng)
            seen = arm.observe_at(flat, warps.back(arm.probes.expand(len(who), -1, -1)))
            points = warps.forward(points)
        else:
            seen = arm.observe(name, flat)
        decoded = arm.decode(name, arm.embed(name, seen))
        outputs = family.run_each(decoded, points)[..., 0]
        return {"own": field_loss(outputs, targets, self.space.truncation)}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mean IoU of decoded validation fields with their shapes, and with their own fields."""
        arm, (name,), known = self.arm, self.arm.families, self.held_out
        decoded = arm.decode(name, arm.encode(name, known.flat))
        found, own = (
            arm.families[name].run_each(flat, known.uniform)[..., 0] < 0
            for flat in (decoded, known.flat)
        )
        return {
            "validation_iou": iou(found, known.inside).mean().item(),
            "validation_iou_own": iou(found, own).mean().item(),
        }

    def score(self, found: Mapping[str, float]) -> float:
        """The IoU with the shapes themselves."""
        return found["validation_iou"]


def train_fields(
    arm: Arm,
    *,
    train: Fields,
    held_out: Fields,
    space: FieldSpace,
    stream: Stream,
    checkpoint: Checkpoint = NOWHERE,
    where: str = EMBEDDER,
) -> Curves:
    """Train `arm` in place and leave it at its best checkpoint by IoU on held-out shapes.

    Args:
        arm: a freshly built arm of the one architecture of the fields.
        train: training fields.
        held_out: validation fields.
        space: truncation and warp; the arm's own config says how it is trained.
        stream: what all draws come from.
        checkpoint, where: see `trainer.fit`.

    Raises:
        EmbedderError: there are no training or no validation fields, or the loss is not finite.
    """
    if not (len(train.flat) and len(held_out.flat)):
        raise EmbedderError("no fields to train and select the embedder with: all have diverged")
    (name,), alike = arm.families, torch.zeros(len(train.flat))
    points, rng = train.near.flatten(0, 1), stream.of("prepare").torch()
    arm.prepare({name: train.flat}, {name: alike}, points, rng)
    curves = fit(arm, stream, FieldObjective(arm, train, held_out, space), checkpoint, where)
    arm.settle({name: train.flat}, stream.of("settle").torch())
    return curves
