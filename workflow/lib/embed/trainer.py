"""Train an embedder: every step decodes a few networks of each architecture and runs them."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from lib import ensemble
from lib.config import Embedding
from lib.data.images import ImageSplit
from lib.embed import losses
from lib.embed.arm import Arm, EmbedderError
from lib.embed.pool import Pool
from lib.progress import track
from lib.repro import generator

WARM_UP = 50  # steps
LOG_EVERY = 50  # steps
Networks = Mapping[str, Tensor]  # architecture -> [n, P]


@dataclass
class Curves:
    """Losses and validation scores while training, as rows (step, name, value)."""

    rows: list[tuple[int, str, float]] = field(default_factory=list)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Note values at a (1-based) step."""
        self.rows += [(step, name, float(value)) for name, value in values.items()]


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
        return arm.spaces[name].run(arm.decode(name, latent), x)
    names, classes = list(arm.spaces), arm.classify(latent).argmax(-1).tolist()
    return torch.cat(
        [
            arm.spaces[names[k]].run(arm.decode(names[k], one[None]), x)
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
    names, cfg = list(arm.spaces), arm.cfg
    mixed = cfg.draw == "mixed"
    over = "sum" if mixed else "mean"
    reduce = getattr(torch, over)
    total = dict.fromkeys(
        ("own", "teacher", "label", "architecture", "interpolation"),
        torch.zeros((), device=x.device),
    )
    latents = {name: arm.embed(name, seen[name]) for name in networks}

    def placed(name: str, latent: Tensor) -> Tensor:
        wanted = torch.full((len(latent),), names.index(name), device=latent.device)
        return F.cross_entropy(arm.classify(latent), wanted, reduction=over)

    def distilled(outputs: Tensor, targets: Tensor) -> Tensor:
        return reduce(losses.distillation(outputs, targets, cfg.temperature))

    for name, flat in networks.items():
        space = arm.spaces[name]
        with torch.no_grad():
            targets = space.run(flat, x)
        outputs = run_decoded(arm, name, latents[name], x)
        total["own"] = total["own"] + distilled(outputs, targets)
        outputs = outputs[:, :clean]
        total["teacher"] = total["teacher"] + distilled(outputs, teacher)
        total["label"] = total["label"] + reduce(losses.labels(outputs, y))
        total["architecture"] = total["architecture"] + placed(name, latents[name])
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
    names, accuracies, agreements, latents = list(arm.spaces), [], [], {}
    for k, name in enumerate(names):
        if name not in networks:
            continue
        space, flat = arm.spaces[name], networks[name]
        latents[name] = arm.encode(name, flat)
        right = (arm.classify(latents[name]).argmax(-1) == k).float()
        outputs = space.predict(arm.decode(name, latents[name]), images.x)
        accuracies.append((right * ensemble.accuracy(outputs, images.y)).mean())
        agreements.append(
            (right * ensemble.agreement(outputs, space.predict(flat, images.x))).mean()
        )
    inner = []
    if names[0] in latents and names[-1] in latents:
        count = min(len(latents[names[0]]), len(latents[names[-1]]))
        for k, (name, gamma) in enumerate(zip(names[1:-1], between(len(names)), strict=True), 1):
            latent = mix(latents[names[0]][:count], latents[names[-1]][:count], gamma)
            right = (arm.classify(latent).argmax(-1) == k).float()
            outputs = arm.spaces[name].predict(arm.decode(name, latent), images.x)
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


def train(
    arm: Arm,
    names: tuple,
    networks: Networks,
    scores: Networks,
    held_out: Networks,
    images: ImageSplit,
    validation: ImageSplit,
    teacher: Tensor,
    fresh: dict[str, Tensor] | None = None,
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
    """
    cfg: Embedding = arm.cfg
    for name, flat in networks.items():
        if not len(flat):
            raise EmbedderError(f"no {name} to train the embedder with: all have diverged")
    fresh = fresh or {}
    unranked = {name: torch.zeros(len(flat)) for name, flat in fresh.items()}
    arm.prepare(networks | fresh, scores | unranked, images.x, generator(*names, "prepare"))
    pool, clean = Pool.of(arm, networks, cfg.versions, names), cfg.clean
    optimizer = torch.optim.Adam(
        [p for p in arm.parameters() if p.requires_grad], lr=cfg.learning_rate, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: pace(cfg, step))
    curves, best, best_score, latest = Curves(), None, -math.inf, [math.nan]
    for step in track(range(cfg.steps), "steps", note=lambda: f"loss {latest[0]:.3f}"):
        rng = generator(*names, "step", step)
        flat, seen = pool.draw(cfg.networks, rng, cfg.draw == "mixed")
        x, chosen = noisy_images(images, cfg, rng)
        y, wanted = images.y[chosen[:clean]], teacher[chosen[:clean]]
        parts = step_losses(arm, flat, seen, x, y, wanted, clean)
        loss = sum(getattr(cfg.weights, name) * part for name, part in parts.items())
        optimizer.zero_grad()
        loss.backward()
        if cfg.clip:
            torch.nn.utils.clip_grad_norm_(arm.parameters(), cfg.clip)
        optimizer.step()
        schedule.step()
        latest[0], done = loss.item(), step + 1
        if not math.isfinite(latest[0]):
            raise EmbedderError(
                f"the embedder's loss is not finite at step {done}; lower embedder.learning_rate"
            )
        if done % LOG_EVERY == 0 or done == 1:
            curves.add(done, {"loss": latest[0], **{k: v.item() for k, v in parts.items()}})
        if done % cfg.select_every == 0 or done == cfg.steps:
            found = validate(arm, held_out, validation)
            curves.add(done, found)
            if (reached := score(found, cfg.select_by)) > best_score:
                best, best_score = copy.deepcopy(arm.state_dict()), reached
                curves.add(done, {"selected": best_score})
    arm.load_state_dict(best)
    return curves


def pace(cfg: Embedding, step: int) -> float:
    """Factor on the learning rate at a (0-based) step."""
    if cfg.schedule == "constant":
        return 1.0
    return min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / cfg.steps))


def noisy_images(images: ImageSplit, cfg: Embedding, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """A batch [B, C, H, W] of images, noisy after the first `cfg.clean`, and their numbers [B]."""
    chosen = torch.randint(len(images.y), (cfg.batch_size,), generator=rng).to(images.x.device)
    x, clean = images.x[chosen], cfg.clean
    level = cfg.image_noise * torch.rand(len(x) - clean, 1, 1, 1, generator=rng)
    noise = level * torch.randn(x[clean:].shape, generator=rng)
    return torch.cat([x[:clean], x[clean:] + noise.to(x.device)]), chosen
