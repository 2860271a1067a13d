"""The report's tables: rows of finished text made from frames, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from lib.evaluate.statistics import mean_interval
from lib.report.blocks import Cell, Table
from lib.report.style import METHODS, interval, method_label, percent, points
from lib.report.summary import at_inner_points, chosen, run_count

EVERY = "All architectures"
MOST_EPOCHS = 4  # epochs of divergence that are listed one by one


def _mean(values: pd.Series, form=percent) -> Cell:
    mean, low, high = mean_interval(values)
    if form is percent:
        low, high = max(low, 0.0), min(high, 1.0)
    return Cell(form(mean), interval(low, high, form))


def glossary(*frames: pd.DataFrame) -> list[tuple[str, str]]:
    """Every method of some frames that has an explanation: (label, explanation)."""
    methods = dict.fromkeys(method for frame in frames for method in frame["method"])
    return [METHODS[method] for method in methods if method in METHODS]


def reconstruction(networks: pd.DataFrame, architectures: Sequence[str]) -> Table:
    """Decoded networks and all controls, over all architectures and for each one."""
    rows, group, strong = [], [], []
    methods = list(dict.fromkeys(networks["method"]))
    methods.sort(key=lambda name: not name.startswith("decoded"))
    for part in (EVERY, *architectures):
        inside = networks if part == EVERY else networks[networks["architecture"] == part]
        for method in methods:
            some = inside[inside["method"] == method]
            if some.empty:
                continue
            rows.append(
                [
                    Cell(method_label(method)),
                    Cell(f"{int(some['failed'].sum())} of {int(some['runs'].sum())}"),
                    _mean(some["accuracy"]),
                    _mean(some["gap"], points),
                    _mean(some["agreement"]),
                    _mean(some["agreement_other"]),
                    _mean(some["margin"], points),
                ]
            )
            group.append(part)
            strong.append(method == "decoded")
    return Table(
        "table-reconstruction",
        (
            "Method",
            "Wrong architecture",
            "Test accuracy",
            "Change to target, points",
            "Agreement with own target",
            "Agreement with other targets",
            "Own minus other, points",
        ),
        rows,
        "Mean over test networks on test images; below it the 95 % interval.",
        "reconstruction",
        group=group,
        strong=strong,
    )


def interpolation(
    frame: pd.DataFrame, architectures: Sequence[str], trained: dict[str, float]
) -> Table | None:
    """The inner points, method by method, beside the trained networks due there."""
    inner = at_inner_points(frame, architectures)
    if inner.empty:
        return None
    rows, strong = [], []
    for (point, name), some in inner.groupby(["point", "expected"], sort=False):
        for method, part in some.groupby("method", sort=False):
            right = part["predicted_architecture"] == name
            reference = trained.get(name, float("nan"))
            per_pair = part.groupby("pair", sort=False)["accuracy"].mean()
            rows.append(
                [
                    Cell(str(point), name),
                    Cell(method_label(method)),
                    Cell(str(len(per_pair))),
                    Cell(percent(right.mean())),
                    _mean(per_pair),
                    Cell(percent(reference)),
                    _mean(per_pair - reference, points),
                ]
            )
            strong.append(method == "latent")
    return Table(
        "table-interpolation",
        (
            "Point",
            "Mixed",
            "Pairs",
            "Predicted as due",
            "Test accuracy",
            "Trained networks",
            "Difference, points",
        ),
        rows,
        "Every pair counts, whatever was predicted. Mean over pairs with the 95 % interval; pairs "
        "share networks, so the interval is narrower than one over independent pairs.",
        "interpolation",
        heads=2,
        strong=strong,
    )


def optimization(
    frame: pd.DataFrame, architectures: Sequence[str], trained: dict[str, float]
) -> Table:
    """The chosen step of every run, averaged over starts and seeds."""
    rows, strong = [], []
    for name in architectures:
        for method, runs in frame[frame["architecture"] == name].groupby("method", sort=False):
            reference = trained.get(name, float("nan"))
            some, total = chosen(runs), run_count(runs)
            step = some["step"].median()
            rows.append(
                [
                    Cell(name),
                    Cell(method_label(method)),
                    Cell(f"{len(some)} of {total}"),
                    Cell(f"{step:.0f}" if step > 0 else "–"),
                    Cell(percent(some["validation_accuracy"].mean()) if len(some) else "–"),
                    _mean(some["test_accuracy"]),
                    _mean(some["test_accuracy"] - reference, points),
                ]
            )
            strong.append(method == "latent")
    return Table(
        "table-optimization",
        (
            "Architecture",
            "Method",
            "Runs that got there",
            "Chosen step, median",
            "Validation accuracy",
            "Test accuracy",
            "To trained mean, points",
        ),
        rows,
        "The step with the best validation accuracy is chosen; test images are read there only. "
        "A latent that never stands for the required architecture at a validated step has failed. "
        "Mean over runs with the 95 % interval where there are at least two, cut to what is "
        "possible.",
        "latent_optimization",
        heads=2,
        strong=strong,
    )


def zoo(
    catalogue: pd.DataFrame,
    networks: pd.DataFrame,
    architectures: Sequence[str],
    parameters: Mapping[str, int],
    latent: int,
) -> Table:
    """How many networks were trained, for what, how good they are and how far compressed."""
    tested = networks.drop_duplicates("network")
    rows = []
    for name in architectures:
        every = catalogue[catalogue["architecture"] == name]
        good = every[every["status"] == "ok"]
        splits = [int((every["split"] == part).sum()) for part in ("train", "validation", "test")]
        accuracy = good["validation_accuracy"]
        rows.append(
            [
                Cell(name),
                Cell(f"{parameters[name]:,}", f"{parameters[name] / latent:.0f} : 1"),
                Cell(str(len(every)), " / ".join(map(str, splits))),
                _status(every),
                _mean(accuracy),
                Cell(interval(accuracy.min(), accuracy.max()) or "–"),
                _mean(tested.loc[tested["architecture"] == name, "target_accuracy"]),
            ]
        )
    return Table(
        "table-zoo",
        (
            "Architecture",
            "Parameters",
            "Networks",
            "Status",
            "Validation accuracy",
            "Lowest to highest, %",
            "Test accuracy, test networks",
        ),
        rows,
        "Below the parameters: the compression ratio, parameters for each of the "
        f"{latent} numbers of a latent. Below the count: networks for training / validating / "
        "testing the embedder. Below the status: how many epochs a network had passed when it "
        "diverged; no other number of this page holds networks that did. Accuracies are as "
        "trained; below them the 95 % interval.",
        "catalogue",
    )


def _status(networks: pd.DataFrame) -> Cell:
    """How many networks are ok and how many diverged, and in which epochs."""
    bad = networks[networks["status"] != "ok"]
    text = f"{len(networks) - len(bad)} ok, {len(bad)} diverged"
    if bad.empty or "diverged_epoch" not in bad:
        return Cell(text)
    known = bad.loc[bad["diverged_epoch"] >= 0, "diverged_epoch"].astype(int).value_counts()
    after = [f"{count} after {epoch}" for epoch, count in known.sort_index().items()]
    if len(after) > MOST_EPOCHS:
        after = [f"after {known.index.min()} to {known.index.max()}"]
    if unknown := len(bad) - known.sum():
        after.append(f"{unknown} not known")
    return Cell(text, ", ".join(after))
