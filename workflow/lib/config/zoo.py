"""How many networks there are and how they are trained."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lib.config.images import Augmentation
from lib.config.types import (
    Block,
    Count,
    Fraction,
    Kernels,
    Memory,
    Precision,
    Rate,
    Share,
    Weight,
    bounds,
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


class Zoo(Block):
    """The trained networks."""

    instances: Instances = Field(Instances(), description="networks per architecture")
    overrides: dict[str, Instances] = Field(
        {}, description="other numbers for single architectures, by name"
    )
    imported: dict[str, str] = Field(
        {},
        description="zoos to take networks from instead of training them, by architecture: a "
        "catalogue, a shard or a folder of shards (`docs/zoos.md`)",
    )
    shard_size: Count = Field(
        20,
        description="networks trained by one job and stored in one file; "
        "does not change any result",
    )
    kernels: Kernels = Field(
        "compiled",
        description="what computes a training step, part of the result's definition: `compiled`: "
        "machine code made for the architecture, on the CPU; `vmap`: `torch.func.vmap`, for any "
        "module, on CPU and GPU",
    )
    width: Count = Field(
        10,
        description="`vmap`: networks run at once inside a job; decides how sums are rounded, so "
        "it is part of the result's definition (shard_size is not)",
    )
    precision: Precision = Field(
        "float32",
        description="`vmap` on a GPU: arithmetic of matrix products and convolutions; `bf16` is "
        "mixed precision, weights stay float32",
    )
    max_memory: Memory = Field(
        "4 GiB",
        description="most memory of a training job (of the GPU with device cuda): megabytes, or "
        "text such as `4 GiB`; does not change any result",
    )
    training: Training = Field(
        Training(),
        description="how they are trained; drawn: `{choices: [...]}`, `{uniform: [low, high]}` or "
        "`{log_uniform: [low, high]}`, for each network",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Zoo:
        if self.kernels == "compiled" and self.precision != "float32":
            raise ValueError(
                f"precision {self.precision} needs kernels vmap; compiled ones are exact float32"
            )
        return self

    def of(self, architecture: str) -> Instances:
        """The numbers of networks of an architecture."""
        return self.overrides.get(architecture, self.instances)


class Teacher(Block):
    """The network whose outputs every decoded network is pulled towards."""

    architecture: str | None = Field(
        None,
        description="architecture to train as the teacher; by "
        "default the teacher is the averaged outputs of all training "
        "networks of the last architecture of the zoo",
    )
    networks: Count = Field(1, description="with `architecture`: networks to train and average")
    training: Training = Field(Training(), description="with `architecture`: how it is trained")
