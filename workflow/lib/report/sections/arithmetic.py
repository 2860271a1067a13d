"""The direction from poor to good networks, added to networks held out."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from lib.experiments.statistics import mean_interval
from lib.report.blocks import (
    Block,
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
from lib.report.marks import count_of
from lib.report.methods import BANDS, glossary, label, look, ordered
from lib.report.section import PageData, Section
from lib.report.style import FAINT, interval, layout, with_spread
from lib.report.style import points as in_points

NAME = "arithmetic"
TITLES = {"low": "Poor networks", "middle": "Middling networks", "high": "Good networks"}
WORDS = {"latent": "latents", "random": "random direction", "weights": "weights"}


def section(page: PageData) -> Section:
    """Change of accuracy by how far networks are moved, a figure for each band."""
    frame = page[NAME]
    frame = frame.assign(chosen=frame["chosen"].astype(str) == "True")
    told = page.told(frame, _told)
    control, figures = _figures(page, frame)
    blocks: list[Block] = [
        *[Headline(f"{text}.") for text in told],
        Text(
            "The mean latent of the best third of the training networks minus that of the poorest "
            "third is one direction. Added to the latents of test networks, it should make poor "
            "ones better."
        ),
        *control,
        Figures(figures, small=True),
        _table(page, frame),
        Glossary("What the directions are", glossary(ordered(frame["method"]), NAME)),
    ]
    question = "Does the direction from poor to good lead to better networks?"
    verdict = Verdict.told(question, ". ".join(told), NAME)
    return Section(NAME, "Arithmetic: from poor to good", "Arithmetic", blocks, [verdict])


def _told(frame: pd.DataFrame) -> str:
    poor, texts = frame[frame["chosen"] & (frame["band"] == "low")], []
    for method, words in WORDS.items():
        some = poor[poor["method"] == method]
        if len(some):
            mean, low, high = mean_interval(some["change"])
            change = with_spread(in_points(mean), interval(low, high, in_points))
            texts.append(f"{words} {change} at scale {_scale(some)}")
    return f"Poor third, change in points: {', '.join(texts)}" if texts else ""


def _scale(rows: pd.DataFrame) -> str:
    """The scale that was chosen; of several seeds, the first one's."""
    return f"{rows['scale'].iloc[0]:g}".replace("-", "−")


def _figures(page: PageData, frame: pd.DataFrame) -> tuple[list[Control], list[Figure]]:
    """Mean change by scale; the control, where there are several architectures, chooses one."""
    keys = ["architecture", "band", "method", "scale"]
    means = frame.groupby(keys)["change"].mean()
    lowest, highest = means.min(), means.max()
    names, figures, owners = page.shown(frame), [], {}
    for band in [band for band in TITLES if band in set(frame["band"])]:
        figure, shown_for = go.Figure(layout=layout(320, hovermode="x unified")), []
        figure.add_hline(0, line={"color": FAINT, "width": 1.5, "dash": "dash"})
        for name in names:
            for method in ordered(frame["method"]):
                if (name, band, method) not in means.index.droplevel("scale"):
                    continue
                mean, shown = means.loc[name, band, method], look(method, NAME)
                figure.add_scatter(
                    x=mean.index,
                    y=100 * mean,
                    mode="lines+markers",
                    name=shown.label,
                    visible=name == names[0],
                    line=shown.line,
                    marker={"symbol": shown.symbol, "size": 7},
                    hovertemplate="%{y:+.1f} points",
                )
                shown_for.append(name)
        figure.update_xaxes(title={"text": "Scale of the direction"})
        figure.update_yaxes(
            title={"text": "Change, points"}, range=[100 * lowest - 4, 100 * highest + 4]
        )
        id, part = f"fig-arithmetic-{band}", frame[frame["band"] == band]
        owners[id] = shown_for
        count = int(part.groupby("architecture")["network"].nunique().max())
        most = "at most " if page.several else ""
        figures.append(
            Figure(
                id,
                figure,
                f"Change of test accuracy of {band} networks along the direction.",
                f"Mean of {most}{count_of(count, 'test network')}.",
                NAME,
                TITLES[band],
            )
        )
    return page.chooser("control-arithmetic", owners), figures


def _table(page: PageData, frame: pd.DataFrame) -> Table:
    """Change of accuracy at the scale that validation networks chose."""
    rows, chosen = Rows(), frame[frame["chosen"]]
    for name in page.shown(frame):
        inside = chosen[chosen["architecture"] == name]
        for band in [band for band in TITLES if band in set(inside["band"])]:
            for method in ordered(inside["method"]):
                some = inside[(inside["band"] == band) & (inside["method"] == method)]
                if some.empty:
                    continue
                rows.add(
                    BANDS[band].capitalize(),
                    label(method, NAME),
                    str(some["network"].nunique()),
                    _scale(some),
                    share(some["accuracy"] - some["change"]),
                    share(some["accuracy"]),
                    points(some["change"]),
                    group=name if page.several else "",
                    strong=method == "latent",
                )
    return rows.table(
        "table-arithmetic",
        ("Networks", "Direction in", "Count", "Scale", "Before", "After", "Change, points"),
        "The scale is that which is best for validation networks of the band on validation images; "
        "0 is to stay. Before: decoded networks, or the networks themselves. Test accuracy, below "
        "it the 95 % interval over networks.",
        NAME,
        heads=2,
    )
