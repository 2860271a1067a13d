"""The multi-architecture report: one latent space for networks of several architectures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from lib.report import novelty, novelty_summary, retrieval, summary, tables, unseen, unseen_summary
from lib.report.figures import interpolation, networks, strips, training
from lib.report.inputs import MultiarchData, MultiarchFiles
from lib.report.page import relative, render, run_facts
from lib.report.page import summary as page_summary
from lib.report.pictures import pictures
from lib.report.style import Palette, percent, points

WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def multiarch_report(
    files: MultiarchFiles,
    architectures: Sequence[str],
    run: Mapping,
    base: str | Path,
    about: str = "",
) -> str:
    """The whole page as HTML text; equal tables give equal text outside the run block.

    Args:
        files: what the page shows.
        architectures: names in class order (the interpolation's extremes are first and last).
        run: `config` (dict), `versions` (dict), `digests` ({artefact: sha256}), `times`
            ([{step, seconds}]) and `machine` (dict or text); shown in the run block only.
        base: folder in which the page will lie; links to the CSVs are relative to it.
        about: one sentence on the data of this study, for the introduction.

    Raises:
        ReportError: a file is missing or does not keep the contract of its columns.
    """
    data = MultiarchData.load(files)
    palette = Palette(architectures)
    per_network = summary.per_network(data.reconstruction)
    trained = summary.trained_accuracy(per_network)
    verdicts = summary.verdicts(
        per_network, data.interpolation, data.latent_optimization, architectures
    )
    if data.unseen:
        verdicts += unseen_summary.verdicts(data.unseen[0])
    verdicts += [novelty_summary.verdict(data.novelty), retrieval.verdict(data.retrieval)]
    title = f"One latent space for {_count(len(architectures))} architectures"
    headline = _headline(per_network)
    latent_map, map_control = networks.latent_map(data.latent_map, palette)
    accuracy, agreement, method_control = networks.scatter_networks(per_network, palette)
    followed = len(summary.curves(data.interpolation, architectures)) > 0
    pair, pair_control = (
        interpolation.pairs(data.interpolation, palette) if followed else (None, None)
    )
    optimization, optimization_control = training.optimization(
        data.latent_optimization, palette, trained
    )
    return render(
        "multiarch.html.j2",
        title=title,
        about=about,
        headline=headline,
        architectures=list(architectures),
        verdicts=verdicts,
        summary=page_summary(title, headline, verdicts),
        links={
            name: relative(getattr(files, name), base)
            for name in (
                "catalogue",
                "latent_map",
                "reconstruction",
                "interpolation",
                "novelty",
                "retrieval",
                *(("unseen", "unseen_finetune") if data.unseen else ()),
            )
        }
        | {
            "latent_optimization": relative(files.latent_optimization, base),
            "preps": relative(files.preps, base),
            "losses": relative(next(iter(files.losses.values())), base) if files.losses else "",
        },
        loss_links={seed: relative(path, base) for seed, path in files.losses.items()},
        answer=[
            strips.answer_accuracy(per_network, palette),
            strips.answer_agreement(per_network, palette),
        ],
        latent_map=latent_map,
        map_control=map_control,
        scatter=[accuracy, agreement],
        method_control=method_control,
        reconstruction_table=tables.reconstruction(per_network, architectures),
        glossary=tables.glossary(data.reconstruction, data.interpolation, data.latent_optimization),
        interpolation=[
            interpolation.mean(data.interpolation, palette, trained),
            interpolation.share(data.interpolation, palette),
        ]
        if followed
        else [],
        pair=pair,
        pair_control=pair_control,
        interpolation_table=tables.interpolation(data.interpolation, architectures, trained),
        optimization=optimization,
        optimization_control=optimization_control,
        optimization_table=tables.optimization(data.latent_optimization, architectures, trained),
        unseen=unseen.section(*data.unseen, palette) if data.unseen else None,
        novelty=novelty.section(data.novelty, palette),
        retrieval=retrieval.section(data.retrieval, palette),
        pictures=pictures(data.preps, architectures),
        losses=training.losses(data.losses) if data.losses else [],
        zoo=strips.zoo(data.catalogue, palette),
        zoo_table=tables.zoo(
            data.catalogue, per_network, architectures, data.parameters, data.latent
        ),
        facts=run_facts(run),
    )


def _count(number: int) -> str:
    return WORDS[number] if number < len(WORDS) else str(number)


def _headline(per_network: pd.DataFrame) -> str:
    decoded = per_network[per_network["method"] == "decoded"]
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
        f"originals {target} ({points(decoded['gap'].mean())} points). They agree with their own "
        f"original on {own} of the images, with other networks of the same architecture on {other}."
    )
