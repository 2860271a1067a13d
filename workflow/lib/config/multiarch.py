"""What is done in the space of several architectures."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lib.config.types import Block, Count, Rate


class Exploration(Block):
    """What is looked at in the latent space."""

    points: int = Field(100, ge=2, description="points of an interpolation curve")
    pairs: Count = Field(12, description="pairs of test networks whose curve is followed")
    optimization_steps: Count = Field(300, description="steps of latent-space optimisation")
    optimization_rate: Rate = Field(0.02, description="its learning rate (Adam)")
    optimization_starts: Count = Field(3, description="starting networks per required architecture")
    optimization_every: Count = Field(20, description="steps between validations")
    optimization_batch: Count = Field(64, description="images per step")


class Unseen(Block):
    """Architectures that the space is to generate without a trained network of them."""

    left_out: tuple[tuple[str, ...], ...] | None = Field(
        None,
        description="sets of architectures to leave out, each with embedders of its own; they lie "
        "between the extremes; by default one set, all between them, as in the paper; `[]`: none",
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
    finetuned: Count = Field(
        12,
        description="generated networks that are trained further for one epoch, and networks "
        "trained from scratch to compare them with",
    )
    finetune_rate: Rate = Field(
        0.03, description="learning rate of that epoch; all else as in `zoo.training`"
    )
    scratch_epochs: tuple[Count, ...] = Field(
        (1, 2, 5),
        min_length=1,
        description="epochs from scratch, as `zoo.training` says with its schedule cut to them",
    )


class Controls(Block):
    """What the results are compared with."""

    noise: Rate = Field(
        0.1, description="noise around a training network, in units of the spread of each layer"
    )
    distill_rate: Rate = Field(
        3e-3, description="learning rate (Adam) of distillation from scratch"
    )
    band: Count = Field(
        5,
        description="how many other networks of the same architecture, nearest "
        "in accuracy, agreement with others is averaged over",
    )
