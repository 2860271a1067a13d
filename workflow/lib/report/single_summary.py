"""The goals of the study of one architecture, held against its tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lib.evaluate.performance import summary
from lib.evaluate.statistics import bootstrap_interval, mean_interval
from lib.report.single_inputs import SinglearchData
from lib.report.single_notes import NOTES, points_of
from lib.report.style import interval, percent, points
from lib.report.summary import Verdict

# Goals for networks held out: mean error of accuracy, its correlation, agreement.
GOALS = {"decoded": (0.03, 0.985, 0.85), "refined": (0.02, 0.99, 0.90)}
LOOK_UP = "nearest_agreement"


def whole(reconstruction: pd.DataFrame) -> pd.DataFrame:
    """`performance.summary` of the first embedder named and of all controls, by method."""
    frame = _main(reconstruction)
    return summary(frame).set_index("method")


def per_network(reconstruction: pd.DataFrame) -> pd.DataFrame:
    """One row per method and network, averaged over seeds, with `error` and `margin`.

    `error` is |target's accuracy - accuracy|, `margin` agreement with the own target minus that
    with others of about its accuracy.
    """
    frame = _main(reconstruction)
    frame = frame.assign(
        error=(frame["accuracy"] - frame["target_accuracy"]).abs(),
        margin=frame["agreement"] - frame["agreement_other"],
    )
    values = ["epochs", "target_accuracy", "accuracy", "agreement", "agreement_other"]
    values += ["error", "margin"]
    return frame.groupby(["method", "network"], sort=False)[values].mean().reset_index()


def _main(reconstruction: pd.DataFrame) -> pd.DataFrame:
    names = [name for name in reconstruction["embedder"].unique() if name != "none"]
    return reconstruction[reconstruction["embedder"].isin(["none", *names[:1]])]


def verdicts(data: SinglearchData) -> list[Verdict]:
    """The goals of the study and, without a threshold, what each experiment found."""
    found, networks = whole(data.reconstruction), per_network(data.reconstruction)
    rows = [
        goal(found, "decoded", "Does a network that comes back have its target's accuracy?"),
        _agreement(found, networks),
        _against_look_up(networks),
    ]
    if "refined" in found.index:
        rows.append(
            goal(
                found,
                "refined",
                "And if its latent is refined on training images?",
                found.loc["refined", "agreement"],
            )
        )
    for question, tell, source in NOTES:
        answer = tell(getattr(data, source))
        state, wanted = "note" if answer else "open", "No threshold set; beside its controls"
        rows.append(Verdict(state, question, answer or "Not measured", wanted, source))
    return rows


def _state(reached: bool) -> str:
    return "reached" if reached else "short"


def goal(
    found: pd.DataFrame,
    method: str,
    question: str,
    agreement: float | None = None,
    source: str = "reconstruction",
) -> Verdict:
    """What a method reaches of the `GOALS`; with `agreement` of that one too.

    Args:
        found: `performance.summary`, by method.
        method: a key of `GOALS`.
        question: that the goal answers.
        agreement: of the method.
        source: the table that `found` is of.
    """
    error, correlation, agreed = GOALS[method]
    row = found.loc[method]
    answer = f"Mean error {points_of(row['error'])}, correlation {row['correlation']:.3f}"
    text = f"Error at most {100 * error:.0f} points, correlation at least {correlation}"
    reached = row["error"] <= error and row["correlation"] >= correlation
    if agreement is not None:
        answer += f", agreement {percent(agreement)}"
        text += f", agreement at least {100 * agreed:.0f} %"
        reached = reached and agreement >= agreed
    return Verdict(_state(bool(reached)), question, answer, text, source)


def _agreement(found: pd.DataFrame, networks: pd.DataFrame) -> Verdict:
    row = found.loc["decoded"]
    fifths = [row[f"agreement_{k}"] for k in range(1, 6)]
    parts = " / ".join(percent(value) for value in fifths if np.isfinite(value))
    margin, low, high = mean_interval(networks.loc[networks["method"] == "decoded", "margin"])
    return Verdict(
        _state(bool(row["agreement"] >= GOALS["decoded"][2])),
        "Does it give its target's answers?",
        f"Agreement {percent(row['agreement'])}; from poor to good targets {parts}; own minus "
        f"other targets of about the same accuracy {points(margin)} points"
        + (f" ({interval(low, high, points)})" if np.isfinite(low) else ""),
        f"Agreement at least {100 * GOALS['decoded'][2]:.0f} %",
        "reconstruction",
    )


def _against_look_up(networks: pd.DataFrame) -> Verdict:
    question = "Is it better than looking up the most similar training network?"
    wanted = "Smaller error and more agreement, both intervals excluding zero"
    by = {method: part.set_index("network") for method, part in networks.groupby("method")}
    if LOOK_UP not in by or "decoded" not in by:
        return Verdict("open", question, "Not measured", wanted, "reconstruction")
    gain = {}
    for column, sign in (("error", -1), ("agreement", 1)):
        change = (sign * (by["decoded"][column] - by[LOOK_UP][column])).dropna()
        gain[column] = bootstrap_interval(change, "look-up", column)
    means = by[LOOK_UP][["error", "agreement"]].mean()
    answer = (
        f"Look-up has error {points_of(means['error'])} and agreement {percent(means['agreement'])}"
        f"; decoded networks have an error smaller by {points(gain['error'][0])} points"
        f" ({interval(*gain['error'][1:], points)}) and an agreement higher by "
        f"{points(gain['agreement'][0])} ({interval(*gain['agreement'][1:], points)})"
    )
    lows = [low for _, low, _ in gain.values()]
    state = "open" if not np.isfinite(lows).all() else _state(min(lows) > 0)
    return Verdict(state, question, answer, wanted, "reconstruction")
