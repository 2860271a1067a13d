"""A whole study: every block, and what has to fit together."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from lib.config.embedding import Embedding
from lib.config.images import Images
from lib.config.jobs import Jobs
from lib.config.multiarch import Controls, Exploration, Unseen
from lib.config.shapes import Shapes
from lib.config.singlearch import SingleArch
from lib.config.types import Block, Count, Name
from lib.config.zoo import Teacher, Zoo

# The blocks that each part's results depend on; both spaces of networks ask the teacher, which is
# a network of the zoo.
COMMON = {"name", "seed", "results", "threads"}
NETWORKS = COMMON | {"device", "images", "architectures", "zoo", "teacher", "controls"}
DEPENDS_ON = {
    "multiarch": NETWORKS | {"embedder", "explore", "unseen"},
    "singlearch": NETWORKS | {"singlearch"},
    "shapes": COMMON | {"shapes"},
}
CHANGES_NOTHING = {"zoo": {"max_memory"}, "singlearch": {"ablations"}, "shapes": {"ablations"}}


class Study(Block):
    """A whole study."""

    name: Name = Field("digits", description="name of the study, shown in its reports")
    seed: int = Field(0, ge=0, description="every random stream derives from it")
    results: str = Field(
        "results", min_length=1, description="folder of everything the study makes"
    )
    parts: tuple[Literal["multiarch", "singlearch", "shapes"], ...] = Field(
        ("multiarch", "singlearch", "shapes"),
        min_length=1,
        description="the parts that a run without targets makes, each with a report of its own",
    )
    device: Literal["cpu", "cuda"] = Field("cpu", description="where networks run")
    threads: Count = Field(
        1, description="threads of a job; part of the result's definition, never taken from --cores"
    )
    jobs: Jobs = Field(Jobs(), description="what jobs ask of a cluster")
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

    singlearch: SingleArch = Field(SingleArch(), description="the space of one architecture")
    shapes: Shapes = Field(Shapes(), description="the space of shapes")

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        if len(set(self.parts)) < len(self.parts):
            raise ValueError(f"parts must differ, got {', '.join(self.parts)}")
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

    def of(self, part: str) -> dict[str, Any]:
        """What a part of the study depends on, as plain values; other parts may change freely."""
        return self.model_dump(mode="json", include=DEPENDS_ON[part], exclude=CHANGES_NOTHING)

    def variant(self, name: str) -> Embedding:
        """The embedder of an ablation: this study's, with what the variant changes.

        Raises:
            ValidationError: the result is no valid block `embedder`.
        """
        return self.embedder.changed(self.ablations[name])
