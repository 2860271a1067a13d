"""The space of shapes: meshes, the fields trained on them, their embedder, what is looked at."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lib.config.embedding import Embedding, LossWeights
from lib.config.types import Block, Count, Fraction, Rate, Weight
from lib.config.zoo import Instances


class FieldTraining(Block):
    """How the fields of a zoo of shapes are trained: mean squared error, Adam."""

    steps: Count = Field(2000, description="training steps")
    batch_size: int = Field(512, ge=2, description="samples per step, half inside of the shape")
    learning_rate: Rate = Field(1e-3, description="learning rate of Adam at the start")
    decay: Annotated[float, Field(gt=0, le=1)] = Field(
        0.8, description="factor on the learning rate every `decay_every` steps"
    )
    decay_every: Count = Field(200, description="steps between two such decays")
