"""The sections of pages, one module for each experiment; what pages of classifiers consist of."""

from __future__ import annotations

from lib.report.methods import listed
from lib.report.section import PageData, PageKind
from lib.report.sections import (
    arithmetic,
    interpolation,
    latent_optimization,
    novelty,
    pictures,
    property_prediction,
    reconstruction,
    retrieval,
    sampling,
    unseen,
    zoo,
)
from lib.report.sections import map as latent_map

NUMBERS = "no one two three four five six seven eight nine ten".split()


def title(page: PageData) -> str:
    """Heading of a page on classifiers."""
    count = len(page.architectures)
    if page.several:
        number = NUMBERS[count] if count < len(NUMBERS) else count
        return f"One latent space for {number} architectures"
    kinds = "good and poor " if page.spread else ""
    return f"One latent space for {kinds}{page.architectures[0]}s"


def lead(page: PageData) -> str:
    """What stands below it."""
    if page.several:
        return (
            f"Trained networks of {listed(page.architectures)} are turned into one short vector "
            "each, all in the same latent space, and back into networks that are ready to use."
        )
    stopped = (
        ", stopped after different numbers of epochs," if len(set(page.epochs.values())) > 1 else ""
    )
    return (
        f"Networks of one architecture, {page.architectures[0]}{stopped or ','} are turned into "
        "one short vector each and back into networks that run."
    )


PAGE = PageKind(
    title=title,
    lead=lead,
    before=[latent_map.section],
    # `unseen_finetune` is a part of the section `unseen`.
    experiments={
        "reconstruction": reconstruction.section,
        "interpolation": interpolation.section,
        "latent_optimization": latent_optimization.section,
        "unseen": unseen.section,
        "property_prediction": property_prediction.section,
        "sampling": sampling.section,
        "novelty": novelty.section,
        "retrieval": retrieval.section,
        "arithmetic": arithmetic.section,
    },
    after=[pictures.section],
    zoo=zoo.section,
    measured="Measured on test networks and test images, which were kept from training and from "
    "every choice. Intervals are 95 % Student t intervals of the mean over networks (over pairs "
    "for the interpolation) where nothing else is said.",
    unit="networks (or pairs, or runs)",
)
