"""The report on the space of one architecture: a latent that knows how good a network is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from lib.report import single_drawn, single_notes, single_summary, single_tables
from lib.report.figures import curves, drawn, performance, training
from lib.report.page import relative, render, run_facts
from lib.report.page import summary as page_summary
from lib.report.single_inputs import TABLES, SinglearchData, SinglearchFiles
from lib.report.single_style import COMPARED, DRAWN, FEATURES, KEPT, MOVED, TUNED, WALKS, glossary
from lib.report.style import percent


def singlearch_report(
    files: SinglearchFiles, architecture: str, run: Mapping, base: str | Path, about: str = ""
) -> str:
    """The whole page as HTML text; equal tables give equal text outside the run block.

    Args:
        files: what the page shows.
        architecture: that of all networks.
        run: facts about the run, as for `multiarch_report`.
        base: folder in which the page will lie; links to the CSVs are relative to it.
        about: one sentence on the networks and their images.

    Raises:
        ReportError: a file is missing or does not keep the contract of its columns.
    """
    data = SinglearchData.load(files)
    whole = single_summary.whole(data.reconstruction)
    networks = single_summary.per_network(data.reconstruction)
    verdicts = single_summary.verdicts(data)
    title = f"One latent space for good and poor {architecture}s"
    headline = _headline(data, whole)
    latent_map, map_control = performance.latent_map(data.latent_map)
    kept, kept_control = performance.kept(networks)
    tuned, tuned_control = curves.tuned(data.latent_optimization)
    sampled, sampled_control = drawn.sampled(data.sampling)
    links = {name: relative(getattr(files, name), base) for name in TABLES}
    links["losses"] = relative(next(iter(files.losses.values())), base) if files.losses else ""
    return render(
        "singlearch.html.j2",
        title=title,
        about=about,
        headline=headline,
        architecture=architecture,
        latent_map=latent_map,
        map_control=map_control,
        verdicts=verdicts,
        summary=page_summary(title, headline, verdicts),
        links=links,
        loss_links={seed: relative(path, base) for seed, path in files.losses.items()},
        kept=[kept, performance.agreement(networks)],
        kept_control=kept_control,
        kept_table=single_tables.kept(whole, networks),
        walks=curves.walks(data.interpolation),
        walks_table=single_tables.walks(data.interpolation),
        tuned=tuned,
        tuned_control=tuned_control,
        tuned_table=single_tables.tuned(data.latent_optimization),
        properties=drawn.properties(data.property_prediction),
        properties_table=single_drawn.properties(data.property_prediction),
        sampled=sampled,
        sampled_control=sampled_control,
        sampled_table=single_drawn.sampled(data.sampling),
        compared=drawn.compared(data.novelty),
        compared_table=single_drawn.compared(data.novelty),
        moved=curves.moved(data.arithmetic),
        moved_table=single_tables.moved(data.arithmetic),
        notes={source: tell(getattr(data, source)) for _, tell, source in single_notes.NOTES},
        glossaries={
            "kept": glossary(KEPT),
            "walks": glossary(WALKS),
            "tuned": glossary(TUNED),
            "properties": glossary(FEATURES),
            "drawn": glossary(DRAWN | COMPARED),
            "moved": glossary(MOVED),
        },
        shortcomings=list(single_notes.shortcomings(data, whole, verdicts)),
        losses=training.losses(data.losses) if data.losses else [],
        zoo=performance.zoo(data.catalogue),
        zoo_table=single_tables.zoo(data.catalogue, networks),
        facts=run_facts(run),
    )


def _headline(data: SinglearchData, whole: pd.DataFrame) -> str:
    """What was found, in two sentences."""
    row, tested = whole.loc["decoded"], data.reconstruction.drop_duplicates("network")
    low, high = tested["target_accuracy"].min(), tested["target_accuracy"].max()
    latent = data.reconstruction.loc[data.reconstruction["latent"] > 0, "latent"]
    text = (
        f"{len(tested)} networks that the space has never seen, from {percent(low)} to "
        f"{percent(high)} of test images right, come back from {latent.iloc[0]:.0f} numbers each "
        f"({row['compression']:.1f} times fewer than they have weights) with an accuracy "
        f"{single_notes.points_of(row['error'])} off on average (correlation "
        f"{row['correlation']:.3f}) and the same answer on {percent(row['agreement'])} of images."
    )
    if "nearest_agreement" in whole.index:
        look_up = whole.loc["nearest_agreement"]
        text += (
            f" Looking up the most similar training network gives "
            f"{single_notes.points_of(look_up['error'])} and {percent(look_up['agreement'])}"
        )
        if "distilled" in whole.index:
            free = whole.loc["distilled"]
            text += (
                f"; training all weights of a fresh network on its answers "
                f"{single_notes.points_of(free['error'])} and {percent(free['agreement'])}"
            )
        text += "."
    return text
