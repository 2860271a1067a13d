"""The trained networks that the space was learnt from."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from lib.experiments.measures import BANDS, bands
from lib.report.blocks import Block, Bullets, Cell, Control, Details, Figure, Rows, Table
from lib.report.cells import share
from lib.report.section import PageData, Section
from lib.report.style import COLORS, FAINT, INK, interval, layout, percent, share_axis

MOST_EPOCHS = 4  # epochs of divergence that are listed one by one
SPLITS = {"train": (FAINT, "circle"), "validation": (COLORS[4], "square"), "test": (INK, "diamond")}


def section(page: PageData) -> Section:
    """How many networks there are, how good they are, and how they were trained."""
    blocks: list[Block] = []
    trained = set(page.epochs.values())
    if page.several or len(trained) < 2:
        blocks.append(_strips(page))
    if len(trained) > 1:
        control, figure = _by_epochs(page)
        blocks += [*control, figure]
    blocks += [table(page), _splits(page)]
    if page.recognised:
        blocks.append(Details("What was recognised in the images", [Bullets(page.recognised)]))
    title = (
        "The zoo: networks from chance to the best"
        if page.spread
        else "The zoo: the trained networks"
    )
    return Section("zoo", title, "The zoo", blocks)


def _strips(page: PageData) -> Figure:
    """Validation accuracy of all trained networks, per architecture and split."""
    good, palette = page.good, page.palette
    splits = [part for part in SPLITS if part in set(good["split"])]
    count = len(page.architectures)
    figure = go.Figure(layout=layout(48 * count + 100))
    for place, name in enumerate(page.architectures):
        part = good[good["architecture"] == name]
        row = part["split"].map({split: number for number, split in enumerate(splits)})
        figure.add_scatter(
            x=part["validation_accuracy"],
            y=count - place + 0.22 * (1 - row.to_numpy(dtype=float)),
            mode="markers",
            marker={
                "symbol": palette.symbol(name),
                "color": palette.color(name),
                "size": 7,
                "opacity": 0.6,
            },
            showlegend=False,
            text=part["network"] + " (" + part["split"] + ")",
            hovertemplate="%{text}<br>validation accuracy %{x:.1%}<extra></extra>",
        )
    figure.update_yaxes(
        tickvals=[count - place for place in range(count)],
        ticktext=list(page.architectures),
        showgrid=False,
        ticks="",
    )
    figure.update_xaxes(share_axis("Validation accuracy"))
    median = percent(good["validation_accuracy"].median())
    return Figure(
        "fig-zoo",
        figure,
        "Validation accuracy of all trained networks, one row of marks per split.",
        f"Rows of an architecture from top to bottom: {', '.join(splits)} networks. Half of "
        f"all networks reach {median} or more.",
        "catalogue",
    )


def _by_epochs(page: PageData) -> tuple[list[Control], Figure]:
    """Validation accuracy by epochs, network by network; of several, one architecture at a time."""
    good, figure, owners = page.good, go.Figure(layout=layout(360)), []
    names = page.shown(good)
    for name in names:
        for split, (color, symbol) in SPLITS.items():
            part = good[(good["split"] == split) & (good["architecture"] == name)]
            figure.add_scatter(
                x=part["epochs"],
                y=part["validation_accuracy"],
                mode="markers",
                name=split,
                visible=name == names[0],
                marker={"color": color, "symbol": symbol, "size": 6, "opacity": 0.8},
                text=part["network"],
                hovertemplate="%{text}<br>%{x} epochs, %{y:.1%}<extra></extra>",
            )
            owners.append(name)
    figure.update_xaxes(title={"text": "Epochs of training"}, type="log", dtick="D2")
    figure.update_yaxes(share_axis("Validation accuracy"))
    id = "fig-zoo-epochs"
    return page.chooser("control-zoo", {id: owners}), Figure(
        id,
        figure,
        "Validation accuracy of all networks against their epochs of training.",
        "Every network has an initialisation of its own and stops after its own number of epochs.",
        "catalogue",
    )


def table(page: PageData) -> Table:
    """How many networks were trained, for what, how good they are and how far compressed."""
    catalogue, tested, rows = page["catalogue"], page.networks.drop_duplicates("network"), Rows()
    for name in page.architectures:
        every = catalogue[catalogue["architecture"] == name]
        good = every[every["status"] == "ok"]
        splits = [str(int((every["split"] == part).sum())) for part in SPLITS]
        accuracy, size = good["validation_accuracy"], page.parameters[name]
        rows.add(
            name,
            Cell(f"{size:,}", f"{size / page.latent:.0f} : 1"),
            Cell(str(len(every)), " / ".join(splits)),
            _status(every),
            share(accuracy),
            interval(accuracy.min(), accuracy.max()) or "–",
            share(tested.loc[tested["architecture"] == name, "target_accuracy"]),
        )
    return rows.table(
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
        "Below the parameters: the compression ratio, parameters for each of the "
        f"{page.latent} numbers of a latent. Below the count: networks for training / validating / "
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


def _splits(page: PageData) -> Table:
    """How accuracies spread over fifths of their range, split by split."""
    rows, tested = Rows(), page.networks.drop_duplicates("network")
    for name in page.architectures:
        every = page["catalogue"][page["catalogue"]["architecture"] == name]
        for split in SPLITS:
            part = every[every["split"] == split]
            good = part[part["status"] == "ok"]
            values = good["validation_accuracy"]
            if split == "test" and len(tested):
                values = tested.loc[tested["architecture"] == name, "target_accuracy"]
            fifth = pd.Series(bands(values.to_numpy()) if len(values) else [], dtype=int)
            epochs = [page.epochs[key] for key in good["network"] if key in page.epochs]
            rows.add(
                split,
                Cell(str(len(part)), f"{len(part) - len(good)} diverged"),
                f"{min(epochs):.0f} to {max(epochs):.0f}" if epochs else "–",
                interval(values.min(), values.max()) or "–",
                " / ".join(percent((fifth == k).mean(), 0) for k in range(BANDS)),
                group=name if page.several else "",
            )
    return rows.table(
        "table-zoo-splits",
        ("Split", "Networks", "Epochs", "Accuracy, lowest to highest, %", "In each fifth of it"),
        "Accuracies of training and validation networks on validation images, of test networks on "
        "test images.",
        "catalogue",
    )
