"""Words and numbers of the report on shapes."""

from __future__ import annotations

import math

METHODS = {
    "original": ("Original", "the mesh that the field was trained on"),
    "siren": ("Own field", "the shape's own trained field: the best a latent can give back"),
    "decoded": (
        "Decoded from its latent",
        "the field after the latent space: encoded from its weights, decoded again",
    ),
    "nearest": (
        "Nearest training shape",
        "the field of the training shape whose latent is nearest: what a search gives",
    ),
    "mean": ("Mean of training fields", "the average of all training fields' weights"),
    "latent": ("In the latent space", "latents are mixed or drawn, the decoder makes the field"),
    "weights": ("In the weights", "weights themselves are mixed or drawn, no latent space"),
    "completed": (
        "Completed in the latent space",
        "the latent whose decoded field fits the seen points best",
    ),
    "scratch": ("Field from scratch", "a fresh field trained on the same points alone"),
    "unseen": ("Real shapes never seen", "test shapes: how near real shapes are to training ones"),
}


def label(method: str) -> str:
    """A method's name in plain words."""
    return METHODS.get(method, (method.replace("_", " "), ""))[0]


def length(value: float, digits: int = 4) -> str:
    """A distance in the unit of the shapes, which are 1.8 long."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def length_interval(low: float, high: float) -> str:
    """A confidence interval of a distance; empty where there is none."""
    return f"{length(low)} to {length(high)}" if math.isfinite(low + high) else ""


def pieces(count: int) -> str:
    """Of how many parts a surface is made."""
    return {0: "no surface", 1: "one piece"}.get(int(count), f"{int(count)} pieces")
