"""What can be asked of a space: one block for each experiment, called as its module and table are.

A block says with class variables what the experiment has to be given, besides the networks, the
images and the embedders of the space, and so what its job waits for.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from lib.config.types import Block, Count, Rate


class Experiment(Block):
    """Settings of one experiment.

    Attributes:
        needs: what its job is given besides networks, images and embedders: `teacher`, the
            teacher's outputs; `unseen`, the embedders that some architectures were left out of;
            `training`, how the zoo is trained, and with what engine; `sampling`, the settings of
            that experiment, where it is asked for.
        architectures: the fewest architectures that it makes sense for.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    architectures: ClassVar[int] = 1


class Reconstruction(Experiment):
    """Test networks, out and back, beside every control."""

    steps: Count = Field(
        300,
        description="gradient steps on training images that refine the latent of a network, and "
        "that distil a fresh network from it as a control",
    )
    rate: Rate = Field(0.02, description="learning rate (Adam) of refinement")
    batch: Count = Field(96, description="images per step, of both")


class Interpolation(Experiment):
    """Walks from one test network to another, in the latent space and in the weights."""

    points: int = Field(100, ge=2, description="points of a walk")
    pairs: Annotated[int, Field(ge=0)] = Field(
        12,
        description="pairs of networks of the first and the last architecture whose whole walk is "
        "followed (the inner architectures' places are looked at for all pairs)",
    )
    pairs_within: Annotated[int, Field(ge=0)] = Field(
        24,
        description="pairs of networks of the same architecture, for each, no network in two of "
        "them; of every three, two are of good networks and one is of a poor and a good one",
    )
    reset_images: Annotated[int, Field(ge=2)] = Field(
        128, description="training images that the statistics of repaired networks are taken from"
    )


class LatentOptimization(Experiment):
    """Latents moved, the decoder frozen, until their networks are good."""

    needs: ClassVar[frozenset[str]] = frozenset({"teacher"})

    steps: Count = Field(300, description="gradient steps")
    rate: Rate = Field(0.02, description="learning rate (Adam) at the start")
    schedule: Literal["cosine", "constant"] = Field(
        "cosine", description="`cosine`: the rates of all methods fall to zero"
    )
    starts: Count = Field(3, description="starts of each kind, per required architecture")
    start_from: tuple[Literal["training", "poor", "random"], ...] = Field(
        ("poor", "random"),
        min_length=1,
        description="`training`: training networks of any architecture, drawn at random; `poor`: "
        "the test networks of lowest validation accuracy; `random`: latents drawn from a normal "
        "distribution with the mean and spread of the training latents",
    )
    every: Count = Field(20, description="steps between validations")
    batch: Count = Field(64, description="images per step")
    temperature: Rate = Field(4.0, description="temperature of distillation from the teacher")


class Unseen(Experiment):
    """Architectures that the space is to generate without a trained network of them."""

    needs: ClassVar[frozenset[str]] = frozenset({"teacher", "unseen"})
    architectures: ClassVar[int] = 3

    left_out: tuple[tuple[str, ...], ...] | None = Field(
        None,
        description="sets of architectures to leave out, each with embedders of its own; they lie "
        "between the extremes; by default one set, all between them, as in the paper",
    )
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (0,), min_length=1, description="one embedder is trained and evaluated per set and seed"
    )
    fresh: Count = Field(
        8,
        description="freshly initialised networks of a left-out architecture: the decoder takes "
        "the scale of its layers from as many, and as many others are a control",
    )
    distilled: Count = Field(
        4,
        description="networks of a left-out architecture distilled from scratch as a control, each "
        "in as many steps as the embedder takes",
    )


class UnseenFinetune(Experiment):
    """Networks of architectures never seen, trained further, against networks from scratch."""

    needs: ClassVar[frozenset[str]] = frozenset({"unseen", "training"})
    architectures: ClassVar[int] = 3

    finetuned: Count = Field(
        12,
        description="generated networks that are trained further for one epoch, and networks "
        "trained from scratch to compare them with",
    )
    rate: Rate = Field(
        0.03, description="learning rate of that epoch; all else as the zoo is trained"
    )
    scratch_epochs: tuple[Count, ...] = Field(
        (1, 2, 5),
        min_length=1,
        description="epochs from scratch, as the zoo is trained with its schedule cut to them",
    )


class PropertyPrediction(Experiment):
    """What is known of a network from its latent, beside what is known from its weights."""

    components: Count = Field(
        16, description="principal components of the weights that properties are predicted from"
    )


class Sampling(Experiment):
    """Networks drawn from the space, as they are and trained further."""

    needs: ClassVar[frozenset[str]] = frozenset({"training"})

    samples: Count = Field(
        16, description="networks drawn from each density for each band of accuracy"
    )
    finetuned: Count = Field(
        6, description="of each kind and band, networks that are trained further"
    )
    epochs: tuple[Count, ...] = Field(
        (1, 5), min_length=1, description="after so many epochs they are looked at"
    )
    rate: Rate = Field(
        1e-3, description="learning rate of these epochs; all else as the zoo is trained"
    )


class Novelty(Experiment):
    """Decoded and drawn networks beside the training networks nearest to them."""

    needs: ClassVar[frozenset[str]] = frozenset({"sampling"})


class Retrieval(Experiment):
    """Whether a network's neighbours are like it."""


class Arithmetic(Experiment):
    """The direction from poor to good networks, added to networks held out."""

    scales: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] = Field(
        (-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0),
        min_length=2,
        description="factors on the direction from poor to good networks",
    )


class FieldReconstruction(Experiment):
    """Test shapes, out and back, as meshes against their originals, with the controls."""


class FieldInterpolation(Experiment):
    """Shapes on the way from one test shape to another."""

    points: int = Field(7, ge=2, description="shapes of a walk, its ends included")
    pairs: Count = Field(2, description="pairs of test shapes to walk between")


class FieldSampling(Experiment):
    """New shapes."""

    samples: Count = Field(8, description="new shapes to draw")


class Completion(Experiment):
    """Test shapes from a part of their surface."""

    points: Count = Field(
        300, description="points on the surface of a test shape that it is completed from"
    )
    shapes: Count = Field(4, description="test shapes to complete")
    steps: Count = Field(400, description="steps of latent-space optimisation")
    rate: Rate = Field(0.02, description="its learning rate (Adam)")
