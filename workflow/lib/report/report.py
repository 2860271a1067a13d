"""The page of a space, of any kind: from files to HTML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lib.config import Study
from lib.experiments import columns
from lib.report import charts, sections
from lib.report.inputs import read_table
from lib.report.page import page
from lib.report.run import about
from lib.report.section import Files, PageData, one
from lib.report.sections import answer, fields, made, shortcomings, training, variants
from lib.report.sections.fields import variants as field_variants
from lib.report.variants import changed, comparison_page

KINDS = {"classifiers": sections.PAGE, "fields": fields.PAGE}
COMPARED = {"classifiers": variants, "fields": field_variants}


@dataclass(frozen=True)
class Variants:
    """What there is of variants of a space: a page, its table as Markdown, figures as SVG."""

    page: str
    markdown: str
    figures: Mapping[str, str]


def space_page(study: Study, space: str, files: Files, run: Mapping, base: str | Path) -> str:
    """The whole page as HTML text; equal tables give equal text outside the run block.

    Args:
        study: a resolved study.
        space: the name of the space.
        files: paths by name, a list where there are several (of others the first counts):
            `catalogue`, `latent_map`, each experiment that is asked for, `losses` (one for each
            embedder seed, in order) and `card` (of an embedder). Of classifiers also `preps`; of
            fields `shapes`, `left_out` and `scenes`.
        run: `run.run_facts`; shown in the run block only.
        base: the folder in which the page will lie; links to the tables are relative to it.

    Raises:
        ReportError: a file is missing or does not keep the contract of its columns.
    """
    cfg = study.spaces[space]
    data = PageData.load(
        files,
        space=space,
        kind=cfg.kind,
        architectures=getattr(cfg, "architectures", None) or study.zoos[cfg.zoo].architectures,
        experiments=cfg.experiments.names(),
        seeds=cfg.embedder.seeds,
        base=base,
        teacher=cfg.embedder.weights.teacher > 0,
    )
    return page_of(data, cfg.kind, run, about(study, space))


def page_of(data: PageData, kind: str, run: Mapping, about: str = "") -> str:
    """The page of results that are read already; `about` is a sentence on the data of the space."""
    of = KINDS[kind]
    before = [make(data) for make in of.before]
    asked = [of.experiments[name](data) for name in data.experiments if name in of.experiments]
    after = [part for make in of.after if (part := make(data)) is not None]
    found = [*before, *asked, *after]
    answered = answer.section(found, of.measured)
    middle = [shortcomings.section(found), training.section(data), of.zoo(data)]
    shown = [answered, *found, *(part for part in middle if part), made.section(run, of.unit)]
    return page(
        of.title(data),
        " ".join(filter(None, (of.lead(data), about))),
        shown,
        data.links,
        headline=answered.headline,
        name=data.space,
    )


def variants_page(
    study: Study,
    space: str,
    files: Files,
    seconds: Mapping[str, float],
    run: Mapping,
    base: str | Path,
) -> Variants:
    """The page that compares the variants of a space.

    Args:
        study: a resolved study.
        space: the name of the space.
        files: `variants`, the table; of classifiers also `reconstruction`, that of the space, if it
            has one.
        seconds: of one processor that training a variant took, by its name.
        run: as for `space_page`.
        base: the folder in which the page will lie.

    Raises:
        ReportError: as `space_page`.
    """
    cfg = study.spaces[space]
    of = COMPARED[cfg.kind]
    frame = read_table(one(files["variants"]), "variants", columns.VARIANTS[cfg.kind])
    changes = changed(cfg, {name: cfg.variant(name) for name in cfg.variants})
    beside = {}
    if cfg.kind == "classifiers" and files.get("reconstruction"):
        wanted = columns.CLASSIFIERS["reconstruction"]
        path = one(files["reconstruction"])
        beside["reconstruction"] = read_table(path, "reconstruction", wanted)
    shown = of.comparison(frame, changes, seconds, **beside)
    sources = {name: one(path) for name, path in files.items() if path}
    # Of several architectures, the document says what holds over all of them.
    whole = shown.table.only(shown.table.groups[0]) if shown.table.groups else shown.table
    return Variants(
        comparison_page(shown, changes, sources, run, base, space),
        whole.markdown,
        {chart.id.removeprefix("fig-"): charts.svg(chart) for chart in shown.charts},
    )
