"""The space of shapes: meshes, the fields trained on them, their embedder, what is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from lib.config.embedding import Embedding, LossWeights
from lib.config.types import Block, Count, Name, OwnDefaults, Rate, Weight
from lib.config.zoo import Instances

ABLATED = ("embedder", "trained_on", "truncation", "warp")


class FieldTraining(Block):
    """How the fields of a zoo of shapes are trained: mean squared error, Adam."""

    steps: Count = Field(4000, description="training steps")
    batch_size: int = Field(512, ge=2, description="samples per step, half inside of the shape")
    learning_rate: Rate = Field(3e-3, description="learning rate of Adam at the start")
    decay: Annotated[float, Field(gt=0, le=1)] = Field(
        0.8, description="factor on the learning rate every `decay_every` steps"
    )
    decay_every: Count = Field(300, description="steps between two such decays")


class ShapeExploration(Block):
    """What is looked at in the space of shapes."""

    points: int = Field(7, ge=2, description="shapes of an interpolation, its ends included")
    pairs: Count = Field(2, description="pairs of test shapes to interpolate between")
    partial: Count = Field(
        300, description="points on the surface of a test shape that it is completed from"
    )
    completed: Count = Field(4, description="test shapes to complete")
    completion_steps: Count = Field(400, description="steps of latent-space optimisation")
    completion_rate: Rate = Field(0.02, description="its learning rate (Adam)")
    sampled: Count = Field(8, description="new shapes to sample")


class Shapes(OwnDefaults):
    """The space of shapes: signed distance fields of meshes."""

    source: str = Field(
        "procedural",
        min_length=1,
        description="`procedural`: chairs made by the study; or the path of a folder or archive "
        "of meshes (PLY, OBJ, OFF, STL)",
    )
    instances: Instances = Field(
        Instances(train=64, validation=8, test=16), description="numbers of shapes"
    )
    samples: int = Field(
        20000,
        ge=2,
        multiple_of=2,
        description="points of a shape whose signed distances its field is trained on; even",
    )
    near: Annotated[float, Field(gt=0, le=1)] = Field(
        0.8, description="share of them near the surface, on several scales"
    )
    uniform: Count = Field(
        20000, description="further points, evenly in the cube, that fields are judged by"
    )
    architecture: str = Field("SIREN", description="the field; marked with `@field` in `lib/nets`")
    widths: tuple[Count, ...] = Field(
        (48, 48), min_length=1, description="widths of its hidden layers; the paper's are 256, 256"
    )
    omega: Rate = Field(30.0, description="what the argument of each sine is multiplied by")
    init: Literal["independent", "shared"] = Field(
        "independent",
        description="whether each field starts from a random initialisation of its own, or all "
        "from the same",
    )
    shard_size: Count = Field(
        22,
        description="shapes sampled, trained and stored by one job; does not change any result",
    )
    training: FieldTraining = Field(FieldTraining(), description="how the fields are trained")
    embedder: Embedding = Field(
        Embedding(
            arm="field_probing",
            latent=128,
            rank=128,
            probes=1024,
            steps=6000,
            networks=16,
            batch_size=512,
            versions=1,
            weight_noise=0.0,
            image_noise=0.0,
            weights=LossWeights(own=1.0),
            select_every=500,
        ),
        description="the latent space; `probes` are points, `batch_size` is points of each field "
        "in a step",
    )
    trained_on: Count | None = Field(
        None, description="training shapes that the embedder is given; by default all"
    )
    truncation: Rate = Field(
        0.1, description="distance beyond which differences between fields count ever less"
    )
    warp: Weight = Field(
        0.3,
        description="training shapes are stretched and squeezed at random along each axis, in "
        "pieces, by factors whose logarithm has at most this standard deviation; arms that run "
        "fields to encode them see the warped ones, others the fields as they are",
    )
    resolution: int = Field(128, ge=16, description="cells along each axis of the meshes made")
    explore: ShapeExploration = Field(
        ShapeExploration(), description="what is looked at in the space"
    )
    ablations: dict[Name, dict[str, Any]] = Field(
        {},
        description="variants of the space, as `ablations` on this zoo: keys of the block `shapes` "
        "that differ, by the variant's name, out of `embedder`, `trained_on`, `truncation`, `warp`",
    )

    def variant(self, name: str) -> Shapes:
        """The block of an ablation: this one, with what the variant changes.

        Raises:
            ValidationError: the result is no valid block `shapes`.
            ValueError: the variant changes what the zoo is made of.
        """
        changes = dict(self.ablations[name])
        if others := set(changes) - set(ABLATED):
            raise ValueError(
                f"{sorted(others)[0]} would need another zoo; a variant may change "
                f"{', '.join(ABLATED)}"
            )
        if isinstance(changes.get("embedder"), Mapping):
            changes["embedder"] = self.embedder.changed(changes["embedder"]).model_dump()
        return Shapes.model_validate(self.model_dump() | changes)
