"""Where the keys of older configurations are now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MULTI, ONE = "spaces.multiarch", "spaces.singlearch"
FIELDS, CHAIRS = "spaces.shapes", "zoos.chairs"
WALK, MOVE = "experiments.interpolation", "experiments.latent_optimization"
REFINE, DRAW = "experiments.reconstruction", "experiments.sampling"
EXPLORED = {
    "points": f"{WALK}.points",
    "optimization_steps": f"{MOVE}.steps",
    "optimization_rate": f"{MOVE}.rate",
    "optimization_starts": f"{MOVE}.starts",
    "optimization_every": f"{MOVE}.every",
    "optimization_batch": f"{MOVE}.batch",
}

# Old key: where it is now, in the words of a message. What lies inside moved along with it.
MOVED: dict[str, str] = {
    "parts": "a list of names under spaces, [multiarch] say",
    "images": "data.digits, whose kind is images",
    "architectures": "zoos.digits.architectures",
    "zoo": "zoos.digits",
    "zoo.kernels": "engine.kernels",
    "zoo.width": "engine.width",
    "zoo.precision": "engine.precision",
    "zoo.max_memory": "engine.max_memory",
    "teacher": f"{MULTI}.teacher (of other spaces: spaces.NAME.teacher)",
    "embedder": f"{MULTI}.embedder",
    "explore": f"{MULTI}.experiments",
    **{f"explore.{key}": f"{MULTI}.{new}" for key, new in EXPLORED.items()},
    "explore.pairs": f"{MULTI}.{WALK}.pairs",
    "unseen": f"{MULTI}.experiments.unseen",
    "unseen.finetuned": f"{MULTI}.experiments.unseen_finetune.finetuned",
    "unseen.finetune_rate": f"{MULTI}.experiments.unseen_finetune.rate",
    "unseen.scratch_epochs": f"{MULTI}.experiments.unseen_finetune.scratch_epochs",
    "controls": f"{MULTI}.controls (of other spaces: spaces.NAME.controls)",
    "ablations": f"{MULTI}.variants, the keys of each inside its block embedder",
    "singlearch": f"{ONE}, and its zoo zoos.performance",
    "singlearch.architecture": "zoos.performance.architectures, a list of one",
    "singlearch.instances": "zoos.performance.instances",
    "singlearch.shard_size": "zoos.performance.shard_size",
    "singlearch.training": "zoos.performance.training",
    "singlearch.embedder": f"{ONE}.embedder",
    "singlearch.trained_on": f"{ONE}.trained_on",
    "singlearch.refine_steps": f"{ONE}.{REFINE}.steps",
    "singlearch.refine_rate": f"{ONE}.{REFINE}.rate",
    "singlearch.refine_batch": f"{ONE}.{REFINE}.batch",
    "singlearch.explore": f"{ONE}.experiments",
    **{f"singlearch.explore.{key}": f"{ONE}.{new}" for key, new in EXPLORED.items()},
    "singlearch.explore.pairs": f"{ONE}.{WALK}.pairs_within",
    "singlearch.explore.reset_images": f"{ONE}.{WALK}.reset_images",
    "singlearch.explore.components": f"{ONE}.experiments.property_prediction.components",
    "singlearch.explore.samples": f"{ONE}.{DRAW}.samples",
    "singlearch.explore.finetuned": f"{ONE}.{DRAW}.finetuned",
    "singlearch.explore.finetune_epochs": f"{ONE}.{DRAW}.epochs",
    "singlearch.explore.finetune_rate": f"{ONE}.{DRAW}.rate",
    "singlearch.explore.scales": f"{ONE}.experiments.arithmetic.scales",
    "singlearch.ablations": f"{ONE}.variants; refine_steps is experiments.reconstruction.steps",
    "shapes": f"{FIELDS}, its zoo {CHAIRS} and the shapes data.chairs",
    "shapes.source": "data.chairs.source",
    "shapes.samples": "data.chairs.samples",
    "shapes.near": "data.chairs.near",
    "shapes.uniform": "data.chairs.uniform",
    "shapes.instances": f"{CHAIRS}.instances",
    "shapes.architecture": f"{CHAIRS}.architectures, a list of one",
    "shapes.widths": f"{CHAIRS}.widths",
    "shapes.omega": f"{CHAIRS}.omega",
    "shapes.init": f"{CHAIRS}.init",
    "shapes.shard_size": f"{CHAIRS}.shard_size",
    "shapes.training": f"{CHAIRS}.training",
    "shapes.embedder": f"{FIELDS}.embedder",
    "shapes.trained_on": f"{FIELDS}.trained_on",
    "shapes.truncation": f"{FIELDS}.truncation",
    "shapes.warp": f"{FIELDS}.warp",
    "shapes.resolution": f"{FIELDS}.resolution",
    "shapes.explore": f"{FIELDS}.experiments",
    "shapes.explore.points": f"{FIELDS}.{WALK}.points",
    "shapes.explore.pairs": f"{FIELDS}.{WALK}.pairs",
    "shapes.explore.partial": f"{FIELDS}.experiments.completion.points",
    "shapes.explore.completed": f"{FIELDS}.experiments.completion.shapes",
    "shapes.explore.completion_steps": f"{FIELDS}.experiments.completion.steps",
    "shapes.explore.completion_rate": f"{FIELDS}.experiments.completion.rate",
    "shapes.explore.sampled": f"{FIELDS}.experiments.sampling.samples",
    "shapes.ablations": f"{FIELDS}.variants",
}


def moved(raw: Mapping[Any, Any]) -> list[str]:
    """A line for each old key in a configuration: what it was and where it is now."""
    found = dict.fromkeys(key for key in _keys(raw, "") if key)
    return [f"{key} is now {MOVED[key]}" for key in found]


def _keys(block: Mapping[Any, Any], outer: str) -> Iterator[str]:
    """The old keys that tell where everything in a block is now."""
    for name, value in block.items():
        key = f"{outer}.{name}" if outer else str(name)
        if key not in MOVED:
            yield outer
        elif isinstance(value, Mapping) and value and any(k.startswith(f"{key}.") for k in MOVED):
            yield from _keys(value, key)
        else:
            yield key
