"""Variants of the embedder on the same zoo: what comes back, of networks seen and held out."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan

import pandas as pd
import torch

from lib.data.images import ImageSplit
from lib.embed import Embedder
from lib.embed.multiarch import between, mix
from lib.engine import ensemble
from lib.evaluate.reconstruction import COLUMNS, Zoo, decoded_rows
from lib.evaluate.statistics import mean_interval

SPLITS = ("train", "validation", "test")
KEY = ["variant", "embedder", "split", "method", "architecture"]


def scores(
    embedder: Embedder,
    variant: str,
    seed: int,
    zoo: Mapping[str, Zoo],
    validation: ImageSplit,
    test: ImageSplit,
    band: int,
) -> pd.DataFrame:
    """One row for each network and method, with the columns of `reconstruction.csv`.

    Test networks are run on test images, those of the other splits on validation images: what is
    chosen by this table is to be chosen on the split `validation`.

    Methods: `decoded` and `mean_latent` as there; `inner`, the points between pairs of networks
    of the extremes where the inner architectures lie, with no target of their own. An inner point
    or a network whose architecture is predicted wrong is run as the predicted one.
    """
    parts = []
    for split in SPLITS:
        images = test if split == "test" else validation
        rows = decoded_rows(embedder, seed, zoo["train"], zoo[split], images, band)
        rows += _inner(embedder, seed, zoo[split], images)
        parts.append(pd.DataFrame(rows, columns=COLUMNS).assign(variant=variant, split=split))
    return pd.concat(parts, ignore_index=True)


def summary(found: pd.DataFrame) -> pd.DataFrame:
    """The table `ablations.csv`: means over networks and seeds, own above other with interval."""
    right = found["architecture"] == found["predicted_architecture"]
    found = found.assign(
        predicted_right=right.astype(float), own=found["agreement"] - found["agreement_other"]
    )
    rows = []
    for key, part in found.groupby(KEY, sort=False):
        means = {
            name: part[name].mean()
            for name in ("predicted_right", "target_accuracy", "accuracy", "agreement")
        }
        # Seeds repeat the same networks: the unit is the network, averaged over seeds.
        own = mean_interval(part.groupby("network")["own"].mean())
        spread = dict(zip(("own_above_other", "own_low", "own_high"), own, strict=True))
        counts = {"networks": part["network"].nunique(), "seeds": part["seed"].nunique()}
        rows.append(dict(zip(KEY, key, strict=True)) | counts | means | spread)
    return pd.DataFrame(rows)


def markdown(found: pd.DataFrame, seconds: Mapping[str, float]) -> str:
    """The same for people, as Markdown: a line for each variant, over all architectures.

    Args:
        found: the rows of all variants and seeds, as `scores` makes them.
        seconds: what training a variant took of one processor, by the variant's name.
    """
    lines = [
        {"variant": f"`{name}`", "CPU s": f"{seconds[name]:.0f}"} | _line(part)
        for name, part in found.groupby("variant", sort=False)
    ]
    rows = [list(lines[0]), ["---"] * len(lines[0]), *(line.values() for line in lines)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _line(part: pd.DataFrame) -> dict[str, str]:
    """One variant on test networks and images; `own - other` on training networks beside it."""
    part = part.assign(
        gap=part["accuracy"] - part["target_accuracy"],
        own=part["agreement"] - part["agreement_other"],
        wrong=part["architecture"] != part["predicted_architecture"],
    )
    held_out = part[part["split"] == "test"]
    decoded, inner = (held_out[held_out["method"] == kind] for kind in ("decoded", "inner"))
    known = part[(part["split"] == "train") & (part["method"] == "decoded")]
    return {
        "seeds": str(part["seed"].nunique()),
        "wrong architecture": f"{decoded['wrong'].sum()} of {len(decoded)}",
        "decoded - target": _spread(decoded, "gap"),
        "agreement": f"{100 * decoded['agreement'].mean():.2f}",
        "own - other": _spread(decoded, "own"),
        "own - other, training networks": _spread(known, "own"),
        "inner points, wrong": f"{inner['wrong'].sum()} of {len(inner)}",
        "inner points, accuracy": f"{100 * inner['accuracy'].mean():.1f}",
    }


def _spread(rows: pd.DataFrame, column: str) -> str:
    """Mean in points and its 95 % interval over networks, averaged over seeds."""
    mean, low, high = (100 * v for v in mean_interval(rows.groupby("network")[column].mean()))
    return f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"


@torch.no_grad()
def _inner(embedder: Embedder, seed: int, zoo: Zoo, images: ImageSplit) -> list[tuple]:
    arm, names, rows = embedder.arm, list(embedder.architectures), []
    first, last = zoo[names[0]], zoo[names[-1]]
    count = min(len(first.flat), len(last.flat))
    ends = [arm.encode(end.family.architecture, end.flat[:count]) for end in (first, last)]
    for name, gamma in zip(names[1:-1], between(len(names)), strict=True):
        latents = mix(*ends, gamma)
        classes = arm.classify(latents).argmax(-1).tolist()
        for i, (k, latent) in enumerate(zip(classes, latents, strict=True)):
            predicted = names[k]
            family = arm.families[predicted]
            outputs = family.predict(arm.decode(predicted, latent[None]), images.x)
            accuracy = ensemble.accuracy(outputs, images.y).item()
            pair = f"{first.names[i]}:{last.names[i]}"
            rows.append(
                (pair, name, "inner", predicted, nan, accuracy, nan, nan, arm.cfg.arm, seed)
            )
    return rows
