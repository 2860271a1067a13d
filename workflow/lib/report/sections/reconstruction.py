"""Do test networks come back? The goals are in `reconstruction_goals`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lib.experiments.measures import BANDS, bands, summary
from lib.experiments.statistics import mean_interval
from lib.report.blocks import (
    Block,
    Cell,
    Choice,
    Control,
    Figure,
    Figures,
    Glossary,
    Note,
    Rows,
    Table,
    Text,
)
from lib.report.cells import number, points, share
from lib.report.marks import colour_bar, diagonal, dots
from lib.report.methods import glossary, label, look, ordered
from lib.report.networks import main_embedder, of
from lib.report.section import PageData, Section
from lib.report.sections import reconstruction_goals as goals
from lib.report.sections.strips import Strip, strips
from lib.report.style import (
    MUTED,
    SEQUENTIAL,
    layout,
    percent,
    points_of,
    share_axis,
)
from lib.report.style import points as in_points

WRONG = "predicted wrong"
EVERY = "All architectures"
SCATTERS = {
    "fig-reconstruction-accuracy": ("target_accuracy", "accuracy"),
    "fig-reconstruction-agreement": ("agreement_other", "agreement"),
}
AXES = {
    "target_accuracy": "Target's test accuracy",
    "accuracy": "Test accuracy",
    "agreement_other": "Agreement with other targets",
    "agreement": "Agreement with own target",
}


def section(page: PageData) -> Section:
    """Out and back, beside every control."""
    frame = page["reconstruction"]
    whole = summary(main_embedder(frame)).set_index("method")
    blocks = _several(page, whole) if page.several else _alone(page, whole)
    blocks.append(
        Glossary(
            "What the methods are", glossary(ordered(frame["method"].unique()), "reconstruction")
        )
    )
    return Section(
        "reconstruction",
        "Reconstruction: out and back",
        "Reconstruction",
        blocks,
        goals.verdicts(page, whole),
        [] if page.several else list(_shortcomings(whole)),
        _headline(page) if page.several else _headline_alone(page, whole),
        [Figures([_answer_accuracy(page), _answer_agreement(page)])] if page.several else [],
    )


# --- several architectures


def _several(page: PageData, whole: pd.DataFrame) -> list[Block]:
    networks = page.networks
    methods = ordered(networks["method"])
    figures = [
        Figure(
            "fig-reconstruction-accuracy",
            _scatter(page, *SCATTERS["fig-reconstruction-accuracy"]),
            "Scatter plot of each test network's accuracy before and after the latent space.",
            "On the line nothing is lost; below it accuracy is lost, above it gained.",
            "reconstruction",
            "Accuracy, network by network",
        ),
        Figure(
            "fig-reconstruction-agreement",
            _scatter(page, *SCATTERS["fig-reconstruction-agreement"]),
            "Scatter plot of agreement with the own target against agreement with others.",
            "Above the line the individual is kept. One constant network per architecture can "
            "only straddle the line, however accurate it is.",
            "reconstruction",
            "Own target against others",
        ),
    ]
    blocks: list[Block] = [
        Text(
            "Each test network is encoded, its latent decoded, and the result run as the "
            "architecture that was predicted from the latent. Accuracy alone does not show that "
            "the latent space remembers which network it was given: a decoder with one good "
            "network per architecture would pass. So the agreement with the own target stands "
            "beside the agreement with other targets of the same architecture, and every control "
            "stands beside the method."
        ),
        _method_control(page, methods),
        Figures(figures),
        table(networks, page.architectures),
        Note(
            "Agreement is the share of test images on which two networks give the same answer. A "
            "network decoded as another architecture counts as wrong and keeps the accuracy of "
            "what was decoded. With several seeds, a network's values are averaged over them first."
        ),
    ]
    if page.spread:
        blocks += [_by_accuracy(page), accuracy_table(whole, networks)]
    return blocks


def _scatter(page: PageData, x: str, y: str) -> go.Figure:
    """Networks by two columns, architecture by architecture, those predicted wrong apart."""
    networks, palette = page.networks, page.palette
    methods, figure = ordered(networks["method"]), go.Figure(layout=layout(440))
    diagonal(figure)
    for method in methods:
        some = of(networks, method)
        right, wrong = some[some["failed"] == 0], some[some["failed"] > 0]
        groups = [
            (name, right[right["architecture"] == name], palette.symbol(name))
            for name in page.architectures
        ]
        for name, part, symbol in [*groups, (WRONG, wrong, "x")]:
            figure.add_scatter(
                x=part[x],
                y=part[y],
                mode="markers",
                name=name,
                visible=method == methods[0],
                showlegend=len(part) > 0,
                marker=dots(
                    [palette.color(own) for own in part["architecture"]], symbol, 9, opacity=0.85
                ),
                text=part["network"],
                hovertemplate=(
                    f"<b>%{{text}}</b>{'<br>' + WRONG if name == WRONG else ''}"
                    f"<br>{AXES[x].lower()} %{{x:.1%}}<br>{AXES[y].lower()} %{{y:.1%}}"
                    "<extra></extra>"
                ),
            )
    ends = _ends(networks, methods[:1], (x, y))
    figure.update_xaxes(share_axis(AXES[x], range=ends))
    figure.update_yaxes(share_axis(AXES[y], range=ends))
    return figure


def _method_control(page: PageData, methods: list[str]) -> Control:
    """A method's networks in both pictures, on axes that hold those of the first one too."""
    each = len(page.architectures) + 1  # and those of a wrong architecture
    choices = []
    for method in methods:
        visible = [True] + [other == method for other in methods for _ in range(each)]
        ranges = {}
        for id, columns in SCATTERS.items():
            ends = _ends(page.networks, [methods[0], method], columns)
            ranges[id] = {"xaxis": ends, "yaxis": ends}
        text = label(method, "reconstruction")
        choices.append(Choice(text, dict.fromkeys(SCATTERS, visible), ranges))
    return Control("control-method", "Networks shown", choices)


def _ends(networks: pd.DataFrame, methods: list[str], columns: tuple[str, str]) -> list[float]:
    values = networks.loc[networks["method"].isin(methods), list(columns)].to_numpy()
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    pad = 0.06 * (high - low) + 0.002
    return [low - pad, high + pad]


def table(networks: pd.DataFrame, architectures: tuple[str, ...]) -> Table:
    """Decoded networks and all controls, over all architectures and for each one."""
    rows = Rows()
    for part in (EVERY, *architectures):
        inside = networks if part == EVERY else networks[networks["architecture"] == part]
        for method in ordered(inside["method"]):
            some = of(inside, method)
            rows.add(
                label(method, "reconstruction"),
                f"{int(some['failed'].sum())} of {int(some['runs'].sum())}",
                share(some["accuracy"]),
                points(some["gap"]),
                share(some["agreement"]),
                share(some["agreement_other"]),
                points(some["margin"]),
                group=part,
                strong=method == "decoded",
            )
    return rows.table(
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
        "Mean over test networks on test images; below it the 95 % interval.",
        "reconstruction",
    )


def _answer_accuracy(page: PageData) -> Figure:
    """Test accuracy of the original, the decoded and the constant networks, per architecture."""
    decoded, constant = (of(page.networks, name) for name in ("decoded", "constant"))
    columns = [
        Strip("original", decoded, "target_accuracy", hollow=True),
        Strip("decoded", decoded, "accuracy"),
        Strip("one constant network", constant, "accuracy", control=True),
    ]
    return Figure(
        "fig-answer-accuracy",
        strips(columns, page.palette, "Test accuracy"),
        "Test accuracy of original, decoded and constant networks, per architecture.",
        "Hollow: the trained network. Filled: the same network after the latent space. Grey: the "
        "control, one constant network per architecture. Large marks are means with 95 % "
        "intervals.",
        "reconstruction",
        "Does it still work?",
    )


def _answer_agreement(page: PageData) -> Figure:
    """Agreement of decoded networks with their own target and with others, and the control's."""
    decoded, constant = (of(page.networks, name) for name in ("decoded", "constant"))
    columns = [
        Strip("with other targets", decoded, "agreement_other", hollow=True),
        Strip("with its own target", decoded, "agreement"),
        Strip("one constant network with that target", constant, "agreement", control=True),
    ]
    return Figure(
        "fig-answer-agreement",
        strips(columns, page.palette, "Same answer on test images"),
        "Agreement of decoded networks with their own target and with other targets.",
        "Filled: how often a decoded network answers like its own target. Hollow: like other "
        "targets of the same architecture. Grey: how often the constant network answers like "
        "the target. Filled above the other two means the individual is kept.",
        "reconstruction",
        "Is it still the same network?",
    )


def _headline(page: PageData) -> str:
    decoded = of(page.networks, "decoded")
    if decoded.empty:
        return "No decoded network was measured."
    runs = int(decoded["runs"].sum())
    right = runs - int(decoded["failed"].sum())
    seeds = "" if runs == len(decoded) else f" ({len(decoded)} networks with several seeds)"
    means = decoded[["accuracy", "target_accuracy", "agreement", "agreement_other"]].mean()
    accuracy, target, own, other = (percent(mean) for mean in means)
    return (
        f"{right} of {runs} test networks{seeds} come back from the latent space with their own "
        f"architecture. On average they answer {accuracy} of the test images correctly, the "
        f"originals {target} ({in_points(decoded['gap'].mean())} points). They agree with their "
        f"own original on {own} of the images, with other networks of the same architecture on "
        f"{other}."
    )


# --- one architecture


def _alone(page: PageData, whole: pd.DataFrame) -> list[Block]:
    figure, control = _kept(page)
    return [
        Text(
            "Each test network is encoded, its latent decoded, and the result run. "
            + ("The" if page.teacher else "There is no teacher: the")
            + " embedder learns to give back the network it was given, a poor one with its errors. "
            "A decoder that knew accuracy alone would pass on the left and fail on the right; so "
            "would one that looks up a training network of the same accuracy."
        ),
        control,
        Figures([figure, _by_accuracy(page)]),
        accuracy_table(whole, page.networks),
    ]


def _kept(page: PageData) -> tuple[Figure, Control]:
    """Target against decoded accuracy, method by method, coloured by agreement."""
    networks, figure = page.networks, go.Figure(layout=layout(460))
    methods = ordered(networks["method"])
    diagonal(figure)
    for method in methods:
        some, shown = of(networks, method), label(method, "reconstruction")
        epochs = [_trained_for(page.epochs, network) for network in some["network"]]
        figure.add_scatter(
            x=some["target_accuracy"],
            y=some["accuracy"],
            mode="markers",
            visible=method == methods[0],
            showlegend=False,
            marker=dots(some["agreement"], "circle", 9, coloraxis="coloraxis"),
            customdata=np.stack([some["network"], epochs, some["agreement"]], 1),
            hovertemplate=(
                "<b>%{customdata[0]}</b>%{customdata[1]}<br>target %{x:.1%}, "
                f"{shown.lower()} %{{y:.1%}}<br>agreement %{{customdata[2]:.1%}}<extra></extra>"
            ),
        )
    values = networks[["target_accuracy", "accuracy"]].to_numpy()
    ends = [float(np.nanmin(values)) - 0.03, float(np.nanmax(values)) + 0.03]
    figure.update_xaxes(share_axis(AXES["target_accuracy"], range=ends))
    figure.update_yaxes(share_axis(AXES["accuracy"], range=ends))
    bar = colour_bar("Agreement with its target", y=-0.16, tickformat=".0%")
    figure.update_layout(
        coloraxis={"colorscale": SEQUENTIAL, "cmin": 0, "cmax": 1, "colorbar": bar}
    )
    id = "fig-reconstruction-accuracy"
    options = {method: label(method, "reconstruction") for method in methods}
    return (
        Figure(
            id,
            figure,
            "Scatter plot of each test network's accuracy before and after the latent space.",
            "Each mark is a test network; on the line its accuracy is kept.",
            "reconstruction",
            "Accuracy, network by network",
        ),
        Control.owners("control-method", "Networks shown", options, {id: [None, *methods]}),
    )


def _trained_for(epochs: Mapping[str, int], network: str) -> str:
    return f" ({epochs[network]:.0f} epochs)" if network in epochs else ""


def _by_accuracy(page: PageData) -> Figure:
    """Mean agreement with the own target by fifths of the range of accuracy, method by method."""
    networks, figure = page.networks, go.Figure(layout=layout(460, hovermode="x unified"))
    targets = networks.drop_duplicates("network").set_index("network")["target_accuracy"]
    fifth = pd.Series(bands(targets.to_numpy()), index=targets.index)
    edges = np.linspace(targets.min(), targets.max(), BANDS + 1)
    places = [(low + high) / 2 for low, high in zip(edges, edges[1:], strict=False)]
    means = networks.assign(fifth=networks["network"].map(fifth)).groupby(["method", "fifth"])
    means = means["agreement"].mean()
    for method in ordered(networks["method"]):
        shown = look(method, "reconstruction")
        if shown.color == MUTED:
            continue
        found = means[method]
        figure.add_scatter(
            x=[places[k] for k in found.index],
            y=found,
            mode="lines+markers",
            name=shown.label,
            line=shown.line,
            marker={"symbol": shown.symbol, "size": 8},
            hovertemplate="%{y:.1%}",
        )
    counts = ", ".join(str(int((fifth == k).sum())) for k in range(BANDS))
    figure.update_xaxes(share_axis(AXES["target_accuracy"], tickformat=".0%"), tickvals=places)
    figure.update_yaxes(share_axis("Agreement with its target"), range=[0, 1.03])
    return Figure(
        "fig-reconstruction-by-accuracy",
        figure,
        "Agreement with the own target in five bands of accuracy.",
        f"Mean over the test networks of each fifth of the range ({counts} networks, from poor to "
        "good). Weak networks are the hard ones: their answers follow no label.",
        "reconstruction",
        "Same answers, by accuracy of the target",
    )


def accuracy_table(whole: pd.DataFrame, networks: pd.DataFrame) -> Table:
    """How accuracies come back, method by method; `whole` is `measures.summary`, by method."""
    rows = Rows()
    for method in ordered(whole.index):
        row, some = whole.loc[method], of(networks, method)
        rows.add(
            label(method, "reconstruction"),
            Cell(*_error(some["error"])),
            number(row["correlation"], 3),
            number(row["r2"], 3),
            number(row["kendall_tau"], 3),
            share(some["agreement"]),
            share(some["agreement_other"]),
            f"{row['compression']:.1f}x" if np.isfinite(row["compression"]) else "–",
            strong=method in ("decoded", "refined"),
        )
    return rows.table(
        "table-reconstruction-accuracy",
        (
            "What comes back",
            "Error of accuracy, points",
            "Correlation",
            "R²",
            "Kendall tau",
            "Agreement with own target",
            "With others",
            "Compression",
        ),
        "Held-out networks on test images; below a mean its 95 % interval over networks. Error: "
        "mean |accuracy of the target - accuracy of what came back|. Others: targets of about the "
        "same accuracy. Compression: weights of the network over numbers of the latent.",
        "reconstruction",
    )


def _error(values: pd.Series) -> tuple[str, str]:
    mean, low, high = (100 * value for value in mean_interval(values))
    return f"{mean:.1f}", f"{max(low, 0.0):.1f} to {high:.1f}" if np.isfinite(low) else ""


def _shortcomings(whole: pd.DataFrame) -> list[str]:
    row = whole.loc["decoded"]
    fifths = {k: row[f"agreement_{k}"] for k in range(1, BANDS + 1)}
    fifths = {k: value for k, value in fifths.items() if np.isfinite(value)}
    worst = min(fifths, key=fifths.get)
    return [
        f"Agreement is lowest in fifth {worst} of the range of accuracy (1 is the poorest): "
        f"{percent(fifths[worst])}, against {percent(max(fifths.values()))} in the best."
    ]


def _headline_alone(page: PageData, whole: pd.DataFrame) -> str:
    """What was found, in two sentences."""
    row, tested = whole.loc["decoded"], page["reconstruction"].drop_duplicates("network")
    low, high = tested["target_accuracy"].min(), tested["target_accuracy"].max()
    text = (
        f"{len(tested)} networks that the space has never seen, from {percent(low)} to "
        f"{percent(high)} of test images right, come back from {page.latent} numbers each "
        f"({row['compression']:.1f} times fewer than they have weights) with an accuracy "
        f"{points_of(row['error'])} off on average (correlation {row['correlation']:.3f}) and the "
        f"same answer on {percent(row['agreement'])} of images."
    )
    if "nearest_agreement" not in whole.index:
        return text
    look_up = whole.loc["nearest_agreement"]
    text += (
        f" Looking up the most similar training network gives {points_of(look_up['error'])} and "
        f"{percent(look_up['agreement'])}"
    )
    if "distilled" in whole.index:
        free = whole.loc["distilled"]
        text += (
            "; training all weights of a fresh network on its answers "
            f"{points_of(free['error'])} and {percent(free['agreement'])}"
        )
    return text + "."
