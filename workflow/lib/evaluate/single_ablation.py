"""Variants of the space of one architecture: what comes back of networks seen and held out."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from lib.config import SingleArch
from lib.data.images import ImageSplit
from lib.embed import Embedder
from lib.evaluate.singlearch import Reconstruction, table
from lib.zoo.population import Population

SPLITS = ("train", "validation", "test")


def scores(
    embedder: Embedder,
    variant: str,
    seed: int,
    cfg: SingleArch,
    zoo: Mapping[str, Population],
    images: Mapping[str, ImageSplit],
    study_seed: int,
    band: int,
) -> pd.DataFrame:
    """One row for each network and method, with the columns of `reconstruction.csv`.

    Test networks are run on test images, those of the other splits on validation images: what is
    chosen by this table is to be chosen on the split `validation`. Of the training networks as many
    are looked at as there are test networks.

    Methods: `decoded`; of held-out networks also `refined`, `nearest_agreement`, look-up among the
    networks that the embedder was given, and `readout`, as in `Reconstruction.control_rows`.
    """
    known, parts = zoo["train"].first(cfg.trained_on), []
    for split in SPLITS:
        rebuilt = (known if split == "train" else zoo[split]).first(len(zoo["test"].flat))
        shown = images["test" if split == "test" else "validation"]
        task = Reconstruction(known, rebuilt, images["train"], shown, study_seed, band)
        rows = task.decoded_rows(embedder, seed)
        if split != "train":
            rows += task.refined_rows(embedder, seed, cfg) + task.look_up_rows()
        parts.append(
            table(rows).assign(
                variant=variant,
                trained_on=len(known.flat),
                latent_size=embedder.arm.cfg.latent,
                split=split,
            )
        )
    return pd.concat(parts, ignore_index=True)
