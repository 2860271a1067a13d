"""Names, colors and signs of what the report on one architecture compares."""

from __future__ import annotations

from lib.report.style import INK, TERM_COLORS, Look

DARK, BLUE, RUST, GREEN, VIOLET, GREY, RED = TERM_COLORS


KEPT = {
    "decoded": Look("Decoded", "encoded, decoded", INK, "circle"),
    "refined": Look(
        "Refined",
        "the same, its latent moved by gradient steps on training images towards its answers",
        BLUE,
        "square",
    ),
    "nearest_agreement": Look(
        "Look-up by answers",
        "the training network whose answers on training images are nearest",
        RUST,
        "diamond",
    ),
    "nearest_weights": Look(
        "Look-up by weights", "the training network whose weights are nearest", GREY, "triangle-up"
    ),
    "readout": Look(
        "Last layer fitted",
        "the best training network, its last layer fitted in closed form to the target's answers "
        "on training images",
        RED,
        "pentagon",
        "dash",
    ),
    "pca": Look(
        "Principal components",
        "the weights projected on as many principal components as a latent has numbers",
        VIOLET,
        "cross",
    ),
    "distilled": Look(
        "Distilled",
        "a fresh network trained on the target's answers, all its weights free, with as many "
        "steps as a refined latent: how well anything could do",
        GREEN,
        "star",
    ),
    "constant": Look("Best, always", "the best training network, whatever was asked for"),
    "noise": Look("With noise", "a training network drawn at random, with noise"),
    "mean_weights": Look("Mean weights", "the mean of all training networks' weights"),
}
WALKS = {
    "latent": Look("Latent", "decoded from between the two latents", INK, "circle"),
    "weights": Look("Weights", "between the two networks' weights", GREY, "square", "dash"),
    "aligned": Look(
        "Aligned",
        "the same after the neurons of one network are put in the order nearest to the other's "
        "(weight matching, as in Git Re-Basin)",
        BLUE,
        "diamond",
        "dot",
    ),
    "aligned_reset": Look(
        "Aligned, reset",
        "the same with mean and spread of every neuron on training images set to what lies between "
        "the two networks' (REPAIR)",
        RUST,
        "triangle-up",
        "dashdot",
    ),
}
TUNED = {
    "latent": Look(
        "Latent moved", "only the latent is moved; the decoder writes the network", INK, "circle"
    ),
    "weights": Look(
        "Weights tuned",
        "the network decoded from the same latent, all its weights trained further",
        BLUE,
        "square",
        "dash",
    ),
    "distilled": Look(
        "From scratch", "a fresh network trained with the same loss", GREEN, "star", "dot"
    ),
    "best_of_zoo": Look(
        "Best of the zoo", "the training network of best validation accuracy", RUST, "x", "dashdot"
    ),
}
FEATURES = {
    "latent": Look("Latent", "what the encoder makes of the network", INK, "circle"),
    "observed": Look(
        "What the encoder sees",
        "what the encoder is given of the network, before anything learnt; for the arm that "
        "probes, its answers on the probe images",
        VIOLET,
        "cross",
    ),
    "statistics": Look(
        "Weight statistics",
        "mean, standard deviation and five quantiles of each weight and bias",
        BLUE,
        "square",
    ),
    "pca": Look("Weight components", "principal components of the weights", RUST, "diamond"),
    "weights": Look("Raw weights", "all weights as they are", GREY, "triangle-up"),
    "validation_accuracy": Look(
        "Its own validation accuracy",
        "the network's accuracy on validation images: the most that can be known",
        GREEN,
        "star",
    ),
}
DRAWN = {
    "kde": Look("Kernel density", "drawn from Gaussian kernels around latents", INK, "circle"),
    "mixture": Look("Gaussian mixture", "drawn from a mixture of Gaussians", BLUE, "square"),
    "noise": Look(
        "Training + noise",
        "training networks of the band with as much noise as leaves them as accurate as drawn ones",
        RUST,
        "diamond",
    ),
    "training": Look("Training", "training networks of the band as they are", GREY, "triangle-up"),
    "initialised": Look("Initialised", "fresh networks, never trained", GREEN, "star"),
}
COMPARED = {
    "held_out": Look("Held out", "test networks as they are: as new as can be", GREEN, "star"),
    "decoded_test": Look("Decoded", "test networks after the latent space", VIOLET, "cross"),
    **{name: DRAWN[name] for name in ("kde", "mixture", "noise")},
}
MOVED = {
    "latent": Look(
        "Latent", "the mean difference of good and poor latents, added to a latent", INK, "circle"
    ),
    "random": Look(
        "Random direction", "a random direction of the same length", RUST, "diamond", "dot"
    ),
    "weights": Look(
        "Weights",
        "the mean difference of good and poor weights, added to a network's weights",
        GREY,
        "square",
        "dash",
    ),
}
BANDS = ("low", "middle", "high")
BAND_NAMES = {"low": "Poor third", "middle": "Middle third", "high": "Best third"}


def glossary(*names: dict[str, Look]) -> list[tuple[str, str]]:
    """Every label with its explanation."""
    return [(look.label, look.words) for looks in names for look in looks.values()]
