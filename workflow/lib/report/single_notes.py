"""What each experiment in the space of one architecture found, in a sentence from its table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd

from lib.evaluate.performance import barriers
from lib.evaluate.statistics import mean_interval
from lib.report.single_inputs import SinglearchData
from lib.report.single_style import BANDS, FEATURES, TUNED, WALKS
from lib.report.style import interval, percent, points
from lib.report.summary import Verdict

MODELS = {"ridge": "ridge", "boosting": "boosting", "none": ""}


def points_of(share: float) -> str:
    """A share as unsigned points: 0.031 is "3.1 points"."""
    return f"{100 * share:.1f} points"


def _walk(frame: pd.DataFrame) -> str:
    lost = barriers(frame)
    good = lost[lost["ends"] == "good"]
    means = good.groupby("method")["barrier"].mean()
    return (
        "Accuracy in the middle against the two ends, in points: "
        + ", ".join(
            f"{look.label.lower()} {points(-means[method])}"
            for method, look in WALKS.items()
            if method in means
        )
        if len(good)
        else ""
    )


def _tuned(frame: pd.DataFrame) -> str:
    chosen = frame[frame["test_accuracy"].notna()]
    poor = ~chosen["start"].astype(str).str.startswith("random-")
    texts = []
    for method, look in TUNED.items():
        some = chosen[(chosen["method"] == method) & poor]
        if len(some):
            texts.append(f"{look.label.lower()} {percent(some['test_accuracy'].mean())}")
    random = chosen[(chosen["method"] == "latent") & ~poor]
    from_random = (
        f"; from random latents {percent(random['test_accuracy'].mean())}" if len(random) else ""
    )
    return f"Test accuracy from poor networks: {', '.join(texts)}{from_random}" if texts else ""


def winner(frame: pd.DataFrame, target: str) -> tuple[str, str]:
    """Who predicts a target best by R2, the latent or the best of the others, and a sentence."""
    part = frame[(frame["target"] == target) & (frame["features"] != "validation_accuracy")]
    means = part.groupby(["features", "model"])[["r2", "r2_low"]].mean().fillna(-np.inf)
    latent = means.index.get_level_values("features") == "latent"
    first, second = sorted(
        (means[rows]["r2"].idxmax() for rows in (latent, ~latent)),
        key=lambda name: -means.loc[name, "r2"],
    )
    ahead, behind = means.loc[first], means.loc[second]
    word = "wins" if behind["r2"] < ahead["r2_low"] else "is ahead, within the interval"
    return first[0], (
        f"{_named(*first)} {word}, R² {ahead['r2']:.2f} against {behind['r2']:.2f} of "
        f"{_named(*second)}"
    )


def _named(features: str, model: str) -> str:
    return f"{FEATURES[features].label.lower()} ({MODELS[model]})"


NAMES = {"test_accuracy": "test accuracy", "epochs": "epochs", "learning_rate": "learning rate"}


def _known(frame: pd.DataFrame) -> str:
    targets = [name for name in NAMES if name in set(frame["target"])]
    texts = [f"{NAMES[target]}: {winner(frame, target)[1]}" for target in targets]
    return "; ".join(texts)[:1].upper() + "; ".join(texts)[1:]


def _drawn(frame: pd.DataFrame) -> str:
    by = frame.groupby(["kind", "band", "epochs"])["accuracy"].mean()
    texts = []
    for epochs in sorted(set(frame["epochs"]))[:2]:
        parts = [
            f"{word} {percent(by[kind, band, epochs])}"
            for kind, band, word in (
                ("kde", "high", "drawn from kernels"),
                ("mixture", "high", "from a mixture"),
                ("noise", "high", "noisy training networks"),
                ("initialised", "", "fresh ones"),
            )
            if (kind, band, epochs) in by.index
        ]
        if parts:
            when = "As drawn" if epochs == 0 else f"after {epochs} epoch{'s' if epochs > 1 else ''}"
            texts.append(f"{when}: {', '.join(parts)}")
    return "; ".join(texts) + " (best third)" if texts else ""


def _new(frame: pd.DataFrame) -> str:
    """Networks drawn for the best third, held against held-out networks and noise."""
    best = frame[frame["band"] == BANDS[-1]]
    parts = {kind: best[best["kind"] == kind] for kind in ("mixture", "held_out", "noise")}
    if any(part.empty for part in parts.values()):
        return ""
    texts = []
    for what, column, sign, form in (
        ("weights", "weight_distance", -1, lambda value: f"{value:.2f}"),
        ("answers", "error_overlap", 1, percent),
    ):
        drawn, held_out, noise = (sign * part[column] for part in parts.values())
        told = "copies" if drawn.mean() >= noise.mean() else "neither new nor copies"
        if not _above(drawn, held_out):
            told = "new"
        means = [form(abs(values.mean())) for values in (drawn, held_out, noise)]
        measure = "distance" if what == "weights" else "errors in common"
        texts.append(f"in {what} {told} ({measure} {', '.join(means[:2])} and {means[2]})")
    return (
        f"Drawn networks of the best third are {'; '.join(texts)}, for drawn, held-out and noisy "
        "training networks, to the nearest training network"
    )


def _above(values: pd.Series, others: pd.Series) -> bool:
    """Whether a mean is above another and the 95 % interval of the difference excludes zero."""
    error = np.sqrt(values.var() / len(values) + others.var() / len(others))
    return bool(values.mean() - others.mean() > 1.96 * error)


def _moved(frame: pd.DataFrame) -> str:
    chosen = frame[frame["chosen"].astype(str) == "True"]
    poor = chosen[chosen["band"] == "low"]
    texts = []
    for method, word in (
        ("latent", "latents"),
        ("random", "random direction"),
        ("weights", "weights"),
    ):
        some = poor[poor["method"] == method]
        if len(some):
            mean, low, high = mean_interval(some["change"])
            spread = f" ({interval(low, high, points)})" if np.isfinite(low) else ""
            scale = f"{some['scale'].iloc[0]:g}".replace("-", "−")
            texts.append(f"{word} {points(mean)}{spread} at scale {scale}")
    return f"Poor third, change in points: {', '.join(texts)}" if texts else ""


NOTES: tuple[tuple[str, Callable[[pd.DataFrame], str], str], ...] = (
    ("Does the way between two good networks stay good?", _walk, "interpolation"),
    ("Can a latent be optimised into a good network?", _tuned, "latent_optimization"),
    (
        "Does a latent tell how a network was trained and how good it is?",
        _known,
        "property_prediction",
    ),
    ("Are networks drawn from the space good, and a good start?", _drawn, "sampling"),
    ("Are they new, or copies of training networks?", _new, "novelty"),
    ("Does the direction from poor to good lead to better networks?", _moved, "arithmetic"),
)


def shortcomings(
    data: SinglearchData, table: pd.DataFrame, found: Sequence[Verdict]
) -> Iterator[str]:
    """What did not work, from the numbers; `table` is that of `single_summary.whole`."""
    for verdict in found:
        if verdict.state == "short":
            yield f"{verdict.question} Short of its goal ({verdict.goal}). {verdict.answer}."
    row = table.loc["decoded"]
    fifths = {k: row[f"agreement_{k}"] for k in range(1, 6) if np.isfinite(row[f"agreement_{k}"])}
    worst = min(fifths, key=fifths.get)
    yield (
        f"Agreement is lowest in fifth {worst} of the range of accuracy (1 is the poorest): "
        f"{percent(fifths[worst])}, against {percent(max(fifths.values()))} in the best."
    )
    lost = barriers(data.interpolation)
    means = lost[lost["ends"] == "good"].groupby("method")["barrier"].mean()
    if {"aligned", "weights"} <= set(means.index):
        yield (
            "Aligning neurons takes the mean barrier between good networks from "
            f"{points_of(means['weights'])} to {points_of(means['aligned'])}"
            + (
                f", resetting statistics to {points_of(means['aligned_reset'])}"
                if "aligned_reset" in means
                else ""
            )
            + ": networks this narrow are not connected by a permutation."
            if means.get("aligned_reset", means["aligned"]) > 0.1
            else "."
        )
    for target in [name for name in NAMES if name in set(data.property_prediction["target"])]:
        first, text = winner(data.property_prediction, target)
        if first != "latent":
            yield f"For {NAMES[target]}, the latent is not the best predictor: {text}."
    chosen = data.latent_optimization[data.latent_optimization["test_accuracy"].notna()]
    reached = chosen.groupby("method")["test_accuracy"].mean()
    if {"latent", "weights"} <= set(reached.index) and reached["latent"] < reached.max():
        best = reached.idxmax()
        yield (
            f"Optimised latents reach {percent(reached['latent'])} on average, "
            f"{TUNED[best].label.lower()} {percent(reached[best])}: what the decoder can write "
            "bounds them."
        )
