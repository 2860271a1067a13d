"""Latents moved, the decoder fixed, until their networks are good."""

from __future__ import annotations

import math

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
    Rows,
    Table,
    Text,
    Verdict,
)
from lib.report.cells import points, share
from lib.report.marks import level_line, thin
from lib.report.methods import STARTS, Look, glossary, label, look, ordered
from lib.report.section import PageData, Section
from lib.report.style import layout, percent, share_axis

NAME = "latent_optimization"
QUESTION = "Can a latent be optimised into a good network?"
SHARED = ("distilled", "best_of_zoo")  # they start from no latent: beside those of every start


def section(page: PageData) -> Section:
    """A figure for each required architecture and kind of start."""
    frame = page[NAME]
    figures, control = _figures(page, frame)
    told = "" if page.several else _told(frame)
    blocks: list[Block] = [Headline(f"{told}.")] if told else []
    blocks += [
        Text(
            "The decoder stays as it is; only the latent is moved, by gradient, towards a "
            "teacher's answers on training images"
            + (
                ", until the decoded network is as good as it gets in a required architecture. "
                if page.several
                else ". "
            )
            + "Beside it, with the same loss, images and number of steps: all weights of the "
            "network decoded from the same latent, and a fresh network. The star is the chosen "
            "step with its test accuracy."
            + (
                " Fine dots: mean test accuracy of trained test networks of that architecture."
                if page.trained and page.several
                else ""
            )
        ),
        control,
        Figures(figures, small=len(figures) > 2),
        _table(page, frame),
        Glossary("What the methods are", glossary(ordered(frame["method"]), NAME)),
    ]
    verdict = _required(page, frame) if page.several else Verdict.told(QUESTION, told, NAME)
    return Section(
        NAME,
        "Optimisation in the latent space",
        "Optimisation",
        blocks,
        [verdict],
        _shortcomings(frame),
    )


def chosen(frame: pd.DataFrame) -> pd.DataFrame:
    """The steps that were chosen: those with a test accuracy."""
    return frame[frame["test_accuracy"].notna()]


def run_count(frame: pd.DataFrame) -> int:
    """How many runs there are, those included that never reached the required architecture."""
    keys = ["architecture", "method", "start_from", "start", "seed"]
    return len(frame[keys].drop_duplicates())


def _figures(page: PageData, frame: pd.DataFrame) -> tuple[list[Figure], Control]:
    """Validation accuracy by step; the control looks closer at the top, where methods differ."""
    known = [*page.trained.values()] if page.several else []
    highest = min(1.0, frame["validation_accuracy"].max())
    lowest = min([*known, *chosen(frame)["test_accuracy"]], default=highest)
    kinds = [kind for kind in STARTS if kind in set(frame["start_from"])] or [""]
    figures = []
    for name in page.shown(frame):
        for kind in kinds:
            part = frame[frame["architecture"] == name]
            part = part[(part["start_from"] == kind) | part["method"].isin(SHARED)]
            figure = go.Figure(layout=layout(320 if page.several else 380))
            for method in ordered(part["method"]):
                shown = look(method, NAME)
                if method == "latent" and page.several:
                    shown = Look(shown.label, shown.words, page.palette.color(name), shown.symbol)
                _lines(figure, part[part["method"] == method], shown, part["step"].max())
            if page.several and name in page.trained:
                line = {"color": page.palette.color(name), "width": 1, "dash": "dot"}
                figure.add_hline(page.trained[name], line=line)
            figure.update_xaxes(title={"text": "Gradient step"}, rangemode="tozero")
            figure.update_yaxes(share_axis("Validation accuracy"), range=[0, highest + 0.03])
            figures.append(
                Figure(
                    f"fig-optimization-{name}" + (f"-{kind}" if len(kinds) > 1 else ""),
                    figure,
                    f"Validation accuracy while a latent is optimised towards {name}"
                    + (f", from {STARTS[kind]}." if kind else "."),
                    "Each line is a run.",
                    NAME,
                    _title(name if page.several else "", kind if len(kinds) > 1 else ""),
                )
            )
    ends = {"Whole curve": [0.0, highest + 0.03], "Top": [lowest - 0.06, highest + 0.03]}
    ids = [figure.id for figure in figures]
    return figures, Control.zoom("control-optimization", "yaxis", ids, ends)


def _title(name: str, kind: str) -> str:
    start = f"from {STARTS[kind]}" if kind else ""
    text = ", ".join(filter(None, (name, start)))
    return text[:1].upper() + text[1:]


def _lines(figure: go.Figure, runs: pd.DataFrame, shown: Look, last: float) -> None:
    """Every run of a method, with a star at its chosen step; one without steps as a level."""
    if runs.groupby(["start", "seed"]).size().max() == 1:
        level_line(figure, runs["validation_accuracy"].mean(), last, shown)
        return
    for number, (_, run) in enumerate(runs.groupby(["start", "seed"], sort=False)):
        run = run.sort_values("step")
        thinned = thin(run, "step", "validation_accuracy")
        figure.add_scatter(
            x=thinned["step"],
            y=thinned["validation_accuracy"],
            mode="lines",
            name=shown.label,
            legendgroup=shown.label,
            showlegend=number == 0,
            line=shown.line,
            opacity=0.75,
            hovertemplate=f"{shown.label}, {run['start'].iloc[0]}, step %{{x}}<br>validation "
            "%{y:.1%}<extra></extra>",
        )
    picked = chosen(runs)
    figure.add_scatter(
        x=picked["step"],
        y=picked["test_accuracy"],
        mode="markers",
        name="Chosen step: test",
        legendgroup="chosen",
        showlegend=shown.label == label("latent", NAME),
        marker={
            "symbol": "star",
            "size": 13,
            "color": shown.color,
            "line": {"color": "#ffffff", "width": 1},
        },
        text=picked["start"],
        hovertemplate=f"{shown.label}, chosen step %{{x}}<br>test accuracy %{{y:.1%}}"
        "<br>%{text}<extra></extra>",
    )


def _table(page: PageData, frame: pd.DataFrame) -> Table:
    """The chosen step of every run, averaged over starts and seeds."""
    rows = Rows()
    for name in page.shown(frame):
        part = frame[frame["architecture"] == name]
        for method in ordered(part["method"]):
            for kind, runs in part[part["method"] == method].groupby("start_from", sort=False):
                some, start = chosen(runs), runs[runs["step"] == 0]["validation_accuracy"]
                single = method == "best_of_zoo"
                beside = points(some["test_accuracy"] - page.trained.get(name, math.nan))
                rows.add(
                    *([name] if page.several else []),
                    Cell(label(method, NAME), STARTS.get(str(kind), "")),
                    f"{len(some)} of {run_count(runs)}",
                    "–" if single else percent(start.mean()),
                    "–" if single or some.empty else f"{some['step'].median():.0f}",
                    share(some["validation_accuracy"]),
                    share(some["test_accuracy"]),
                    *([beside] if page.several else []),
                    strong=method == "latent",
                )
    return rows.table(
        "table-optimization",
        (
            *(["Architecture"] if page.several else []),
            "Method",
            "Runs that got there",
            "Validation accuracy at the start",
            "Chosen step, median",
            "Validation accuracy",
            "Test accuracy",
            *(["To trained mean, points"] if page.several else []),
        ),
        "The step with the best validation accuracy is chosen; test images are read there only. "
        + (
            "A latent that never stands for the required architecture at a validated step has "
            "failed. "
            if page.several
            else ""
        )
        + "Mean over runs with the 95 % interval where there are at least two, cut to what is "
        "possible.",
        NAME,
        heads=2 if page.several else 1,
    )


def _required(page: PageData, frame: pd.DataFrame) -> Verdict:
    runs = frame[frame["method"] == "latent"]
    picked, trained = chosen(runs), page.trained
    means = picked.groupby("architecture")["test_accuracy"].mean()
    listed = ", ".join(
        f"{name} {percent(means[name])}"
        + (f" (trained {percent(trained[name])})" if name in trained else "")
        for name in page.architectures
        if name in means
    )
    answer = "No run got there" if len(runs) else "Not measured"
    if listed:
        answer = (
            f"{len(picked)} of {run_count(runs)} runs got there; test accuracy at the chosen step: "
            f"{listed}"
        )
    return Verdict(
        "note" if listed else "open",
        "Can a latent be optimised towards a required architecture?",
        answer,
        "No threshold set; beside the trained test networks' mean",
        NAME,
    )


def _told(frame: pd.DataFrame) -> str:
    """Test accuracies from poor networks (or from training networks), and from random latents."""
    picked, random = chosen(frame), frame["start_from"] == "random"
    random = random[picked.index]
    texts = []
    for method in ordered(picked["method"]):
        some = picked[(picked["method"] == method) & ~random]
        if len(some):
            texts.append(f"{label(method, NAME).lower()} {percent(some['test_accuracy'].mean())}")
    drawn = picked[(picked["method"] == "latent") & random]
    beside = f"; from random latents {percent(drawn['test_accuracy'].mean())}" if len(drawn) else ""
    kinds = set(frame["start_from"])
    start = "poor networks" if "poor" in kinds else "training networks"
    return f"Test accuracy from {start}: {', '.join(texts)}{beside}" if texts else ""


def _shortcomings(frame: pd.DataFrame) -> list[str]:
    reached = chosen(frame).groupby("method")["test_accuracy"].mean()
    if not {"latent", "weights"} <= set(reached.index) or reached["latent"] >= reached.max():
        return []
    best = reached.idxmax()
    return [
        f"Optimised latents reach {percent(reached['latent'])} on average, "
        f"{label(best, NAME).lower()} {percent(reached[best])}: what the decoder can write bounds "
        "them."
    ]
