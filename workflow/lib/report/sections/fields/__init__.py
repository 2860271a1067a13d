"""Pages of spaces of fields: one module for each section."""

from __future__ import annotations

from lib.report.section import PageData, PageKind
from lib.report.sections.fields import (
    completion,
    interpolation,
    map,
    reconstruction,
    sampling,
    zoo,
)


def _title(page: PageData) -> str:
    return "A latent space of shapes"


def _lead(page: PageData) -> str:
    return (
        "A small network is trained for each shape: given a point in space, it says how far the "
        "surface is, and whether the point lies inside. The weights of such a network are turned "
        "into one short vector, and back into a network whose surface is a shape again."
    )


PAGE = PageKind(
    title=_title,
    lead=_lead,
    before=[map.section],
    experiments={
        "reconstruction": reconstruction.section,
        "interpolation": interpolation.section,
        "completion": completion.section,
        "sampling": sampling.section,
    },
    after=[],
    zoo=zoo.section,
    measured="Measured on test shapes, which neither the fields of other shapes nor the embedder "
    "have seen. Intervals are 95 % Student t intervals of the mean over shapes.",
    unit="shapes",
)
