"""Variants of the space of one architecture: what reaches the goals, and what limits the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pandas as pd

from lib.report.blocks import Cell, Table
from lib.report.charts import Chart, Curve
from lib.report.single_notes import points_of
from lib.report.single_style import KEPT, VIOLET
from lib.report.single_summary import LOOK_UP, goal
from lib.report.style import INK, Look, percent, points
from lib.report.summary import Verdict
from lib.report.variants import Changes, Comparison, along

COLUMNS = {
    "ablations": (
        "variant",
        "trained_on",
        "latent_size",
        "split",
        "method",
        "seeds",
        "error",
        "correlation",
        "agreement",
        "error_low",
        "error_high",
        "error_spread",
        "agreement_low",
        "agreement_high",
        "agreement_spread",
    ),
    "reconstruction": ("method", "agreement", "target_accuracy", "accuracy"),
}
LOOKS = {
    ("decoded", "test"): Look("Held out (test)", "", INK, "circle"),
    ("decoded", "validation"): Look("Held out (validation)", "", INK, "circle", "dot"),
    ("decoded", "train"): Look("Training networks", "", VIOLET, "triangle-up", "dashdot"),
    ("refined", "test"): Look("Refined, held out (test)", "", KEPT["refined"].color, "square"),
    (LOOK_UP, "test"): KEPT[LOOK_UP],
    ("readout", "test"): KEPT["readout"],
}
SIZES = {
    "trained_on": ("Training networks", "zoo"),
    "latent_size": ("Numbers in a latent", "latent"),
}
KEYS = {"trained_on": "trained_on", "latent_size": "embedder.latent"}
SHARES = {
    "error": ("Error of accuracy", "Error"),
    "agreement": ("Agreement with the own target", "Agreement"),
}


SMALL = 0.01  # of agreement


def comparison(
    frame: pd.DataFrame,
    reconstruction: pd.DataFrame,
    changes: Changes,
    seconds: Mapping[str, float],
) -> Comparison:
    """What the page shows.

    Args:
        frame: `singlearch/ablations.csv`.
        reconstruction: `singlearch/reconstruction.csv`, for what distillation reaches.
        changes: what each variant changes.
        seconds: of one processor that training a variant took.
    """
    best = {method: chosen(frame, method) for method in ("decoded", "refined")}
    return Comparison(
        "Variants of the space of one architecture",
        "One zoo; embedders that know more or fewer networks, with more or fewer numbers in a "
        "latent, trained longer, with other losses, and of other kinds. Choices are made by "
        "validation networks and validation images; test networks and images are shown for all "
        "and choose nothing.",
        _headline(frame, best, seconds),
        list(_verdicts(frame, best)),
        list(charts(frame, reconstruction, changes)),
        list(limits(frame, changes)),
        table(frame, seconds, best.values()),
    )


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
        row = _of(frame, best[method], "test").loc[method]
        texts.append(
            f"{words}, “{best[method]}”: error {points_of(row['error'])}, correlation "
            f"{row['correlation']:.3f}, agreement {percent(row['agreement'])}, after "
            f"{seconds[best[method]]:.0f} s of one processor"
        )
    return f"The best variants on validation networks, on test networks: {'; '.join(texts)}."


def _verdicts(frame: pd.DataFrame, best: Mapping[str, str]) -> Iterator[Verdict]:
    for method, words in (("decoded", "From the encoder alone"), ("refined", "Latents refined")):
        found = _of(frame, best[method], "test")
        question = f"{words} (“{best[method]}”): does a held-out network come back?"
        yield goal(found, method, question, found.loc[method, "agreement"], "ablations")
    found = _of(frame, best["decoded"], "test")
    own, other = found.loc["decoded"], found.loc[LOOK_UP]
    reached = own["error"] < other["error"] and own["agreement"] > other["agreement"]
    yield Verdict(
        "reached" if reached else "short",
        f"From the encoder alone (“{best['decoded']}”): is it better than look-up?",
        f"Look-up: error {points_of(other['error'])}, agreement {percent(other['agreement'])}",
        "Smaller error and more agreement",
        "ablations",
    )


def charts(frame: pd.DataFrame, reconstruction: pd.DataFrame, changes: Changes) -> Iterator[Chart]:
    """Error and agreement against zoo size and latent size."""
    free = reconstruction[reconstruction["method"] == "distilled"]
    error = (free["accuracy"] - free["target_accuracy"]).abs().mean()
    levels = {"error": error, "agreement": free["agreement"].mean()}
    for size, (axis, name) in SIZES.items():
        rows = frame[frame["variant"].isin(along(changes, KEYS[size]))]
        if rows[size].nunique() < 2:
            continue
        for share, (title, short) in SHARES.items():
            curves = [
                Curve(look, by_size(rows, size, share, method, split))
                for (method, split), look in LOOKS.items()
            ]
            curves.append(Curve(KEPT["distilled"], {0: levels[share]}, level=True))
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
                "ablations",
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
    for size, (axis, _) in SIZES.items():
        rows = frame[frame["variant"].isin(along(changes, KEYS[size]))]
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
    """A row for each variant."""
    rows, names, strong = [], list(dict.fromkeys(frame["variant"])), set(best)
    for name in names:
        held, known, test = (_of(frame, name, split) for split in ("validation", "train", "test"))
        first = test.iloc[0]
        cells = [
            Cell(name, f"{first['seeds']} seeds" if first["seeds"] > 1 else ""),
            Cell(f"{first['trained_on']:,}"),
            Cell(f"{first['latent_size']:,}"),
            Cell(f"{seconds[name]:.0f}"),
            Cell(percent(known.loc["decoded", "agreement"])),
            Cell(percent(held.loc["decoded", "agreement"])),
        ]
        for method in ("decoded", "refined"):
            row = test.loc[method]
            cells += [
                Cell(f"{100 * row['error']:.1f}", _spread(row, "error")),
                Cell(f"{row['correlation']:.3f}"),
                Cell(percent(row["agreement"]), _spread(row, "agreement")),
            ]
        rows.append(cells)
    return Table(
        "table-variants",
        (
            "Variant",
            "Networks",
            "Numbers",
            "CPU s",
            "Training networks: agreement",
            "Validation: agreement",
            "Test: error, points",
            "Correlation",
            "Agreement",
            "Refined: error, points",
            "Correlation",
            "Agreement",
        ),
        rows,
        "CPU s: of training, the median of seeds. Below a mean its 95 % interval over networks "
        "and, of several seeds, the standard deviation of their means (±).",
        "ablations",
        strong=[name in strong for name in names],
    )


def _spread(row: pd.Series, name: str) -> str:
    low, high = (100 * row[f"{name}_{end}"] for end in ("low", "high"))
    text = f"{max(low, 0.0):.1f} to {high:.1f}"
    spread = row[f"{name}_spread"]
    return f"{text}; ±{100 * spread:.2f}" if np.isfinite(spread) else text
