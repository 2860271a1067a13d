"""What is looked at in the space of one architecture."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lib.config.multiarch import Exploration
from lib.config.types import Count, Rate


class SingleExploration(Exploration):
    """What is looked at in the space of one architecture."""

    pairs: Count = Field(
        24,
        description="pairs of test networks, no network in two of them; of every three, two are of "
        "good networks and one is of a poor and a good one",
    )
    optimization_starts: Count = Field(
        3, description="poor networks whose latents are optimised, and as many random latents"
    )
    reset_images: Annotated[int, Field(ge=2)] = Field(
        128, description="training images that the statistics of repaired networks are taken from"
    )
    components: Count = Field(
        16, description="principal components of the weights that properties are predicted from"
    )
    samples: Count = Field(
        16, description="networks drawn from each density for each band of accuracy"
    )
    finetuned: Count = Field(
        6, description="of each kind and band, networks that are trained further"
    )
    finetune_epochs: tuple[Count, ...] = Field(
        (1, 5), min_length=1, description="after so many epochs they are looked at"
    )
    finetune_rate: Rate = Field(
        1e-3, description="learning rate of these epochs; all else as in `singlearch.training`"
    )
    scales: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] = Field(
        (-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0),
        min_length=2,
        description="factors on the direction from poor to good networks",
    )
