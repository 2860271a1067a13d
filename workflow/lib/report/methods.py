"""One vocabulary for all pages: how each method is called, explained and drawn.

A method has one colour, one sign and one name on all pages. What it means is said for each
experiment: `IN` holds the words (and, where the common name would mislead, the name) that hold
there; `look` puts both together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lib.report.style import COLORS, INK, MUTED, TERM_COLORS

DARK, BLUE, RUST, GREEN, VIOLET, GREY, RED = TERM_COLORS
BROWN = COLORS[5]
STONE = "#6f7885"


@dataclass(frozen=True)
class Look:
    """How one method is called, explained and drawn."""

    label: str
    words: str = ""
    color: str = MUTED
    symbol: str = "x"
    dash: str = "solid"

    @property
    def line(self) -> dict:
        """Its line in plotly's words."""
        return {"color": self.color, "width": 2.6 if self.color == INK else 2, "dash": self.dash}


LOOKS = {
    # what comes out of the latent space
    "decoded": Look(
        "Decoded", "the network after the latent space: encoded, decoded", INK, "circle"
    ),
    "refined": Look(
        "Refined",
        "the same, its latent moved by gradient steps on training images towards its answers",
        BLUE,
        "square",
    ),
    "latent": Look("Latent", "the latent is moved, the decoder makes the network", INK, "circle"),
    "generated": Look(
        "Generated",
        "decoded from between two test networks of the extremes, by an embedder that never saw a "
        "trained network of this architecture",
        INK,
        "circle",
    ),
    "decoded_test": Look("Decoded, test", "test networks after the latent space", VIOLET, "cross"),
    "decoded_training": Look(
        "Decoded, training", "training networks after the latent space", BLUE, "triangle-down"
    ),
    "midpoint": Look(
        "Halfway",
        "decoded from the middle between the latents of two test networks of an architecture",
        BROWN,
        "pentagon",
    ),
    "interpolated": Look(
        "Interpolated",
        "decoded from the points between test networks of the two extreme architectures",
        RED,
        "hexagon",
    ),
    "kde": Look("Kernel density", "drawn from Gaussian kernels around latents", INK, "circle"),
    "mixture": Look("Gaussian mixture", "drawn from a mixture of Gaussians", BLUE, "square"),
    # training networks as they are, or looked up
    "training": Look(
        "Training", "training networks, each compared with the others", GREY, "triangle-up"
    ),
    "trained": Look("Trained", "the test networks of this architecture", MUTED, "triangle-up"),
    "held_out": Look(
        "Held out",
        "test networks as they were trained: as new as trained networks are",
        GREEN,
        "star",
    ),
    "constant": Look(
        "Best training network, always",
        "one constant per architecture, whatever was asked for: the training network of best "
        "validation accuracy",
        MUTED,
        "diamond-open",
        "dot",
    ),
    "mean_latent": Look(
        "Mean latent, always",
        "one constant per architecture: the decoder at the mean latent of its training networks",
    ),
    "best_of_zoo": Look(
        "Best of the zoo",
        "the training network of best validation accuracy",
        RUST,
        "x",
        "dashdot",
    ),
    "nearest_agreement": Look(
        "Look-up by answers",
        "the training network whose answers on training images are nearest to the target's",
        RUST,
        "diamond",
    ),
    "nearest_weights": Look(
        "Look-up by weights",
        "the training network whose weights are nearest to the target's",
        GREY,
        "triangle-up",
    ),
    # made from weights alone
    "weights": Look(
        "Weights", "the weights themselves are mixed, no latent space", GREY, "square", "dash"
    ),
    "mean_weights": Look(
        "Mean of training weights",
        "the average of the training networks' weights, parameter by parameter",
    ),
    "pca": Look(
        "Principal components",
        "the weights projected on as many principal components as a latent has numbers",
        VIOLET,
        "cross",
    ),
    "noise": Look(
        "With noise",
        "a training network drawn at random, with noise added to its weights",
        RUST,
        "diamond",
    ),
    "aligned": Look(
        "Aligned",
        "the weights mixed after the neurons of one network are put in the order nearest to the "
        "other's (weight matching, as in Git Re-Basin)",
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
    "random": Look(
        "Random direction", "a random direction of the same length", RUST, "diamond", "dot"
    ),
    # trained anew
    "readout": Look(
        "Last layer fitted",
        "the best training network, its last layer fitted in closed form to the target's answers "
        "on training images",
        RED,
        "pentagon",
        "dash",
    ),
    "distilled": Look(
        "Distilled from scratch",
        "a fresh network trained on the target's answers, all its weights free, with as many "
        "steps as a refined latent: how well anything could do",
        GREEN,
        "star",
        "dot",
    ),
    "initialised": Look("Initialised", "fresh networks, never trained", GREEN, "star"),
    "finetuned": Look("Generated, trained further"),
    "scratch": Look("From scratch", "", MUTED, "triangle-up", "dash"),
    # features of a network
    "observed": Look(
        "What the encoder sees",
        "what the encoder is given of the network, before anything learnt; for the arm that "
        "probes, its answers on the probe images",
        RED,
        "cross",
    ),
    "statistics": Look(
        "Weight statistics",
        "mean, standard deviation and five quantiles of each weight and bias",
        BLUE,
        "square",
    ),
    "validation_accuracy": Look(
        "Its own validation accuracy",
        "the network's accuracy on validation images: the most that can be known",
        GREEN,
        "star",
    ),
    "outputs": Look("Answers", "by how many images they answer differently", RUST, "diamond"),
    # fields
    "original": Look("Original", "the mesh that the field was trained on", STONE),
    "siren": Look(
        "Own field", "the shape's own trained field: the best a latent can give back", COLORS[4]
    ),
    "nearest": Look(
        "Nearest training shape",
        "the field of the training shape whose latent is nearest: what a search gives",
        COLORS[2],
    ),
    "mean": Look(
        "Mean of training fields", "the average of all training fields' weights", COLORS[3]
    ),
    "completed": Look(
        "Completed in the latent space",
        "the latent whose decoded field fits the seen points best",
        COLORS[1],
    ),
    "unseen": Look(
        "Real shapes never seen", "test shapes: how near real shapes are to training ones", STONE
    ),
}

# By experiment ("fields": on pages of fields): words, (name, words), or a look of its own.
IN: dict[str, dict[str, str | tuple[str, str] | Look]] = {
    "interpolation": {
        "latent": "decoded from between the two latents",
        "weights": "between the two networks' weights",
    },
    "latent_optimization": {
        "latent": ("Latent moved", "only the latent is moved; the decoder writes the network"),
        "weights": (
            "Weights tuned",
            "the network decoded from the same latent, all its weights trained further",
        ),
        "distilled": (
            "From scratch",
            "a fresh network trained from scratch with the same loss and as many steps",
        ),
    },
    "unseen": {
        "all_four": (
            "Space of all architectures",
            "the same pairs and points in the study's own space, trained with all architectures",
        ),
        "constant": ("Mean latent, always", "one network: decoded from between the mean latents"),
        "distilled": "fresh networks pulled to teacher and labels as generated ones are, in as "
        "many steps",
        "initialised": "fresh networks, not trained",
    },
    "unseen_finetune": {"generated": ("Generated, as it is", "")},
    "property_prediction": {
        "latent": "what the encoder makes of the network",
        "pca": ("Weight components", "principal components of the weights"),
        "weights": ("Raw weights", "all weights as they are"),
    },
    "sampling": {
        "noise": (
            "Training + noise",
            "training networks of the band with as much noise as leaves them as accurate as drawn "
            "ones",
        ),
        "training": "training networks of the band as they are",
    },
    "novelty": {
        "noise": "training networks with as much noise as leaves them as accurate as decoded test "
        "networks, and at most half a point less accurate than without; in a band of accuracy, "
        "with as much as leaves them as accurate as drawn ones: copies, spoilt",
    },
    "retrieval": {
        "latent": ("Latents", "by the distance of latents"),
        "weights": "by the distance of the weights themselves",
    },
    "arithmetic": {
        "latent": "the mean difference of good and poor latents, added to a latent",
        "weights": "the mean difference of good and poor weights, added to a network's weights",
    },
    "fields": {  # in the colors of their meshes, which ink would hide
        "decoded": Look(
            "Decoded from its latent",
            "the field after the latent space: encoded from its weights, decoded again",
            COLORS[1],
        ),
        "latent": Look(
            "In the latent space",
            "latents are mixed or drawn, the decoder makes the field",
            COLORS[1],
        ),
        "weights": Look(
            "In the weights",
            "weights themselves are mixed or drawn, no latent space",
            COLORS[3],
            dash="dash",
        ),
        "scratch": Look(
            "Field from scratch", "a fresh field trained on the same points alone", COLORS[3]
        ),
    },
}

BANDS = {"high": "best third", "middle": "middle third", "low": "poor third"}
TARGETS = {"test_accuracy": "test accuracy", "epochs": "epochs", "learning_rate": "learning rate"}
MODELS = {"ridge": "ridge", "boosting": "boosting", "none": ""}
STARTS = {
    "training": "training networks' latents",
    "poor": "poor networks' latents",
    "random": "random latents",
}
ENDS = {"good": "two good networks", "mixed": "a poor and a good network"}


def look(method: str, experiment: str = "") -> Look:
    """How a method is called, explained and drawn in an experiment.

    One without an entry shows its own name; a name in brackets, that of an embedder, stays.
    """
    name, bracket, embedder = str(method).partition(" (")
    found = LOOKS.get(name, Look(name.replace("_", " ")))
    here = IN.get(experiment, {}).get(name, found)
    if isinstance(here, str):
        here = replace(found, words=here)
    elif isinstance(here, tuple):
        here = replace(found, label=here[0], words=here[1])
    return replace(here, label=here.label + bracket + embedder)


def label(method: str, experiment: str = "") -> str:
    """The name of a method in plain words."""
    return look(method, experiment).label


def ordered(methods: Iterable[str]) -> list[str]:
    """Methods in the order of the vocabulary, those without an entry last; each once."""
    order = {name: place for place, name in enumerate(LOOKS)}
    return sorted(
        dict.fromkeys(map(str, methods)),
        key=lambda name: (order.get(name.partition(" (")[0], len(order)), name),
    )


def glossary(methods: Iterable[str], experiment: str = "") -> list[tuple[str, str]]:
    """Name and explanation of each method that has one, each once."""
    looks = [look(method, experiment) for method in dict.fromkeys(methods)]
    return [(found.label, found.words) for found in looks if found.words]


def listed(names: Sequence[str], link: str = "and") -> str:
    """Names in a sentence: "A, B and C"."""
    *firsts, last = names
    return f"{', '.join(firsts)} {link} {last}" if firsts else last
