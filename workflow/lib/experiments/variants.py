"""Variants of a space on the same zoo: what comes back, of networks seen and held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from lib.config.experiments import Reconstruction
from lib.embed.between import between, mix
from lib.embed.product import Embedder
from lib.engine import ensemble
from lib.experiments.columns import CLASSIFIERS
from lib.experiments.decoding import run_predicted
from lib.experiments.measures import summary
from lib.experiments.reconstruction import Comparison
from lib.experiments.statistics import mean_interval
from lib.experiments.task import SPLITS, Row, Task, table

KEYS = ("variant", "trained_on", "latent_size", "split", "architecture")


def scores(
    task: Task, cfg: Reconstruction, variant: str, trained_on: int | None = None
) -> pd.DataFrame:
    """One row for each network and method, with the columns of `reconstruction.csv` and more.

    Test networks are run on test images, those of the other splits on validation images: what is
    chosen by this table is to be chosen on the split `validation`. Of the training networks as many
    are looked at as there are test networks.

    Methods: `decoded` and `mean_latent`; where there are inner architectures, `inner`, the points
    between pairs of networks of the extremes where those lie, with no target of their own; of
    held-out networks also `refined`, and look-up among the networks that the embedder was given,
    `nearest_agreement` and `readout` (see `Comparison.controls`). What is decoded from a latent
    whose architecture is predicted wrong is run as the predicted one.

    Args:
        task: the space with the variant's embedders, and what refinement draws from.
        cfg: how latents are refined.
        variant: its name.
        trained_on: how many training networks of each architecture its embedders were given.
    """
    parts = []
    for seed, embedder in task.embedders.items():
        for split in SPLITS:
            compared = [_comparison(task, name, split, trained_on) for name in task.architectures]
            rows = inner(embedder, seed, compared)
            for one in compared:
                rows += one.decoded(embedder, seed) + one.mean_latent(embedder, seed)
                if split != "train":
                    rows += one.refined(embedder, seed, cfg) + one.look_up()
            found = table(rows, CLASSIFIERS["reconstruction"])
            known = {one.architecture: len(one.train.flat) for one in compared}
            parts.append(
                found.assign(
                    variant=variant,
                    trained_on=found["architecture"].map(known),
                    latent_size=embedder.arm.cfg.latent,
                    split=split,
                )
            )
    return pd.concat(parts, ignore_index=True)


def _comparison(task: Task, name: str, split: str, trained_on: int | None) -> Comparison:
    train = task.zoo["train"][name].first(trained_on)
    looked_at = train if split == "train" else task.zoo[split][name]
    return Comparison(
        train=train,
        test=looked_at.first(len(task.zoo["test"][name].flat)),
        known=task.images["train"],
        images=task.images["test" if split == "test" else "validation"],
        stream=task.stream.of(name),
        seed=task.seed,
        band=task.controls.band,
    )


@torch.no_grad()
def inner(embedder: Embedder, seed: int, compared: Sequence[Comparison]) -> list[Row]:
    """Rows of the points between the extremes where the inner architectures lie.

    One for each pair of networks with the same place in their lists.
    """
    arm, names, rows = embedder.arm, embedder.architectures, []
    first, last = compared[0], compared[-1]
    pairs = list(zip(first.test.names, last.test.names, strict=False))
    ends = [arm.encode(one.architecture, one.test.flat[: len(pairs)]) for one in (first, last)]
    for name, gamma in zip(names[1:-1], between(len(names)), strict=True):
        classes, outputs = run_predicted(arm, mix(*ends, gamma), first.images.x)
        found = {
            "network": [f"{one}:{other}" for one, other in pairs],
            "architecture": name,
            "method": "inner",
            "predicted_architecture": classes,
            "accuracy": ensemble.accuracy(outputs, first.images.y).tolist(),
            "embedder": arm.cfg.arm,
            "seed": seed,
        }
        rows += pd.DataFrame(found).to_dict("records")
    return rows


def summarise(found: pd.DataFrame) -> pd.DataFrame:
    """The table `variants.csv`: `measures.summary` of each variant, split and architecture.

    With it the share of latents whose architecture is predicted right; mean accuracies; how far
    agreement with the own target lies above that with others, `own_above_other`; for this, error
    and agreement the 95 % interval of the mean over networks, each the mean of its seeds (`_low`,
    `_high`); and for the latter two the standard deviation over seeds of their means (`_spread`;
    NaN of one seed).

    Args:
        found: the rows of all variants and seeds, as `scores` makes them.
    """
    found = found.assign(
        predicted_right=(found["architecture"] == found["predicted_architecture"]).astype(float),
        error=(found["accuracy"] - found["target_accuracy"]).abs(),
        own=found["agreement"] - found["agreement_other"],
    )
    parts = found.groupby([*KEYS, "method", "embedder"], sort=False)
    beside = pd.DataFrame(_beside(part) for _, part in parts)
    return pd.concat([summary(found, *KEYS), beside], axis=1)


def _beside(part: pd.DataFrame) -> Row:
    row = {name: part[name].mean() for name in ("predicted_right", "target_accuracy", "accuracy")}
    # Seeds repeat the same networks: the unit is the network, averaged over seeds.
    own = mean_interval(part.groupby("network")["own"].mean())
    row |= dict(zip(("own_above_other", "own_low", "own_high"), own, strict=True))
    for name in ("error", "agreement"):
        _, low, high = mean_interval(part.groupby("network")[name].mean())
        seeds = part.groupby("seed")[name].mean()
        spread = seeds.std(ddof=1) if len(seeds) > 1 else np.nan
        row |= {f"{name}_low": low, f"{name}_high": high, f"{name}_spread": spread}
    return row


def markdown(found: pd.DataFrame, seconds: Mapping[str, float]) -> str:
    """The same for people, as Markdown: a line for each variant, over all architectures.

    Args:
        found: the rows of all variants and seeds, as `scores` makes them.
        seconds: what training a variant took of one processor, by the variant's name.
    """
    found = found.assign(
        gap=found["accuracy"] - found["target_accuracy"],
        own=found["agreement"] - found["agreement_other"],
        wrong=found["architecture"] != found["predicted_architecture"],
    )
    one = found["architecture"].nunique() == 1
    lines = [
        {"variant": f"`{name}`", "CPU s": f"{seconds[name]:.0f}"}
        | {head: cell for head, cell in _line(part).items() if not (one and "wrong" in head)}
        for name, part in found.groupby("variant", sort=False)
    ]
    rows = [list(lines[0]), ["---"] * len(lines[0]), *(line.values() for line in lines)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _line(part: pd.DataFrame) -> dict[str, str]:
    """One variant on test networks and images; `own - other` on training networks beside it."""
    held_out = part[part["split"] == "test"]
    decoded, between_them = (held_out[held_out["method"] == kind] for kind in ("decoded", "inner"))
    known = part[(part["split"] == "train") & (part["method"] == "decoded")]
    line = {
        "seeds": str(decoded["seed"].nunique()),
        "wrong architecture": f"{decoded['wrong'].sum()} of {len(decoded)}",
        "decoded - target": _spread(decoded, "gap"),
        "agreement": f"{100 * decoded['agreement'].mean():.2f}",
        "own - other": _spread(decoded, "own"),
        "own - other, training networks": _spread(known, "own"),
    }
    if len(between_them):
        wrong = between_them["wrong"].sum()
        line["inner points, wrong"] = f"{wrong} of {len(between_them)}"
        line["inner points, accuracy"] = f"{100 * between_them['accuracy'].mean():.1f}"
    return line


def _spread(rows: pd.DataFrame, column: str) -> str:
    """Mean in points and its 95 % interval over networks, averaged over seeds."""
    mean, low, high = (100 * v for v in mean_interval(rows.groupby("network")[column].mean()))
    return f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"
