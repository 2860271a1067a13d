"""The study's configuration: one typed, described and strict model of everything that can be set.

`config/README.md` and `config/schema.json` are generated from it (`python -m lib config`).
"""

from lib.config.embedding import Embedding, LossWeights
from lib.config.images import Augmentation, Images
from lib.config.jobs import Jobs
from lib.config.multiarch import Controls, Exploration, Unseen
from lib.config.shapes import FieldTraining, ShapeExploration, Shapes
from lib.config.singlearch import SingleArch
from lib.config.singlearch_explore import SingleExploration
from lib.config.study import Study
from lib.config.types import (
    Block,
    ConfigError,
    Drawn,
    Kernels,
    Precision,
    bounds,
    parse_memory,
)
from lib.config.zoo import Instances, Teacher, Training, Zoo

__all__ = [
    "Augmentation",
    "Block",
    "ConfigError",
    "Controls",
    "Drawn",
    "Embedding",
    "Exploration",
    "FieldTraining",
    "Images",
    "Instances",
    "Jobs",
    "Kernels",
    "LossWeights",
    "Precision",
    "ShapeExploration",
    "Shapes",
    "SingleArch",
    "SingleExploration",
    "Study",
    "Teacher",
    "Training",
    "Unseen",
    "Zoo",
    "bounds",
    "parse_memory",
]
