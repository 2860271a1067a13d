"""Variants of a space of classifiers: what reaches the goals, and what limits the rest."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pandas as pd

from lib.report.blocks import Cell, Rows, Table, Verdict
from lib.report.charts import Chart, Curve
from lib.report.methods import VIOLET, Look, listed, look
from lib.report.sections.reconstruction_goals import LOOK_UP, goal, state
from lib.report.style import INK, interval, percent, points, points_of
from lib.report.variants import Changes, Comparison, along

SOURCE = "variants"
KEYS = ["variant", "trained_on", "latent_size", "split", "method"]
EVERY = "All architectures"
LOOKS = {
    ("decoded", "test"): Look("Held out (test)", "", INK, "circle"),
    ("decoded", "validation"): Look("Held out (validation)", "", INK, "circle", "dot"),
    ("decoded", "train"): Look("Training networks", "", VIOLET, "triangle-up", "dashdot"),
    ("refined", "test"): Look("Refined, held out (test)", "", look("refined").color, "square"),
    (LOOK_UP, "test"): look(LOOK_UP),
    ("readout", "test"): look("readout"),
}
# Of an axis of sizes: its title, its part in the names of figures, the key of the config.
SIZES = {
    "trained_on": ("Training networks", "zoo", "trained_on"),
    "latent_size": ("Numbers in a latent", "latent", "embedder.latent"),
}
SHARES = {
    "error": ("Error of accuracy", "Error"),
    "agreement": ("Agreement with the own target", "Agreement"),
}
BEST = {"decoded": "From the encoder alone", "refined": "Latents refined"}
SMALL = 0.01  # of agreement


def comparison(
    frame: pd.DataFrame,
    changes: Changes,
    seconds: Mapping[str, float],
    reconstruction: pd.DataFrame | None = None,
) -> Comparison:
    """What the page shows.

    Args:
        frame: `variants.csv`.
        changes: what each variant changes.
        seconds: of one processor that training a variant took.
        reconstruction: `reconstruction.csv` of the space, for what distillation reaches.
    """
    names, mean = list(dict.fromkeys(frame["architecture"])), over_architectures(frame)
    best = {method: chosen(mean, method) for method in BEST if method in set(mean["method"])}
    return Comparison(
        f"Variants of the space of {listed(names)}",
        "One zoo; embedders that know more or fewer networks, with more or fewer numbers in a "
        "latent, trained longer, with other losses, and of other kinds. Choices are made by "
        "validation networks and validation images; test networks and images are shown for all "
        "and choose nothing.",
        _headline(mean, best, seconds),
        list(_alone(mean, best) if len(names) == 1 else _several(frame, best["decoded"])),
        list(charts(mean, reconstruction, changes)),
        list(limits(mean, changes)),
        table(frame, seconds, best.values()),
    )


def over_architectures(frame: pd.DataFrame) -> pd.DataFrame:
    """One row for each variant, split and method: means over architectures.

    Intervals of a mean over architectures are not known: of several they are NaN.
    """
    bounds = [name for name in frame if name.endswith(("_low", "_high", "_spread"))]
    if frame["architecture"].nunique() > 1:
        frame = frame.assign(**dict.fromkeys(bounds, math.nan))
    return frame.groupby(KEYS, sort=False).mean(numeric_only=True).reset_index()


def chosen(frame: pd.DataFrame, method: str) -> str:
    """The variant of highest agreement with validation networks."""
    rows = frame[(frame["split"] == "validation") & (frame["method"] == method)]
    return rows.loc[rows["agreement"].idxmax(), "variant"]


def _of(frame: pd.DataFrame, variant: str, split: str) -> pd.DataFrame:
    some = frame[(frame["variant"] == variant) & (frame["split"] == split)]
    return some.set_index("method")


def _headline(frame: pd.DataFrame, best: Mapping[str, str], seconds: Mapping[str, float]) -> str:
    texts = []
    for method, words in (("decoded", "encoder alone"), ("refined", "latents refined")):
        if method not in best:
            continue
        row = _of(frame, best[method], "test").loc[method]
        texts.append(
            f"{words}, “{best[method]}”: error {points_of(row['error'])}, correlation "
            f"{row['correlation']:.3f}, agreement {percent(row['agreement'])}, after "
            f"{seconds[best[method]]:.0f} s of one processor"
        )
    return f"The best variants on validation networks, on test networks: {'; '.join(texts)}."


def _alone(frame: pd.DataFrame, best: Mapping[str, str]) -> Iterator[Verdict]:
    """The goals of one architecture."""
    for method, variant in best.items():
        found = _of(frame, variant, "test")
        question = f"{BEST[method]} (“{variant}”): does a held-out network come back?"
        yield goal(found, method, question, found.loc[method, "agreement"], SOURCE)
    found = _of(frame, best["decoded"], "test")
    own, other = found.loc["decoded"], found.loc[LOOK_UP]
    reached = own["error"] < other["error"] and own["agreement"] > other["agreement"]
    yield Verdict(
        state(reached),
        f"From the encoder alone (“{best['decoded']}”): is it better than look-up?",
        f"Look-up: error {points_of(other['error'])}, agreement {percent(other['agreement'])}",
        "Smaller error and more agreement",
        SOURCE,
    )


def _several(frame: pd.DataFrame, best: str) -> Iterator[Verdict]:
    """Of several architectures: is the architecture kept, and the individual?"""
    rows = frame[(frame["variant"] == best) & (frame["split"] == "test")]
    rows = rows[rows["method"] == "decoded"].set_index("architecture")
    right = rows["predicted_right"]
    yield Verdict(
        state(bool((right == 1).all())),
        f"Do networks held out come back with their own architecture (“{best}”)?",
        ", ".join(f"{name} {percent(share)}" for name, share in right.items()),
        "All",
        SOURCE,
    )
    texts = [
        f"{name} {points(row['own_above_other'])} "
        f"({interval(row['own_low'], row['own_high'], points)})"
        for name, row in rows.iterrows()
    ]
    known = np.isfinite(rows["own_low"]).all()
    yield Verdict(
        state(bool((rows["own_low"] > 0).all())) if known else "open",
        f"Do they answer like their own target rather than others (“{best}”)?",
        f"Agreement with own minus other targets, in points: {'; '.join(texts)}",
        "Above zero in every architecture, interval excluding zero",
        SOURCE,
    )


def charts(
    frame: pd.DataFrame, reconstruction: pd.DataFrame | None, changes: Changes
) -> Iterator[Chart]:
    """Error and agreement against zoo size and latent size."""
    levels = {}
    if reconstruction is not None:
        free = reconstruction[reconstruction["method"] == "distilled"]
        error = (free["accuracy"] - free["target_accuracy"]).abs().mean()
        levels = {"error": error, "agreement": free["agreement"].mean()}
    for size, (axis, name, key) in SIZES.items():
        rows = frame[frame["variant"].isin(along(changes, key))]
        if rows[size].nunique() < 2:
            continue
        for share, (title, short) in SHARES.items():
            curves = [
                Curve(shown, by_size(rows, size, share, method, split))
                for (method, split), shown in LOOKS.items()
            ]
            if math.isfinite(levels.get(share, math.nan)):
                curves.append(Curve(look("distilled"), {0: levels[share]}, level=True))
            yield Chart(
                f"fig-{name}-{share}",
                f"{short} by {axis.lower()}",
                f"{title} against {axis.lower()}: training networks, held-out ones, controls.",
                axis,
                title,
                [curve for curve in curves if curve.values],
                "Test networks on test images, the others on validation images. Distilled: fresh "
                "networks, all weights free, for as many steps as the study refines latents; "
                "variants may be refined for fewer.",
                SOURCE,
                logarithmic=share == "error",
            )


def by_size(
    rows: pd.DataFrame, size: str, share: str, method: str, split: str
) -> dict[float, float]:
    """Shares by size, of the variants that have this size alone."""
    some = rows[(rows["method"] == method) & (rows["split"] == split)]
    return some.sort_values(size).drop_duplicates(size).set_index(size)[share].to_dict()


def limits(frame: pd.DataFrame, changes: Changes) -> Iterator[str]:
    """What more of anything adds to agreement, on validation networks; what is short elsewhere."""
    for size, (axis, _, key) in SIZES.items():
        rows = frame[frame["variant"].isin(along(changes, key))]
        held, known = (
            by_size(rows, size, "agreement", "decoded", split) for split in ("validation", "train")
        )
        for first, last in list(zip(held, list(held)[1:], strict=False))[-2:]:
            yield (
                f"{axis}, {first:,} to {last:,}: agreement on held-out networks "
                f"{points(held[last] - held[first])} points, on training networks "
                f"{points(known[last] - known[first])}."
            )
    best = chosen(frame, "decoded")
    held, known = (
        _of(frame, best, split).loc["decoded", "agreement"] for split in ("validation", "train")
    )
    text = (
        f"“{best}” gives back training networks with {percent(known)} and held-out networks with "
    )
    if known - held < SMALL:
        yield f"{text}{percent(held)}: no worse, so it is not more networks that it lacks."
    else:
        yield f"{text}{percent(held)}: the difference is what more networks could add."


def table(frame: pd.DataFrame, seconds: Mapping[str, float], best: Iterable[str]) -> Table:
    """A row for each variant; of several architectures also for each of them."""
    rows, strong = Rows(), set(best)
    architectures = list(dict.fromkeys(frame["architecture"]))
    several, refined = len(architectures) > 1, "refined" in set(frame["method"])
    groups = {EVERY: over_architectures(frame)} if several else {}
    groups |= {name: frame[frame["architecture"] == name] for name in architectures}
    for group, part in groups.items():
        for name in dict.fromkeys(part["variant"]):
            held, known, test = (_of(part, name, at) for at in ("validation", "train", "test"))
            decoded, seeds = test.loc["decoded"], int(test.iloc[0]["seeds"])
            cells = [
                Cell(name, f"{seeds} seeds" if seeds > 1 else ""),
                f"{decoded['trained_on']:,.0f}",
                f"{decoded['latent_size']:,.0f}",
                f"{seconds[name]:.0f}",
                percent(known.loc["decoded", "agreement"]),
                percent(held.loc["decoded", "agreement"]),
            ]
            if several:
                own = interval(decoded["own_low"], decoded["own_high"], points)
                cells.append(percent(decoded["predicted_right"]))
                cells.append(Cell(points(decoded["own_above_other"]), own))
            for method in ("decoded", "refined") if refined else ("decoded",):
                row = test.loc[method]
                cells += [
                    Cell(f"{100 * row['error']:.1f}", _spread(row, "error")),
                    f"{row['correlation']:.3f}",
                    Cell(percent(row["agreement"]), _spread(row, "agreement")),
                ]
            rows.add(*cells, group=group if several else "", strong=name in strong)
    return rows.table(
        "table-variants",
        (
            "Variant",
            "Networks",
            "Numbers",
            "CPU s",
            "Training networks: agreement",
            "Validation: agreement",
            *(("Right architecture", "Own minus other, points") if several else ()),
            "Test: error, points",
            "Correlation",
            "Agreement",
            *(("Refined: error, points", "Correlation", "Agreement") if refined else ()),
        ),
        "CPU s: of training, the median of seeds. Below a mean its 95 % interval over networks "
        "and, of several seeds, the standard deviation of their means (±).",
        SOURCE,
    )


def _spread(row: pd.Series, name: str) -> str:
    low, high = (100 * row[f"{name}_{end}"] for end in ("low", "high"))
    text = f"{max(low, 0.0):.1f} to {high:.1f}" if math.isfinite(low) else ""
    spread = row[f"{name}_spread"]
    return f"{text}; ±{100 * spread:.2f}" if np.isfinite(spread) else text
