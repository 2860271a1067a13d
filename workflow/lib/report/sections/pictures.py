"""Networks as pictures, before and after the latent space."""

from __future__ import annotations

from lib.report.blocks import Pictures, Text
from lib.report.pictures import pictures
from lib.report.section import PageData, Section


def section(page: PageData) -> Section | None:
    """One network of each architecture; None where there are no pictures."""
    if not page.preps:
        return None
    text = (
        "The weights of a network laid out as an image, before and after the latent space. Two "
        "networks can compute nearly the same function with different weights, so a decoded "
        "picture need not repeat the original pixel by pixel. Blue is negative, white zero, brown "
        "positive. In large networks each pixel shows the value farthest from zero among its "
        "neighbours; empty rows at the end are cut."
    )
    shown = Pictures(pictures(page.preps, page.architectures), "preps")
    return Section("pictures", "Pictures of networks", "Pictures", [Text(text), shown])
