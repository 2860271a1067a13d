"""What a job of an experiment is given: its files and parameters, read into a task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib.config.experiments import Sampling
from lib.config.spaces import Controls, FieldSpace
from lib.config.zoos import FieldZoo, Training
from lib.core.streams import Stream
from lib.data.images import ImageSplit, load_split
from lib.embed import load_embedder
from lib.embed.product import Embedder
from lib.embed.teacher import load_teacher
from lib.engine.training import Engine
from lib.experiments.task import SPLITS, FieldTask, Task, Zoo
from lib.zoo import fields, population
from lib.zoo.population import Population
from lib.zoo.store import Catalogue


def networks_of(files: Any, params: Any, images: ImageSplit) -> dict[str, Zoo]:
    """The networks of a space of classifiers, by split and architecture, on the images' device."""
    catalogue = Catalogue.load(files.catalogue)
    return {
        split: population.load(catalogue, params.architectures, split, images, params.zoo)
        for split in SPLITS
    }


def fields_of(files: Any, cfg: FieldZoo, zoo: str) -> dict[str, Population]:
    """The fields of a space, by split; `zoo` is the name of their zoo."""
    catalogue, family = Catalogue.load(files.catalogue), fields.family_of(cfg)
    return {split: fields.load(catalogue, family, split, zoo) for split in SPLITS}


def embedders_of(files: Any, params: Any, device: str = "cpu") -> dict[int, Embedder]:
    """The embedders of a space, by seed."""
    pairs = zip(params.seeds, files.embedders, strict=True)
    return {seed: load_embedder(path, device) for seed, path in pairs}


def task_of(files: Any, params: Any, space: str, experiment: str) -> Task:
    """The task of a job on a space of classifiers.

    Args:
        files: its inputs: catalogue, embedders, images by split (training images at least) and, as
            the experiment needs them, teacher and unseen.
        params: its parameters, with what it is told beside its own settings as `told`.
        space: name of the space.
        experiment: name of the experiment.
    """
    device, told = params.run["device"], params.get("told", {})
    images = {split: load_split(files[split], device) for split in SPLITS if files.get(split)}
    return Task(
        architectures=tuple(params.architectures),
        zoo=networks_of(files, params, images["train"]),
        images=images,
        embedders=embedders_of(files, params, device),
        stream=Stream("space", params.seed, space, experiment),
        seed=params.seed,
        controls=Controls.model_validate(told.get("controls", {})),
        teacher=load_teacher(files.get("teacher"), device),
        unseen=_unseen(files, told, device),
        training=Training.model_validate(told["training"]) if "training" in told else None,
        engine=Engine(**told["engine"]) if "engine" in told else None,
        sampling=Sampling.model_validate(told["sampling"]) if "sampling" in told else None,
    )


def _unseen(
    files: Any, told: Mapping[str, Any], device: str
) -> dict[tuple[str, ...], dict[int, Embedder]]:
    """The embedders that some architectures were left out of, by these and by seed."""
    paths = iter(files.get("unseen", ()))
    return {
        tuple(names): {seed: load_embedder(next(paths), device) for seed in told["unseen_seeds"]}
        for names in told.get("left_out", ())
    }


def field_task_of(
    files: Any, params: Any, space: str, experiment: str, meshes: str | Path = ""
) -> FieldTask:
    """The task of a job on a space of fields; its meshes go into the folder `meshes`."""
    cfg, zoo = FieldSpace.model_validate(params.space), FieldZoo.model_validate(params.zoo)
    return FieldTask(
        family=fields.family_of(zoo),
        zoo=fields_of(files, zoo, cfg.zoo),
        embedders=embedders_of(files, params),
        stream=Stream("space", params.seed, space, experiment),
        seed=params.seed,
        space=cfg,
        training=zoo.training,
        field_zoo=zoo,
        originals=Path(files.get("originals", "")),
        meshes=Path(meshes),
    )
