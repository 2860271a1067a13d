"""Networks trained further: as a plain loop does it, and with the same bits after any stop."""

import pytest
import torch

from lib import nets
from lib.config.zoos import Training
from lib.core import checkpoint
from lib.core.checkpoint import Checkpoint
from lib.core.streams import Stream
from lib.embed.fresh import fresh_networks
from lib.engine.training import Engine
from lib.engine.training.recipe import Recipe, plan_epoch
from lib.experiments.further import continued, shortened
from stops import Stopped, allow

NAME = "VanillaCNN"
CFG = shortened(Training(batch_size=32, learning_rate=0.03), 4, schedule="constant")
ENGINES = {"compiled": Engine("compiled"), "vmap": Engine("vmap", width=2)}

pytestmark = pytest.mark.usefixtures("one_thread")


def test_one_epoch_is_that_of_a_plain_loop(toy):
    family = toy.zoo["test"][NAME].family
    start = fresh_networks(NAME, toy.images, 2, Stream("b"))
    cfg = Training(batch_size=32, learning_rate=0.03, weight_decay=1e-3)
    cfg = shortened(cfg, 1, schedule="constant")
    made = continued(family, start, cfg, Stream("tune"), toy.images, ENGINES["compiled"])[1]
    streams = [Stream("tune", i) for i in range(2)]
    recipes = {i: Recipe.of(cfg, stream) for i, stream in enumerate(streams)}
    plan = plan_epoch(cfg, recipes, streams, 0, len(toy.images.y))
    for i in range(2):
        module = nets.build(NAME, 1, 8, 4)
        module.load_state_dict(
            {name: part[i] for name, part in family.layout.unflatten(start).items()}
        )
        sgd = torch.optim.SGD(module.parameters(), lr=0.03, momentum=0.9, weight_decay=1e-3)
        for batch in torch.from_numpy(plan.order[i]).split(32):
            sgd.zero_grad()
            loss = torch.nn.functional.cross_entropy(
                module(toy.images.x[batch]), toy.images.y[batch]
            )
            loss.backward()
            sgd.step()
        wanted = family.layout.flatten(module.state_dict())
        torch.testing.assert_close(made[i], wanted, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("stop", range(1, 8))
@pytest.mark.parametrize("kernels", ENGINES)
def test_a_job_stopped_between_any_epochs_ends_with_the_same_bits(
    toy, tmp_path, monkeypatch, kernels, stop
):
    """Two trainings one after the other, of which two and one states are kept."""
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    family, start = toy.zoo["test"][NAME].family, fresh_networks(NAME, toy.images, 2, Stream("b"))

    def work():
        given = CFG, Stream("tune"), toy.images, ENGINES[kernels]
        first = continued(family, start, *given, epochs=(1, 4))
        return *first.values(), *continued(family, first[4], *given, epochs=(4,)).values()

    wanted = work()
    path = tmp_path / "job.checkpoint"
    with monkeypatch.context() as patch, pytest.raises(Stopped), Checkpoint(path, {}):
        allow(patch, stop)
        work()
    with Checkpoint(path, {}):
        allow(monkeypatch, 8 - stop)  # an epoch done twice would be one too many
        again = work()
    assert len(again) == 3 and all(a.equal(b) for a, b in zip(again, wanted, strict=True))


def test_epochs_come_in_order_from_a_checkpoint_too(toy, tmp_path, monkeypatch):
    family, start = toy.zoo["test"][NAME].family, fresh_networks(NAME, toy.images, 2, Stream("b"))
    path = tmp_path / "job.checkpoint"

    def work():
        given = CFG, Stream("tune"), toy.images, ENGINES["compiled"]
        return list(continued(family, start, *given, epochs=(2, 10)))

    with pytest.raises(Stopped), Checkpoint(path, {}):
        work()
        raise Stopped
    with Checkpoint(path, {}):
        allow(monkeypatch, 0)
        assert work() == [2, 10]
