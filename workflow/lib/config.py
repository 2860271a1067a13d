"""The study's configuration: one typed, described and strict model of everything that can be set.

`config/README.md` and `config/schema.json` are generated from it (`python -m lib config`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lib.errors import InputError

Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, lt=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]


class ConfigError(InputError):
    """The configuration is not one the study can run; the message lists every field at fault."""


class Block(BaseModel):
    """A block of the configuration: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Augmentation(Block):
    """Random changes of the training images, drawn anew for every instance and step."""

    crop_padding: int = Field(0, ge=0, description="zero padding in pixels before a random crop; "
                              "0 for none")
    flip: bool = Field(False, description="flip half of the images left to right")


class Images(Block):
    """Where the images come from and how they are split."""

    source: Literal["digits", "cifar10", "folder"] = Field(
        "digits", description="`digits`: scikit-learn's handwritten digits, no download; "
        "`cifar10`: the published python archive; `folder`: a folder or archive of images by class")
    path: str | None = Field(None, description="archive or folder (`cifar10`, `folder`)")
    url: str | None = Field(None, description="where to download the archive from if `path` is "
                            "not set; needs `sha256`")
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$",
                               description="expected SHA-256 of the archive")
    size: Literal[8, 32, 64] = Field(8, description="height and width in pixels; images of another "
                                     "size are resized")
    channels: Literal[1, 3] = Field(1, description="1 for grey, 3 for colour")
    mean: tuple[float, ...] = Field((0.3,), description="mean of each channel (of values in [0, 1])")
    std: tuple[Rate, ...] = Field((0.38,), description="standard deviation of each channel")
    validation: Share = Field(0.2, description="share of the training images kept for validation")
    test: Share = Field(0.2, description="share kept for testing where the source has no test "
                        "images of its own")
    limit_per_class: Count | None = Field(None, description="use at most this many images of each "
                                          "class and split")

    @model_validator(mode="after")
    def _consistent(self) -> Images:
        for name in ("mean", "std"):
            if len(getattr(self, name)) != self.channels:
                raise ValueError(f"{name} has {len(getattr(self, name))} values, expected one per "
                                 f"channel ({self.channels})")
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
    """How the networks of a zoo are trained: SGD with momentum."""

    epochs: Count = Field(20, description="passes over the training images")
    batch_size: Count = Field(64, description="images per step")
    learning_rate: Rate = Field(0.1, description="learning rate at the start")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of SGD")
    weight_decay: Weight = Field(5e-4, description="weight decay of SGD")
    schedule: Literal["cosine", "step"] = Field("cosine", description="how the learning rate falls")
    milestones: tuple[int, ...] = Field((), description="`step`: the rate falls after these "
                                        "(0-based) epochs")
    decay: Share = Field(0.1, description="`step`: factor at each milestone")
    checkpoint: Literal["best", "final"] = Field("best", description="keep the checkpoint of best "
                                                 "validation accuracy, or the last one")
    select_from: int = Field(0, ge=0, description="first (0-based) epoch whose checkpoint may be "
                             "selected")
    select_every: Count = Field(2, description="epochs between checkpoints that may be selected")
    augmentation: Augmentation = Field(Augmentation(), description="changes of the images")

    @model_validator(mode="after")
    def _consistent(self) -> Training:
        if self.select_from >= self.epochs:
            raise ValueError(f"select_from is {self.select_from}, must be less than epochs "
                             f"({self.epochs})")
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError("milestones must rise")
        return self

    def selects(self, epoch: int) -> bool:
        """Whether the checkpoint after this (0-based) epoch may be selected."""
        last = epoch == self.epochs - 1
        if self.checkpoint == "final":
            return last
        return last or (epoch >= self.select_from
                        and (epoch - self.select_from) % self.select_every == 0)


class Instances(Block):
    """How many networks of an architecture train, validate and test the embedder."""

    train: Count = Field(36, description="networks that train the embedder")
    validation: Count = Field(12, description="networks that select its checkpoint")
    test: Count = Field(12, description="networks that only the evaluation sees")

    @property
    def total(self) -> int:
        """Number of networks of the architecture."""
        return self.train + self.validation + self.test

    def split(self, instance: int) -> str:
        """Split of an instance: test first, so that a zoo grows at its training end."""
        if instance < self.test:
            return "test"
        return "validation" if instance < self.test + self.validation else "train"


class Zoo(Block):
    """The trained networks."""

    instances: Instances = Field(Instances(), description="networks per architecture")
    overrides: dict[str, Instances] = Field({}, description="other numbers for single "
                                            "architectures, by name")
    shard_size: Count = Field(20, description="networks trained by one job and stored in one file; "
                              "does not change any result")
    training: Training = Field(Training(), description="how they are trained")

    def of(self, architecture: str) -> Instances:
        """The numbers of networks of an architecture."""
        return self.overrides.get(architecture, self.instances)


class Study(Block):
    """A whole study."""

    name: Name = Field("digits", description="name of the study, shown in its reports")
    seed: int = Field(0, ge=0, description="every random stream derives from it")
    results: str = Field("results", min_length=1, description="folder of everything the study makes")
    device: Literal["cpu", "cuda"] = Field("cpu", description="where networks run")
    threads: Count = Field(1, description="threads of a job; part of the result's definition, "
                           "never taken from --cores")
    images: Images = Field(Images(), description="the images")
    architectures: tuple[str, ...] = Field(
        ("LeNetLike", "VanillaCNN", "ResNet8", "ResNet14"), min_length=2,
        description="architectures in class order; the first and the last are the extremes between "
        "which the space is interpolated")
    zoo: Zoo = Field(Zoo(), description="the trained networks")

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        if len(set(self.architectures)) < len(self.architectures):
            raise ValueError("architectures must differ")
        for name in self.zoo.overrides:
            if name not in self.architectures:
                raise ValueError(f"zoo.overrides names {name}, which is not in architectures")
        return self


def parse_study(raw: Any, where: str = "config") -> Study:
    """A checked study from plain data.

    Raises:
        ConfigError: naming each field at fault, its value and what is allowed.
    """
    from lib import nets

    try:
        study = Study.model_validate(raw)
        for name in study.architectures:
            nets.build(name, study.images.channels, study.images.size, 10)
    except ValidationError as error:
        raise ConfigError("\n".join([f"{where} is not a valid study:", *map(_say, error.errors())])
                          ) from None
    except InputError as error:
        raise ConfigError(f"{where}: architectures: {error}") from None
    return study


def load_study(path: str | Path) -> Study:
    """A checked study from a YAML file."""
    try:
        raw = yaml.safe_load(Path(path).read_text())
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from None
    return parse_study(raw if raw is not None else {}, str(path))


def _say(error: Any) -> str:
    field = ".".join(map(str, error["loc"])) or "study"
    if error["type"] == "extra_forbidden":
        return f"  {field}: no such key; {_allowed(error['loc'])}"
    message = error["msg"].removeprefix("Value error, ")
    shown = "" if error["type"] == "value_error" else f" (got {error['input']!r})"
    return f"  {field}: {message}{shown}"


def _allowed(location: tuple) -> str:
    block: Any = Study
    for key in location[:-1]:
        annotation = block.model_fields[key].annotation if key in block.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return "remove it"
        block = annotation
    return "known keys are " + ", ".join(block.model_fields)
