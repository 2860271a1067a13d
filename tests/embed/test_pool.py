"""Networks and noisy versions of them, and what is drawn of those."""

from __future__ import annotations

import math

import pytest
import torch

from lib.core.streams import Stream
from lib.embed.pool import Pool
from lib.embed.product import make_arm
from lib.zoo.population import flats
from toy import CFG, NAMES

PAIR = ("LeNetLike", "VanillaCNN")
SHORT = CFG.model_copy(update={"steps": 6, "select_every": 3, "networks": 2})

pytestmark = pytest.mark.usefixtures("one_thread")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def fresh_arm(names=NAMES, cfg=CFG, seed: int = 0):
    torch.manual_seed(seed)
    return make_arm(cfg, names, (1, 8, 8), 4)


def values(curves, name: str) -> list[float]:
    return [value for _, what, value in curves.rows if what == name]


@pytest.mark.parametrize("there", [1, 2])
def test_fewer_networks_than_a_step_takes_are_taken_more_often(toy, there):
    few = {name: toy.zoo["train"][name].first(there) for name in PAIR}
    cfg = SHORT.model_copy(update={"networks": 5, "versions": 1})
    arm, curves = toy.fit(cfg, PAIR, train=few)
    assert all(math.isfinite(value) for value in values(curves, "loss"))
    for name, flat in Pool.of(arm, flats(few), 1, Stream("pool")).draw(5, rng())[0].items():
        taken = [int((flat == one).all(1).sum()) for one in few[name].flat]
        assert sum(taken) == 5 and min(taken) >= 5 // there


def test_a_pool_holds_networks_and_noisy_versions_of_them_with_what_is_seen_of_each(toy):
    arm = toy.embedder.arm
    pool, again = (Pool.of(arm, toy.networks, 3, Stream("pool")) for _ in range(2))
    for name, originals in toy.networks.items():
        flat, seen = pool.flat[name], pool.seen[name]
        assert flat[:, 0].equal(originals)
        assert (flat[:, 1:] != originals[:, None]).any(-1).all() and again.flat[name].equal(flat)
        assert not flat[:, 1].equal(flat[:, 2])
        for version in range(3):
            assert torch.allclose(seen[:, version], arm.observe(name, flat[:, version]), atol=1e-4)
    flat, seen = pool.draw(3, rng())
    for name, drawn in flat.items():
        whose = (drawn[:, None, None] == pool.flat[name][None]).all(-1)  # [drawn, network, version]
        assert whose.sum().item() == 3 and whose.any(-1).any(0).all()
        assert torch.allclose(seen[name], arm.observe(name, drawn), atol=1e-4)
    assert all(value.equal(pool.draw(3, rng())[1][name]) for name, value in seen.items())
    assert pool.draw(2, rng())[0]["ResNet8"].shape == (2, arm.families["ResNet8"].layout.size)


def test_noisy_versions_are_compared_with_their_networks(toy):
    networks = {name: found.flat for name, found in toy.zoo["train"].items()}
    arm = fresh_arm()
    scores = {name: found.scores for name, found in toy.zoo["train"].items()}
    arm.prepare(networks, scores, toy.images.x, rng())
    x, name = toy.images.x[:40], "ResNet8"
    pool = Pool.of(arm, networks, 3, Stream("noise"))
    run = arm.families[name].run
    own = run(networks[name], x).argmax(-1)
    same = [(run(pool.flat[name][:, k], x).argmax(-1) == own).float().mean() for k in (1, 2)]
    assert pool.kept(arm, x)[name] == pytest.approx(torch.stack(same).mean().item())
    assert Pool.of(arm, networks, 1, Stream("noise")).kept(arm, x) == {}
