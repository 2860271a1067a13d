"""The latent space: its embedder and how that is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from lib.config.types import Block, Count, Rate, Weight


class LossWeights(Block):
    """Weight of each part of the embedder's loss."""

    own: Weight = Field(
        2.0,
        description="distillation of a decoded network from the very network "
        "it was encoded from; keeps the individual",
    )
    teacher: Weight = Field(0.1, description="distillation of decoded networks from the teacher")
    label: Weight = Field(0.1, description="cross entropy of decoded networks to the labels")
    structure: Weight = Field(
        0.0,
        description="squared difference of decoded weights to the very network's, relative to "
        "their own square, averaged over weights and biases",
    )
    architecture: Weight = Field(1.0, description="cross entropy of the architecture head")
    interpolation: Weight = Field(
        0.2,
        description="the same (teacher, labels, architecture) at the "
        "points between the two extreme architectures",
    )
    interpolation_teacher: Weight = Field(
        1.0,
        description="inside `interpolation`, where labels weigh `label` and architecture 1: "
        "distillation from the teacher",
    )


class Embedding(Block):
    """The latent space: the arm that encodes and decodes networks, and how it is trained."""

    arm: str = Field("probing", description="which embedder; a file of `lib/embed/arms` each")
    options: dict[str, Any] = Field(
        {}, description="keys of the arm's own (`docs/guides/extend.md`)"
    )
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (0,), min_length=1, description="one embedder is trained and evaluated per seed"
    )
    latent: int = Field(128, ge=16, description="numbers in a latent")
    rank: Count = Field(128, description="directions of change per architecture in the decoder")
    probes: Count = Field(
        256,
        description="training images that networks are run on to encode "
        "them; kept inside the embedder",
    )
    prep: tuple[Count, Count] | None = Field(
        None,
        description="`paper`: height (a multiple of 4) and width (of 8) of the matrix that a "
        "network fills; by default as small as the largest architecture allows",
    )
    steps: Count = Field(2000, description="training steps")
    networks: Count = Field(6, description="training networks per step, see `draw`")
    draw: Literal["balanced", "mixed"] = Field(
        "balanced",
        description="`balanced`: `networks` of each architecture, losses averaged over them and "
        "summed over architectures; `mixed`: `networks` of all, whatever they are, losses summed",
    )
    run_as: Literal["given", "predicted"] = Field(
        "given",
        description="in training, decoded networks run as the architecture they were encoded "
        "from, or as the predicted one",
    )
    batch_size: int = Field(
        32, ge=2, description="images per step; half as they are, half noisy (see `image_noise`)"
    )
    learning_rate: Rate = Field(3e-3, description="learning rate of Adam")
    schedule: Literal["cosine", "constant"] = Field(
        "cosine", description="`cosine`: after warm-up the rate falls to zero"
    )
    clip: Rate | None = Field(5.0, description="largest norm of the gradient")
    temperature: Rate = Field(4.0, description="temperature of distillation")
    temperature_unit: Literal["logit", "spread"] = Field(
        "logit",
        description="what the temperature of distillation from the very network is counted in; "
        "`spread`: the standard deviation of its own logits, so that all networks weigh the same",
    )
    versions: Count = Field(
        32, description="versions of each training network to encode: itself and noisy ones"
    )
    weight_noise: Weight = Field(
        0.6, description="noise on those, at most this many times the spread of each layer"
    )
    image_noise: Weight = Field(
        1.0,
        description="noise on half of the images, at most this many "
        "standard deviations; networks differ more there; 0: all images as they are",
    )
    weights: LossWeights = Field(LossWeights(), description="weights of the losses")
    select_every: Count = Field(250, description="steps between checkpoints that may be selected")
    select_by: Literal["agreement", "accuracy", "error"] = Field(
        "agreement",
        description="what the kept checkpoint is best at, on validation networks. `agreement`: of "
        "decoded networks with their own targets, plus accuracy at the inner points; `accuracy`: "
        "mean accuracy of both; `error`: keeping each network's accuracy as it is",
    )
    threads: Count = Field(
        1, description="threads of the training job; part of the result's definition"
    )

    @property
    def clean(self) -> int:
        """Number of images per step without noise."""
        return self.batch_size // 2 if self.image_noise else self.batch_size

    def visits(self, alike: int, zoo: int) -> float:
        """How many steps a training network is in: one of `alike`, among `zoo` of any kind."""
        return self.steps * self.networks / (zoo if self.draw == "mixed" else alike)

    def merged(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """This block as plain data, some of its keys changed, those of `weights` one by one."""
        whole = self.model_dump()
        merged = whole | dict(changes)
        if isinstance(changes.get("weights"), Mapping):
            merged["weights"] = whole["weights"] | dict(changes["weights"])
        return merged

    def changed(self, changes: Mapping[str, Any]) -> Embedding:
        """This block with some of its keys changed.

        Raises:
            ValidationError: the result is no valid block.
        """
        return Embedding.model_validate(self.merged(changes))


def uses_teacher(embedding: Embedding, architectures: int) -> bool:
    """Whether training such an embedder, of so many architectures, takes the teacher's outputs."""
    weights = embedding.weights
    between = architectures > 2 and weights.interpolation and weights.interpolation_teacher
    return bool(weights.teacher or between)
