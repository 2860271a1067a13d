"""The study's configuration: one typed, described and strict model of everything that can be set.

`config/README.md` and `config/schema.json` are generated from it (`python -m lib config`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from lib.config_types import (
    Block,
    ConfigError,
    Count,
    Drawn,
    Fraction,
    Kernels,
    Memory,
    Name,
    Precision,
    Rate,
    Share,
    Weight,
    bounds,
    parse_memory,
    per_network,
)

__all__ = [
    "Block",
    "ConfigError",
    "Drawn",
    "Kernels",
    "Precision",
    "Study",
    "bounds",
    "parse_memory",
]


class Augmentation(Block):
    """Random changes of the training images, drawn anew for every instance and epoch."""

    crop_padding: int = Field(
        0, ge=0, description="black frame in pixels before a random crop; 0 for none"
    )
    flip: bool = Field(False, description="flip half of the images left to right")


class Images(Block):
    """Where the images come from and how they are split."""

    source: Literal["digits", "cifar10", "folder"] = Field(
        "digits",
        description="`digits`: scikit-learn's handwritten digits, no download; "
        "`cifar10`: the published python archive; `folder`: a folder or archive of images by class",
    )
    path: str | None = Field(None, description="archive or folder (`cifar10`, `folder`)")
    url: str | None = Field(
        None, description="where to download the archive from if `path` is not set; needs `sha256`"
    )
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="expected SHA-256 of the archive"
    )
    size: Literal[8, 32, 64] = Field(
        8, description="height and width in pixels; images of another size are resized"
    )
    channels: Literal[1, 3] = Field(1, description="1 for grey, 3 for colour")
    mean: tuple[float, ...] = Field(
        (0.3,), description="mean of each channel (of values in [0, 1])"
    )
    std: tuple[Rate, ...] = Field((0.38,), description="standard deviation of each channel")
    validation: Share = Field(0.2, description="share of the training images kept for validation")
    test: Share = Field(
        0.3, description="share kept for testing where the source has no test images of its own"
    )
    limit_per_class: Count | None = Field(
        None, description="use at most this many images of each class and split"
    )

    @field_validator("size", "channels", mode="before")
    @classmethod
    def _number_in_text(cls, value: Any) -> Any:
        """Numbers inside blocks given as `--config images={...}` arrive as text."""
        return int(value) if isinstance(value, str) and value.isdecimal() else value

    @model_validator(mode="after")
    def _consistent(self) -> Images:
        for name in ("mean", "std"):
            if len(getattr(self, name)) != self.channels:
                raise ValueError(
                    f"{name} has {len(getattr(self, name))} values, expected one per "
                    f"channel ({self.channels})"
                )
        if self.source == "digits" and (self.size, self.channels) != (8, 1):
            raise ValueError("source digits has 8x8 grey images: size must be 8 and channels 1")
        if self.source == "cifar10" and (self.size, self.channels) != (32, 3):
            raise ValueError("source cifar10 has 32x32 colour images: size must be 32, channels 3")
        if self.source != "digits" and not (self.path or self.url):
            raise ValueError(f"source {self.source} needs a path or a url")
        if self.source == "folder" and self.url:
            raise ValueError("source folder takes a path, not a url")
        if self.url and not self.sha256:
            raise ValueError("url needs sha256, so that what was downloaded can be checked")
        return self


class Training(Block):
    """How the networks of a zoo are trained.

    Where a value may be *drawn*, each network can have its own, from a random stream of its own:
    `{choices: [...]}`, `{uniform: [low, high]}` or `{log_uniform: [low, high]}` in its place.
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


class LossWeights(Block):
    """Weight of each part of the embedder's loss."""

    own: Weight = Field(
        2.0,
        description="distillation of a decoded network from the very network "
        "it was encoded from; keeps the individual",
    )
    teacher: Weight = Field(0.1, description="distillation of decoded networks from the teacher")
    label: Weight = Field(0.1, description="cross entropy of decoded networks to the labels")
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

    arm: str = Field("probing", description="which embedder; a file of `lib/embed` each")
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
    select_by: Literal["agreement", "accuracy"] = Field(
        "agreement",
        description="the kept checkpoint is best at agreement of decoded validation networks with "
        "their own targets plus accuracy at the inner points, or at mean accuracy of both",
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


class Study(Block):
    """A whole study."""

    name: Name = Field("digits", description="name of the study, shown in its reports")
    seed: int = Field(0, ge=0, description="every random stream derives from it")
    results: str = Field(
        "results", min_length=1, description="folder of everything the study makes"
    )
    device: Literal["cpu", "cuda"] = Field("cpu", description="where networks run")
    threads: Count = Field(
        1, description="threads of a job; part of the result's definition, never taken from --cores"
    )
    images: Images = Field(Images(), description="the images")
    architectures: tuple[str, ...] = Field(
        ("LeNetLike", "VanillaCNN", "ResNet8", "ResNet14"),
        min_length=2,
        description="architectures in class order; the first and the last are the extremes between "
        "which the space is interpolated",
    )
    zoo: Zoo = Field(Zoo(), description="the trained networks")
    teacher: Teacher = Field(Teacher(), description="what decoded networks are pulled towards")
    embedder: Embedding = Field(Embedding(), description="the latent space")
    explore: Exploration = Field(Exploration(), description="what is looked at in it")
    unseen: Unseen = Field(Unseen(), description="what it generates of architectures left out")
    controls: Controls = Field(Controls(), description="what results are compared with")
    ablations: dict[Name, dict[str, Any]] = Field(
        {},
        description="variants of the embedder that `snakemake ablations` trains and compares on "
        "this study's zoo: keys of the block `embedder` that differ, by the variant's name",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        if len(set(self.architectures)) < len(self.architectures):
            raise ValueError(f"architectures must differ, got {', '.join(self.architectures)}")
        if self.device == "cuda" and self.zoo.kernels == "compiled":
            raise ValueError(
                "zoo.kernels compiled run on the CPU alone; device cuda needs zoo.kernels vmap"
            )
        if self.device == "cpu" and self.zoo.precision != "float32":
            raise ValueError(f"zoo.precision {self.zoo.precision} needs device cuda")
        for field in ("overrides", "imported"):
            for name in getattr(self.zoo, field):
                if name not in self.architectures:
                    raise ValueError(f"zoo.{field} names {name}, which is not in architectures")
        inner = self.architectures[1:-1]
        for names in self.left_out:
            if not names or len(set(names)) < len(names):
                raise ValueError(f"unseen.left_out: expected different names, got {list(names)}")
            for name in names:
                if name not in inner:
                    raise ValueError(
                        f"unseen.left_out names {name}, which does not lie between the extremes: "
                        "what is left out is reached by interpolation between "
                        f"{self.architectures[0]} and {self.architectures[-1]}, so it must be one "
                        f"of {', '.join(inner) or 'the architectures between them, here none'}"
                    )
        if len({frozenset(names) for names in self.left_out}) < len(self.left_out):
            raise ValueError("unseen.left_out names the same set twice")
        return self

    @property
    def left_out(self) -> tuple[tuple[str, ...], ...]:
        """The sets of architectures that are left out, each in class order where they are known."""
        sets, inner = self.unseen.left_out, self.architectures[1:-1]
        if sets is None:
            return (inner,) if inner else ()
        return tuple(tuple(sorted(names, key=[*inner, *names].index)) for names in sets)

    def variant(self, name: str) -> Embedding:
        """The embedder of an ablation: this study's, with what the variant changes.

        Raises:
            ValidationError: the result is no valid block `embedder`.
        """
        whole, changes = self.embedder.model_dump(), self.ablations[name]
        merged = whole | changes
        if isinstance(changes.get("weights"), dict):
            merged["weights"] = whole["weights"] | changes["weights"]
        return Embedding.model_validate(merged)
