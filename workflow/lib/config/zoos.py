"""Zoos: how many networks there are, and how they are trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from lib.config.data import Augmentation
from lib.config.faults import shown
from lib.config.types import (
    Block,
    Count,
    Fraction,
    Name,
    OwnDefaults,
    Rate,
    Share,
    Weight,
    bounds,
    by_kind,
    per_network,
)


class Training(Block):
    """How the networks of a zoo are trained.

    Where a value may be *drawn*, each network can have its own, from a random stream of its own:
    `{choices: [...]}`, `{uniform: [low, high]}` or `{log_uniform: [low, high]}` in its place;
    `{in_turn: [...]}` gives each network the next one of a list.
    """

    epochs: per_network(Count) = Field(25, description="passes over the training images")
    batch_size: Count = Field(64, description="images per step")
    optimizer: Literal["sgd", "adam", "adamw"] = Field(
        "sgd", description="SGD with momentum, Adam, or Adam with decoupled weight decay"
    )
    learning_rate: per_network(Rate) = Field(0.1, description="learning rate at the start")
    momentum: per_network(Fraction) = Field(0.9, description="`sgd`: momentum")
    betas: tuple[Fraction, Fraction] = Field(
        (0.9, 0.999), description="`adam`, `adamw`: decay of the first and of the second moment"
    )
    eps: Rate = Field(1e-8, description="`adam`, `adamw`: added to the root of the second moment")
    weight_decay: per_network(Weight) = Field(5e-4, description="weight decay")
    label_smoothing: per_network(Fraction) = Field(
        0.0, description="share of each label that is spread evenly over all classes"
    )
    init_scale: per_network(Rate) = Field(
        1.0,
        description="factor on the freshly initialised weights of convolutions and linear layers "
        "(parameters of two or more axes; biases and batch norm stay)",
    )
    schedule: Literal["constant", "step", "cosine"] = Field(
        "cosine",
        description="how the learning rate falls; `cosine`: to zero over the network's own epochs",
    )
    milestones: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (), description="`step`: the rate falls after these (0-based) epochs"
    )
    decay: Share = Field(0.1, description="`step`: factor at each milestone")
    checkpoint: Literal["best", "final"] = Field(
        "best", description="keep the checkpoint of best validation accuracy, or the last one"
    )
    select_from: int = Field(
        0, ge=0, description="first (0-based) epoch whose checkpoint may be selected"
    )
    select_every: Count = Field(2, description="epochs between checkpoints that may be selected")
    snapshots: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (),
        description="numbers of epochs after which the network is kept as well; 0: as initialised",
    )
    augmentation: Augmentation = Field(Augmentation(), description="changes of the images")

    @model_validator(mode="after")
    def _consistent(self) -> Training:
        fewest, most = bounds(self.epochs)
        if self.select_from >= fewest:
            fewest_of = "epochs" if fewest == most else "the fewest epochs"
            raise ValueError(
                f"select_from is {self.select_from}, must be less than {fewest_of} ({fewest})"
            )
        for name, last in (("milestones", most - 2), ("snapshots", most)):
            numbers = getattr(self, name)
            if list(numbers) != sorted(set(numbers)):
                raise ValueError(f"{name} must rise, got {list(numbers)}")
            if numbers and numbers[-1] > last:
                raise ValueError(
                    f"{name} holds {numbers[-1]}, must be at most {last} with {most} epochs"
                )
        return self


class Instances(Block):
    """How many networks of an architecture train, validate and test the embedder."""

    train: Count = Field(36, description="networks that train the embedder")
    validation: Count = Field(12, description="networks that select its checkpoint")
    test: Count = Field(12, description="networks that only the evaluation sees")

    @property
    def total(self) -> int:
        """Number of networks of the architecture."""
        return self.train + self.validation + self.test


class FieldTraining(Block):
    """How the fields of a zoo of shapes are trained: mean squared error, Adam."""

    steps: Count = Field(4000, description="training steps")
    batch_size: int = Field(512, ge=2, description="samples per step, half inside of the shape")
    learning_rate: Rate = Field(3e-3, description="learning rate of Adam at the start")
    decay: Annotated[float, Field(gt=0, le=1)] = Field(
        0.8, description="factor on the learning rate every `decay_every` steps"
    )
    decay_every: Count = Field(300, description="steps between two such decays")


class ClassifierZoo(Block):
    """Networks that tell classes of images apart."""

    kind: Literal["classifiers"] = Field(
        "classifiers", description="networks that tell classes of images apart"
    )
    data: Name = Field(description="the images, by their name in `data`")
    architectures: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="architectures in class order: what lies between the first and the last, the "
        "extremes, is where a space of them is interpolated; by default those of `imported`",
    )
    instances: Instances | None = Field(
        None,
        description="networks per architecture; by default 36 / 12 / 12, or all that there are of "
        "an imported architecture",
    )
    overrides: dict[str, Instances] = Field(
        {}, description="other numbers for single architectures, by name"
    )
    imported: str | dict[str, str] | None = Field(
        None,
        description="zoos to take networks from instead of training them, for all architectures or "
        "by architecture: a catalogue, a shard or a folder of shards (`docs/guides/zoos.md`)",
    )
    shard_size: Count = Field(
        20,
        description="networks trained by one job and stored in one file; does not change any "
        "result",
    )
    training: Training = Field(
        Training(),
        description="how they are trained; drawn: `{choices: [...]}`, `{uniform: [low, high]}` or "
        "`{log_uniform: [low, high]}`, for each network",
    )

    @field_validator("imported", mode="before")
    @classmethod
    def _paths(cls, value: Any) -> Any:
        paths = value.values() if isinstance(value, Mapping) else [value]
        if value is not None and not all(isinstance(path, str) and path for path in paths):
            raise ValueError(
                f"must be a path, or a path for each architecture by name, got {shown(value)}"
            )
        return value

    def of(self, architecture: str) -> Instances:
        """The numbers of networks of an architecture."""
        return self.overrides.get(architecture, self.instances or Instances())

    def source_of(self, architecture: str) -> str | None:
        """The zoo that an architecture is taken from; None where it is trained."""
        if isinstance(self.imported, str):
            return self.imported
        return (self.imported or {}).get(architecture)


class FieldZoo(OwnDefaults):
    """Signed distance fields, one for each shape."""

    kind: Literal["fields"] = Field(
        "fields", description="signed distance fields, one for each shape"
    )
    data: Name = Field(description="the shapes, by their name in `data`")
    architectures: tuple[str] = Field(
        ("SIREN",), description="the field, one alone; marked with `@field` in `lib/nets`"
    )
    widths: tuple[Count, ...] = Field(
        (48, 48), min_length=1, description="widths of its hidden layers; the paper's are 256, 256"
    )
    omega: Rate = Field(30.0, description="what the argument of each sine is multiplied by")
    init: Literal["independent", "shared"] = Field(
        "independent",
        description="whether each field starts from a random initialisation of its own, or all "
        "from the same",
    )
    instances: Instances = Field(
        Instances(train=64, validation=8, test=16), description="numbers of shapes"
    )
    shard_size: Count = Field(
        22,
        description="shapes sampled, trained and stored by one job; does not change any result",
    )
    training: FieldTraining = Field(FieldTraining(), description="how the fields are trained")

    @property
    def architecture(self) -> str:
        """The one architecture."""
        return self.architectures[0]


Zoo = by_kind(ClassifierZoo, FieldZoo)
