"""Dropout of networks that train side by side: every network has masks of its own, and the same."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import vmap

from lib import nets
from lib.config import Training
from lib.core.streams import Stream
from lib.data.images import ImageSplit
from lib.engine import dropout
from lib.engine.kernels import UnsupportedError
from lib.engine.training import Engine, train

pytestmark = pytest.mark.usefixtures("one_thread")
NAME = "Dropping"


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setattr(nets, "_registry", dict(nets._registry))

    @nets.architecture(NAME, compiled=False)
    def dropping(channels: int, size: int, classes: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(channels, 8, 3, padding=1),
            nn.ReLU(),
            nn.Dropout2d(0.2),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(8 * size**2, classes),
        )


def split(count: int, seed: int) -> ImageSplit:
    rng = torch.Generator().manual_seed(seed)
    y = torch.randint(4, (count,), generator=rng)
    x = torch.randn(count, 1, 6, 6, generator=rng) + y[:, None, None, None]
    return ImageSplit(x, y, tuple("abcd"), "noise", "")


def fit(instances, width=0, kernels="vmap"):
    streams = [Stream("zoo", 0, NAME, i) for i in instances]
    cfg = Training(epochs=3, batch_size=10, learning_rate=0.02)
    engine = Engine(kernels=kernels, width=width or len(streams))
    build = lambda: nets.build(NAME, 1, 6, 4)  # noqa: E731
    return train(build, streams, cfg, split(35, 0), split(20, 1), engine=engine)


def test_a_share_is_dropped_and_the_rest_scaled():
    x = torch.ones(40, 50, 20)
    with dropout.Streams(torch.tensor(7)):
        found = {share: F.dropout(x, share) for share in (0.1, 0.5, 0.9)}
        again = F.dropout(x, 0.5)
        maps = F.dropout2d(torch.ones(40, 50, 3, 3), 0.5)
        assert not F.dropout(x, 1.0).any()
        assert F.dropout(x, 0.5, training=False) is x and F.dropout(x, 0.0) is x
    for share, values in found.items():
        assert abs((values == 0).float().mean() - share) < 0.01
        assert torch.equal(values.unique(), torch.tensor([0, 1 / (1 - share)]))
        assert abs(values.mean(0).std() ** 2 - share / (1 - share) / 40) < 0.1 / (1 - share) / 40
    agree = ((again == 0) == (found[0.5] == 0)).float().mean()
    assert abs(agree - 0.5) < 0.02  # two calls have masks of their own
    assert torch.equal(maps.amin((2, 3)), maps.amax((2, 3)))  # whole channels
    assert abs((maps == 0).float().mean() - 0.5) < 0.05


def test_streams_side_by_side_are_those_alone_and_differ():
    streams, x = torch.tensor([3, 4, -5_000_000_000]), torch.ones(30, 40)

    def run(stream: torch.Tensor) -> torch.Tensor:
        with dropout.Streams(stream):
            return F.dropout(x, 0.5)

    together = vmap(run)(streams)
    assert all(torch.equal(run(stream), one) for stream, one in zip(streams, together, strict=True))
    following = vmap(run)(dropout.following(streams))
    apart = torch.corrcoef(torch.cat([together, following]).flatten(1)) - torch.eye(6)
    assert apart.abs().max() < 0.1


def test_a_network_is_the_same_bits_whichever_others_train_beside_it():
    whole, part = fit(range(4), width=4), fit([2, 0], width=4)
    for name, values in whole.stack.items():
        assert torch.equal(values[[2, 0]], part.stack[name])
    assert not torch.equal(whole.stack["5.weight"][0], whole.stack["5.weight"][1])


def test_dropout_changes_what_is_learnt():
    before = fit(range(2)).stack["5.weight"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dropout.Streams, "_kept", lambda self, shape, *_: torch.ones(tuple(shape)))
        assert not torch.equal(fit(range(2)).stack["5.weight"], before)


def test_the_compiled_kernels_refuse_it_and_say_what_does():
    with pytest.raises(UnsupportedError, match="'2' .dropout.: set engine.kernels to vmap"):
        fit(range(2), kernels="compiled")


def test_what_draws_is_found():
    assert dropout.drops_out(nn.Sequential(nn.Dropout(0.1), nn.Linear(3, 2)), (3,))
    assert not dropout.drops_out(nn.Sequential(nn.Dropout(0.0), nn.Linear(3, 2)), (3,))
    before = torch.get_rng_state()
    assert dropout.draws(lambda: torch.rand(1)) and not dropout.draws(lambda: torch.zeros(1))
    torch.set_rng_state(before)
