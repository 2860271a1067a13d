"""The study's configuration: one typed, described and strict model of everything that can be set.

`config/README.md` and `config/schema.json` are generated from it (`python -m lib config`).
"""

from lib.config.data import Augmentation, Data, Images, Shapes
from lib.config.embedding import Embedding, LossWeights, uses_teacher
from lib.config.engine import Engine
from lib.config.jobs import Jobs
from lib.config.spaces import (
    FIELDS,
    ONE,
    SEVERAL,
    ClassifierExperiments,
    ClassifierSpace,
    Controls,
    FieldExperiments,
    FieldSpace,
    Space,
    Teacher,
)
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
from lib.config.zoos import ClassifierZoo, FieldTraining, FieldZoo, Instances, Training, Zoo

__all__ = [
    "FIELDS",
    "ONE",
    "SEVERAL",
    "Augmentation",
    "Block",
    "ClassifierExperiments",
    "ClassifierSpace",
    "ClassifierZoo",
    "ConfigError",
    "Controls",
    "Data",
    "Drawn",
    "Embedding",
    "Engine",
    "FieldExperiments",
    "FieldSpace",
    "FieldTraining",
    "FieldZoo",
    "Images",
    "Instances",
    "Jobs",
    "Kernels",
    "LossWeights",
    "Precision",
    "Shapes",
    "Space",
    "Study",
    "Teacher",
    "Training",
    "Zoo",
    "bounds",
    "parse_memory",
    "uses_teacher",
]
