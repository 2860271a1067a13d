"""What is known of a network from its latent, beside what is known from its weights."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lib.report.blocks import (
    Block,
    Cell,
    Control,
    Figure,
    Figures,
    Glossary,
    Headline,
    Note,
    Rows,
    Table,
    Verdict,
)
from lib.report.cells import number
from lib.report.marks import error_bar, rows
from lib.report.methods import MODELS, TARGETS, glossary, label, look, ordered
from lib.report.section import PageData, Section
from lib.report.style import interval, layout

NAME = "property_prediction"
FLOOR = -0.25  # of R2, where the axis ends
SCORES = ["r2", "r2_low", "r2_high", "kendall_tau", "tau_low", "tau_high"]


def section(page: PageData) -> Section:
    """R2 on test networks, one figure for each target."""
    frame = page[NAME]
    told = page.told(frame, _told)
    control, figures = _figures(page, frame)
    blocks: list[Block] = [
        *[Headline(f"{text}.") for text in told],
        *control,
        Figures(figures),
        _table(page, frame),
        Note(
            "Filled marks: ridge regression; hollow: gradient boosting. An encoder that runs "
            "networks on probe images sees their answers, and from these accuracy is nearly read "
            "off: what it sees stands beside the latent where that is so."
        ),
        Glossary("What the features are", glossary(ordered(frame["features"]), NAME)),
    ]
    question = "Does a latent tell how a network was trained and how good it is?"
    verdict = Verdict.told(question, ". ".join(told), NAME)
    title = "What is known of a network from its latent"
    short = _shortcomings(page, frame)
    return Section(NAME, title, "Properties", blocks, [verdict], short)


def targets_of(frame: pd.DataFrame) -> list[str]:
    """What is predicted in a table, in the order of the page."""
    return [name for name in TARGETS if name in set(frame["target"])]


def winner(frame: pd.DataFrame, target: str) -> tuple[str, str]:
    """Who predicts a target best by R2, the latent or the best of the others, and a sentence."""
    part = frame[(frame["target"] == target) & (frame["features"] != "validation_accuracy")]
    means = part.groupby(["features", "model"])[["r2", "r2_low"]].mean().fillna(-np.inf)
    latent = means.index.get_level_values("features") == "latent"
    first, second = sorted(
        (means[chosen]["r2"].idxmax() for chosen in (latent, ~latent)),
        key=lambda name: -means.loc[name, "r2"],
    )
    ahead, behind = means.loc[first], means.loc[second]
    word = "wins" if behind["r2"] < ahead["r2_low"] else "is ahead, within the interval"
    return first[0], (
        f"{_named(*first)} {word}, R² {ahead['r2']:.2f} against {behind['r2']:.2f} of "
        f"{_named(*second)}"
    )


def _named(features: str, model: str) -> str:
    return f"{label(features, NAME).lower()} ({MODELS[model]})"


def _parts(page: PageData, frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {name: frame[frame["architecture"] == name] for name in page.shown(frame)}


def _told(frame: pd.DataFrame) -> str:
    """Who wins, target by target, without a full stop."""
    text = "; ".join(f"{TARGETS[of]}: {winner(frame, of)[1]}" for of in targets_of(frame))
    return text[:1].upper() + text[1:]


def _shortcomings(page: PageData, frame: pd.DataFrame) -> list[str]:
    said = []
    for name, part in _parts(page, frame).items():
        for target in targets_of(part):
            first, text = winner(part, target)
            if first != "latent":
                of = f" of {name}" if page.several else ""
                said.append(
                    f"For {TARGETS[target]}{of}, the latent is not the best predictor: {text}."
                )
    return said


def _figures(page: PageData, frame: pd.DataFrame) -> tuple[list[Control], list[Figure]]:
    """R2 with its interval; the control, where there are several architectures, chooses one."""
    figures, owners, names = [], {}, page.shown(frame)
    for target in targets_of(frame):
        aimed = frame[frame["target"] == target]
        keys = list(aimed[["features", "model"]].drop_duplicates().itertuples(index=False))
        figure, shown_for = go.Figure(layout=layout(34 * len(keys) + 90)), []
        texts = [f"{label(key.features, NAME)} <i>{MODELS[key.model]}</i>" for key in keys]
        means = aimed.groupby(["architecture", "features", "model"])[SCORES].mean()
        for name in names:
            for place, (key, text) in enumerate(zip(keys, texts, strict=True)):
                if (name, *key) in means.index:
                    _mark(figure, means.loc[(name, *key)], key, text, place, name == names[0])
                    shown_for.append(name)
        figure.update_yaxes(rows(texts))
        figure.update_xaxes(title={"text": "R² on test networks"}, range=[FLOOR - 0.03, 1.03])
        id = f"fig-properties-{target}"
        owners[id] = shown_for
        figures.append(
            Figure(
                id,
                figure,
                f"R2 of predictions of {TARGETS[target]} from latents and from weights.",
                "Lines: 95 % intervals by resampling test networks. What lies left of the axis is "
                f"shown at {number(FLOOR)}.",
                NAME,
                TARGETS[target].capitalize(),
            )
        )
    return page.chooser("control-properties", owners), figures


def _mark(
    figure: go.Figure, row: pd.Series, key: tuple[str, str], text: str, place: int, visible: bool
) -> None:
    shown, value = look(key[0], NAME), max(row["r2"], FLOOR)
    figure.add_scatter(
        x=[value],
        y=[-place],
        mode="markers",
        showlegend=False,
        visible=visible,
        marker={
            "color": shown.color if key[1] != "boosting" else "#ffffff",
            "symbol": shown.symbol,
            "size": 11,
            "line": {"color": shown.color, "width": 2},
        },
        error_x=error_bar(value, max(row["r2_low"], FLOOR), row["r2_high"], shown.color),
        hovertemplate=f"{text}<br>R² {row['r2']:.2f}, tau {row['kendall_tau']:.2f}<extra></extra>",
    )


def _table(page: PageData, frame: pd.DataFrame) -> Table:
    """R2 and Kendall's tau of every prediction."""
    built = Rows()
    for target in targets_of(frame):
        for name, part in _parts(page, frame).items():
            by = part[part["target"] == target].groupby(["features", "model"], sort=False)
            for (features, model), row in by[SCORES].mean().iterrows():
                tau = interval(row["tau_low"], row["tau_high"], number, 2)
                built.add(
                    label(features, NAME),
                    MODELS[model].capitalize() or "–",
                    Cell(number(row["r2"]), interval(row["r2_low"], row["r2_high"], number, 2)),
                    Cell(number(row["kendall_tau"]), tau),
                    group=f"{TARGETS[target]}, {name}" if page.several else TARGETS[target],
                    strong=features == "latent",
                )
    return built.table(
        "table-properties",
        ("Features", "Model", "R²", "Kendall tau"),
        "Fitted on training networks, hyperparameters by validation networks, scored on test "
        "networks; below, the 95 % interval by resampling test networks. For test accuracy, models "
        "are fitted to validation accuracies: no test image is read before the score. Epochs and "
        "learning rates by their logarithm.",
        NAME,
        heads=2,
        chooser="Predicted",
    )
