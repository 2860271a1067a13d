"""The space of one architecture: its zoo, its embedder and what is done in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from lib.config.embedding import Embedding, LossWeights
from lib.config.singlearch_explore import SingleExploration
from lib.config.types import Count, Name, OwnDefaults, Rate
from lib.config.zoo import Instances, Training

# Epochs that spread accuracies evenly from chance to the best, as the digits are trained below.
EPOCHS = (1, 2, 3, 4, 4, 4, *[5] * 7, *[6] * 5, 7, 7, 8, 9, 12, 15, 20, 30)

ABLATED = ("embedder", "trained_on", "refine_steps", "refine_rate", "refine_batch")


class SingleArch(OwnDefaults):
    """The space of one architecture, whose networks differ in how good they are."""

    architecture: str = Field("ResNet8", description="the architecture")
    instances: Instances = Field(
        Instances(train=800, validation=100, test=100), description="its networks"
    )
    shard_size: Count = Field(
        100,
        description="networks trained by one job and stored in one file; "
        "does not change any result",
    )
    training: Training = Field(
        Training(
            epochs={"in_turn": EPOCHS},
            batch_size=256,
            optimizer="adam",
            learning_rate=1e-3,
            weight_decay=0.0,
            checkpoint="final",
        ),
        description="how they are trained, each for a number of epochs of its own; kernels, width "
        "and precision are those of the block `zoo`",
    )
    embedder: Embedding = Field(
        Embedding(
            arm="readout",
            latent=1024,
            probes=1000,
            steps=2000,
            networks=96,
            batch_size=96,
            clip=1.0,
            temperature=0.5,
            temperature_unit="spread",
            versions=1,
            weight_noise=0.0,
            weights=LossWeights(own=1.0),
        ),
        description="the latent space; networks are distilled from their own targets alone",
    )
    trained_on: Count | None = Field(
        None, description="training networks that the embedder is given; by default all"
    )
    refine_steps: Count = Field(
        300, description="gradient steps on training images that refine the latent of a network"
    )
    refine_rate: Rate = Field(0.02, description="their learning rate (Adam)")
    refine_batch: Count = Field(96, description="images per step")
    explore: SingleExploration = Field(
        SingleExploration(), description="what is looked at in the space"
    )
    ablations: dict[Name, dict[str, Any]] = Field(
        {},
        description="variants of the space, as `ablations` on this zoo: keys of the block "
        f"`singlearch` that differ, by the variant's name, out of `{'`, `'.join(ABLATED)}`",
    )

    def variant(self, name: str) -> SingleArch:
        """The block of an ablation: this one, with what the variant changes.

        Raises:
            ValidationError: the result is no valid block `singlearch`.
            ValueError: the variant changes what the zoo is made of.
        """
        changes = dict(self.ablations[name])
        if others := set(changes) - set(ABLATED):
            raise ValueError(
                f"{sorted(others)[0]} would need another zoo or changes no embedder; a variant may "
                f"change {', '.join(ABLATED)}"
            )
        if isinstance(changes.get("embedder"), Mapping):
            changes["embedder"] = self.embedder.merged(changes["embedder"])
        return SingleArch.model_validate(self.model_dump() | changes)
