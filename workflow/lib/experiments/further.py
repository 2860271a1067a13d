"""Stored or generated networks trained further, in the way a zoo is."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from lib.config.zoos import Training
from lib.core.checkpoint import State, of_job
from lib.core.progress import log, track
from lib.core.streams import Stream
from lib.data.images import ImageSplit
from lib.engine.family import Family
from lib.engine.training.backend import Engine
from lib.engine.training.backends import backend
from lib.engine.training.recipe import Recipe, plan_epoch, rates_of


def shortened(cfg: Training, epochs: int, **changes: object) -> Training:
    """A zoo's training cut to so many epochs; the last state is kept."""
    cut = {"epochs": epochs, "select_from": 0, "milestones": (), "snapshots": ()}
    return cfg.model_copy(update=cut | {"checkpoint": "final"} | changes)


def continued(
    family: Family,
    flat: Tensor,
    cfg: Training,
    stream: Stream,
    images: ImageSplit,
    engine: Engine,
    *,
    epochs: Sequence[int] = (1,),
) -> dict[int, Tensor]:
    """Networks [n, P] (fused) after so many more epochs of training each; `cfg` says how.

    Network i takes its order of images and its crops from streams below `stream.of(i)`. The job's
    checkpoint keeps the state between epochs.
    """
    streams = [stream.of(i) for i in range(len(flat))]
    recipes = {i: Recipe.of(cfg, one) for i, one in enumerate(streams)}
    rates = rates_of(list(recipes.values()), streams)
    stack = {name: part.clone() for name, part in family.layout.unflatten(flat).items()}
    made = backend(engine)(family.module, stack, cfg, rates, images)
    kept, found, done = of_job().part(flat), dict[int, Tensor](), 0

    def state() -> State:
        tensors = {f"held/{name}": values for name, values in made.held.items()}
        return tensors | {f"found/{at}": values for at, values in found.items()}, done

    if saved := kept.load():
        tensors, done = saved
        for name, values in made.held.items():
            values.copy_(tensors[f"held/{name}"])
        ends = sorted(int(name[6:]) for name in tensors if name.startswith("found/"))
        found |= {at: tensors[f"found/{at}"].to(flat.device) for at in ends}
        log.info("further training: resumed after epoch %d of %d", done, max(epochs))
    for epoch in track(range(done, max(epochs)), "epochs of further training"):
        made.epoch(plan_epoch(cfg, recipes, streams, epoch, len(images.y)))
        done = epoch + 1
        if done in epochs:
            now = {name: made.stack[name].detach().clone() for name in stack}
            found[done] = family.layout.flatten(now)
        kept.offer(state)
    kept.finish(state)
    return found
