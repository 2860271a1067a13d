"""The report on shapes: a latent space of neural signed distance fields."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from lib.report import shape_scenes, shape_summary, shape_tables
from lib.report.figures import shapes as figures
from lib.report.inputs import ReportError
from lib.report.page import relative, render, run_facts
from lib.report.page import summary as page_summary
from lib.report.scenes import as_json
from lib.report.shape_inputs import COLUMNS, ShapeData, ShapeFiles

TITLE = "A latent space of shapes"
LISTED = 300  # meshes that were left out, at most


def shapes_report(files: ShapeFiles, run: Mapping, base: str | Path, about: str = "") -> str:
    """The whole page as HTML text; equal tables give equal text outside the run block.

    Args:
        files: what the page shows.
        run: as for `lib.report.multiarch_report`.
        base: folder in which the page will lie; links to the CSVs are relative to it.
        about: one sentence on the shapes of this study, for the introduction.

    Raises:
        ReportError: a file is missing or does not keep the contract of its columns, or a mesh
            that the tables name is not among the scenes.
    """
    data = ShapeData.load(files)
    scenes = shape_scenes.every(vars(data))
    if missing := shape_scenes.missing(scenes, data.meshes):
        raise ReportError(f"{files.scenes}: lacks the mesh {missing[0]}, which a table names")
    reconstruction, *ways, completion, sampling = scenes
    per_shape = shape_summary.per_shape(data.reconstruction)
    headline, verdicts = shape_summary.headline(per_shape), shape_summary.verdicts(data)
    return render(
        "shapes.html.j2",
        title=TITLE,
        about=about,
        headline=headline,
        verdicts=verdicts,
        summary=page_summary(TITLE, headline, verdicts),
        links={name: relative(getattr(files, name), base) for name in COLUMNS},
        answer=figures.answer(per_shape),
        shown=_shown(data.reconstruction),
        triangles=data.triangles,
        reconstruction_scene=reconstruction,
        latent=data.latent,
        latent_map=figures.latent_map(data.latent_map),
        reconstruction_table=shape_tables.scores(
            per_shape, "table-reconstruction", "decoded", "reconstruction", shape_tables.DEFINED
        ),
        glossary=shape_tables.glossary(
            [*per_shape["method"], *data.completion["method"], *data.sampling["method"]]
        ),
        interpolation_scenes=ways,
        interpolation=figures.ways(data.interpolation),
        interpolation_table=shape_tables.interpolation(data.interpolation),
        points=int(data.completion["points"].iloc[0]),
        completion_scene=completion,
        completion_table=shape_tables.scores(
            data.completion,
            "table-completion",
            "completed",
            "completion",
            "Mean over the test shapes that were completed; below it the 95 % interval.",
        ),
        sampling_scene=sampling,
        novelty=figures.novelty(data.sampling),
        sampling_table=shape_tables.made(
            data.sampling,
            "table-sampling",
            "latent",
            "sampling",
            "The distance is a mean over shapes; below it the 95 % interval. Real shapes that were "
            "never seen say how far from the training shapes a chair can well be.",
        ),
        shapes_text=_shapes_text(data.shapes, data.left_out),
        left_out=list(data.left_out[:LISTED].itertuples(index=False, name=None)),
        parameters=data.parameters,
        zoo_table=shape_tables.zoo(data.catalogue),
        meshes=as_json(data.meshes),
        pictures=json.dumps(data.pictures).replace("<", "\\u003c"),
        facts=run_facts(run),
    )


def _shown(reconstruction: pd.DataFrame) -> str:
    count, most = reconstruction["shape"].nunique(), shape_scenes.SHOWN
    if count <= most:
        return f"All {count} test shapes."
    return f"The first {most} of {count} test shapes."


def _shapes_text(shapes: pd.DataFrame, left_out: pd.DataFrame) -> str:
    splits = [int((shapes["split"] == name).sum()) for name in ("train", "validation", "test")]
    mended = shapes.loc[shapes["mended"] != "", "mended"].value_counts()
    how = ", ".join(f"{words} ({count})" for words, count in sorted(mended.items()))
    note = f" Mended meshes: {how}." if how else ""
    if len(left_out):
        note += f" Meshes that could not be used: {len(left_out)}."
    return (
        f"{len(shapes)} shapes: {splits[0]} to train the embedder, {splits[1]} to choose its best "
        f"state, {splits[2]} to test it.{note}"
    )
