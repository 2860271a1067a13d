"""A whole study: data, zoos and spaces by name; and the default study."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field, PrivateAttr

from lib.config import experiments as asked
from lib.config.data import Data, Images, Shapes
from lib.config.engine import Engine
from lib.config.jobs import Jobs
from lib.config.spaces import (
    FIELDS,
    ONE,
    SEVERAL,
    ClassifierExperiments,
    ClassifierSpace,
    FieldSpace,
    Space,
    Teacher,
)
from lib.config.types import NAMES, Block, Count, Name
from lib.config.zoos import ClassifierZoo, FieldZoo, Instances, Training, Zoo

# Epochs that spread accuracies evenly from chance to the best, as the digits are trained below.
EPOCHS = (1, 2, 3, 4, 4, 4, *[5] * 7, *[6] * 5, 7, 7, 8, 9, 12, 15, 20, 30)

DATA = {"digits": Images(), "chairs": Shapes()}
ZOOS = {
    "digits": ClassifierZoo(
        data="digits",
        architectures=("LeNetLike", "VanillaCNN", "ResNet8", "ResNet14"),
        instances=Instances(),
    ),
    "performance": ClassifierZoo(
        data="digits",
        architectures=("ResNet8",),
        instances=Instances(train=800, validation=100, test=100),
        shard_size=100,
        training=Training(
            epochs={"in_turn": EPOCHS},
            batch_size=256,
            optimizer="adam",
            learning_rate=1e-3,
            weight_decay=0.0,
            checkpoint="final",
        ),
    ),
    "chairs": FieldZoo(data="chairs"),
}
SPACES = {
    "multiarch": ClassifierSpace(
        zoo="digits",
        embedder=SEVERAL,
        experiments=ClassifierExperiments(
            reconstruction=asked.Reconstruction(steps=334, batch=32),
            interpolation=asked.Interpolation(pairs_within=0),
            latent_optimization=asked.LatentOptimization(
                schedule="constant", start_from=("training",)
            ),
            unseen=asked.Unseen(),
            unseen_finetune=asked.UnseenFinetune(),
            novelty=asked.Novelty(),
            retrieval=asked.Retrieval(),
        ),
    ),
    "singlearch": ClassifierSpace(
        zoo="performance",
        teacher=Teacher(zoo="digits"),
        embedder=ONE,
        experiments=ClassifierExperiments(
            reconstruction=asked.Reconstruction(),
            interpolation=asked.Interpolation(),
            latent_optimization=asked.LatentOptimization(),
            property_prediction=asked.PropertyPrediction(),
            sampling=asked.Sampling(),
            novelty=asked.Novelty(),
            retrieval=asked.Retrieval(),
            arithmetic=asked.Arithmetic(),
        ),
    ),
    "shapes": FieldSpace(zoo="chairs", embedder=FIELDS),
}


class Study(Block):
    """A whole study: what networks are functions of, the zoos, and the spaces over them."""

    name: Name = Field("digits", description="name of the study, shown in its reports")
    seed: int = Field(0, ge=0, description="every random stream derives from it")
    results: str = Field(
        "results", min_length=1, description="folder of everything the study makes"
    )
    device: Literal["cpu", "cuda"] = Field("cpu", description="where networks run")
    threads: Count = Field(
        1, description="threads of a job; part of the result's definition, never taken from --cores"
    )
    engine: Engine = Field(Engine(), description="what computes the training of zoos")
    jobs: Jobs = Field(Jobs(), description="what jobs ask of a cluster")
    data: dict[Name, Data] = Field(DATA, description="what networks are functions of, by name")
    zoos: dict[Name, Zoo] = Field(
        ZOOS, description="populations of networks, trained or imported, by name"
    )
    spaces: dict[Name, Space] = Field(
        SPACES,
        description="latent spaces, each over a zoo, by name; a list of names instead chooses the "
        "spaces that a run without targets makes",
        json_schema_extra={NAMES: True},
    )
    _chosen: tuple[str, ...] = PrivateAttr(())

    @property
    def made(self) -> tuple[str, ...]:
        """The spaces that a run without targets makes."""
        return self._chosen or tuple(self.spaces)

    def making(self, names: Iterable[str]) -> Study:
        """This study, a run of which makes these spaces."""
        study = self.model_copy()
        study._chosen = tuple(names)
        return study

    def zoos_of(self, space: str) -> tuple[str, ...]:
        """The zoos that a space asks for: its own, and its teacher's where that is another."""
        cfg, teacher = self.spaces[space], None
        if isinstance(cfg, ClassifierSpace) and not cfg.teacher.architecture:
            teacher = cfg.teacher.zoo
        return tuple(dict.fromkeys(filter(None, (cfg.zoo, teacher))))

    @property
    def zoos_made(self) -> tuple[str, ...]:
        """The zoos that those spaces ask for."""
        return tuple(dict.fromkeys(zoo for space in self.made for zoo in self.zoos_of(space)))

    @property
    def data_made(self) -> tuple[str, ...]:
        """The data of those zoos."""
        return tuple(dict.fromkeys(self.zoos[zoo].data for zoo in self.zoos_made))

    def of(self, space: str, variants: bool = False) -> dict[str, Any]:
        """What the results of a space depend on, as plain values; all else may change freely.

        Args:
            space: its name.
            variants: whether the results of its variants are meant as well.
        """
        zoos = self.zoos_of(space)
        return self.model_dump(
            mode="json",
            include={
                **dict.fromkeys(("name", "seed", "results", "threads", "device", "engine"), True),
                "data": {self.zoos[zoo].data for zoo in zoos},
                "zoos": set(zoos),
                "spaces": {space},
            },
            exclude={"engine": {"max_memory"}}
            | ({} if variants else {"spaces": {space: {"variants"}}}),
        )
