"""Latent spaces: the zoo they are learnt from, the embedder, and what is asked of them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field

from lib.config import experiments as asked
from lib.config.embedding import Embedding, LossWeights
from lib.config.layers import over
from lib.config.types import NAMES, Block, Count, Name, Rate, Weight, by_kind
from lib.config.zoos import Training

# Embedders that a space starts from: what its block `embedder` leaves out is taken from there.
OWN_ALONE = LossWeights(own=1.0, teacher=0.0, label=0.0, interpolation=0.0)
SEVERAL = Embedding()
ONE = Embedding(
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
    weights=OWN_ALONE,
)
FIELDS = Embedding(
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
    weights=OWN_ALONE,
    select_every=500,
)


class Teacher(Block):
    """The network whose outputs decoded networks are pulled towards."""

    zoo: Name | None = Field(
        None,
        description="the zoo whose networks are the teacher, unless `architecture` is given; by "
        "default the space's own",
    )
    architecture: str | None = Field(
        None,
        description="architecture to train as the teacher; by default the teacher is the averaged "
        "outputs of all training networks of the last architecture of its zoo",
    )
    networks: Count = Field(1, description="with `architecture`: networks to train and average")
    training: Training = Field(Training(), description="with `architecture`: how it is trained")


class Controls(Block):
    """What results are compared with."""

    noise: Rate = Field(
        0.1, description="noise around a training network, in units of the spread of each layer"
    )
    distill_rate: Rate = Field(
        3e-3, description="learning rate (Adam) of networks distilled as a control"
    )
    band: Count = Field(
        5,
        description="how many other networks of the same architecture, nearest in accuracy, "
        "agreement with others is averaged over",
    )


class Experiments(Block):
    """Experiments by name; those that are null are not made."""

    @classmethod
    def every(cls) -> Experiments:
        """All of them, at their defaults."""
        return cls(**{name: {} for name in cls.model_fields})

    @classmethod
    def block(cls, name: str) -> type[asked.Experiment]:
        """The type of an experiment's settings."""
        return get_args(cls.model_fields[name].annotation)[0]

    def names(self) -> list[str]:
        """Those that are asked for, in the order of the page."""
        return [name for name in type(self).model_fields if getattr(self, name) is not None]


class ClassifierExperiments(Experiments):
    """What is asked of a space of classifiers."""

    reconstruction: asked.Reconstruction | None = Field(
        None, description="do test networks come back?"
    )
    interpolation: asked.Interpolation | None = Field(
        None, description="what lies between two networks?"
    )
    latent_optimization: asked.LatentOptimization | None = Field(
        None, description="can a latent be moved until its network is good?"
    )
    unseen: asked.Unseen | None = Field(
        None, description="does it generate architectures it never saw? (three or more)"
    )
    unseen_finetune: asked.UnseenFinetune | None = Field(
        None, description="are those a good start for training? (needs `unseen`)"
    )
    property_prediction: asked.PropertyPrediction | None = Field(
        None, description="does a latent tell how good a network is, and how it was trained?"
    )
    sampling: asked.Sampling | None = Field(
        None, description="are networks drawn from the space good, and a good start?"
    )
    novelty: asked.Novelty | None = Field(None, description="are they new, or copies?")
    retrieval: asked.Retrieval | None = Field(
        None, description="is what lies near a network like it?"
    )
    arithmetic: asked.Arithmetic | None = Field(
        None, description="does the direction from poor to good lead to better networks?"
    )


class FieldExperiments(Experiments):
    """What is asked of a space of fields."""

    reconstruction: asked.FieldReconstruction | None = Field(
        None, description="do test shapes come back?"
    )
    interpolation: asked.FieldInterpolation | None = Field(
        None, description="what lies between two shapes?"
    )
    completion: asked.Completion | None = Field(
        None, description="does it complete a shape from a part of its surface?"
    )
    sampling: asked.FieldSampling | None = Field(None, description="are drawn shapes new?")


TrainedOn = Annotated[
    Count | None,
    Field(
        description="training networks (of each architecture) that the embedder is given; by "
        "default all"
    ),
]
Variants = Annotated[
    dict[Name, dict[str, Any]],
    Field(
        description="variants that are trained and compared on the same zoo, on request: keys of "
        "this space that differ, by the variant's name"
    ),
]


class BaseSpace(Block):
    """What all spaces have."""

    varied: ClassVar[tuple[str, ...]] = ()  # keys that a variant may change

    kind: str = Field(description="which kind of networks it holds; that of the zoo's")
    zoo: Name = Field(description="the zoo it is learnt from, by its name in `zoos`")

    def variant(self, name: str) -> BaseSpace:
        """This space with what a variant changes; blocks are changed key by key.

        Raises:
            ValidationError: the result is no valid space.
            ValueError: the variant changes something that would need another zoo.
        """
        changes = self.variants[name]
        if others := set(changes) - set(self.varied):
            raise ValueError(
                f"{sorted(others)[0]} would need another zoo or changes no embedder; a variant may "
                f"change {', '.join(self.varied)}"
            )
        return type(self).model_validate(over(self.model_dump(), changes) | {"variants": {}})


class ClassifierSpace(BaseSpace):
    """A latent space of classifiers, of one architecture or several."""

    varied = ("embedder", "trained_on", "experiments")

    kind: Literal["classifiers"] = Field(
        "classifiers", description="of a zoo of classifiers; follows from the zoo"
    )
    architectures: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="those of the zoo that it holds, in class order; by default all",
    )
    teacher: Teacher = Field(Teacher(), description="what decoded networks are pulled towards")
    trained_on: TrainedOn = None
    embedder: Embedding = Field(
        SEVERAL,
        description="how networks are encoded and decoded; what is left out is as in the default "
        "study's space of several architectures, or of one where there is one",
    )
    controls: Controls = Field(Controls(), description="what results are compared with")
    experiments: ClassifierExperiments = Field(
        ClassifierExperiments.every(),
        description="what is asked of it: names, or names with their settings; by default all "
        "that its architectures allow",
        json_schema_extra={NAMES: True},
    )
    variants: Variants = {}

    @property
    def left_out(self) -> tuple[tuple[str, ...], ...]:
        """The sets of architectures left out, each in class order; none without `unseen`."""
        if self.experiments.unseen is None:
            return ()
        inner = (self.architectures or ())[1:-1]
        sets = self.experiments.unseen.left_out
        if sets is None:
            return (inner,) if inner else ()
        return tuple(tuple(sorted(names, key=[*inner, *names].index)) for names in sets)


class FieldSpace(BaseSpace):
    """A latent space of signed distance fields."""

    varied = ("embedder", "trained_on", "truncation", "warp")

    kind: Literal["fields"] = Field(
        "fields", description="of a zoo of fields; follows from the zoo"
    )
    trained_on: TrainedOn = None
    embedder: Embedding = Field(
        FIELDS,
        description="how fields are encoded and decoded; `probes` are points, `batch_size` is "
        "points of each field in a step",
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
    experiments: FieldExperiments = Field(
        FieldExperiments.every(),
        description="what is asked of it: names, or names with their settings; by default all",
        json_schema_extra={NAMES: True},
    )
    variants: Variants = {}


Space = by_kind(ClassifierSpace, FieldSpace)
