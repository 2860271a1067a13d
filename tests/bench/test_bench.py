"""The zoo benchmark: its baseline trains as the engine does, its rows say what they should."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lib.bench import growth, machine, peak, zoo
from lib.bench.contenders import Contender
from lib.bench.machine import Measured
from lib.bench.sequential import VARIANTS, Loop, suits
from lib.bench.subjects import SUBJECTS, Subject
from lib.engine import ensemble
from lib.engine.kernels import CompiledBackend
from lib.engine.training import EpochPlan, Rates

SMALL = Subject("LeNetLike", "noise", (1, 8, 8), 45, 16, 10, 2)
POINTS = Subject("SIREN", "points", (3,), 45, 16, 10, 2, "adam", "squared_error")
CONTRACT = (
    "architecture",
    "dataset",
    "device",
    "ensemble_size",
    "networks_per_hour",
    "ratio_to_sequential",
    "share_of_peak",
    "bytes_per_network",
)


def fresh(subject):
    torch.manual_seed(3)
    return subject.build()


@pytest.mark.parametrize("name", ["LeNetLike", "ResNet8"])
@pytest.mark.parametrize("variant", [v for v in VARIANTS if v != "compile"])
def test_the_baseline_trains_as_the_engine_does(name, variant, one_thread):
    subject = Subject(name, "noise", (1, 8, 8), 45, 16, 10)
    data = subject.data()
    cfg = subject.training().model_copy(update={"learning_rate": 0.05})
    net, order = fresh(subject), torch.from_numpy(np.random.default_rng(0).permutation(45))
    start = {k: v.clone() for k, v in net.state_dict().items()}
    rates = Rates(np.array([cfg.momentum]), np.array([cfg.weight_decay]), np.zeros(1))
    engine = CompiledBackend(fresh(subject), ensemble.stack_states([start]), cfg, rates, data)
    engine.epoch(EpochPlan([0], order.numpy()[None], np.array([cfg.learning_rate])))
    Loop(net, data.x, data.y, cfg, variant=variant).epoch(order)
    found = net.state_dict()
    assert set(found) == set(start)
    for key, values in engine.stack.items():
        torch.testing.assert_close(found[key], values[0], rtol=2e-3, atol=2e-4)
        assert not torch.equal(found[key], start[key])


def test_the_baseline_trains_as_torch_does(one_thread):
    data, cfg = POINTS.data(), POINTS.training().model_copy(update={"learning_rate": 1e-3})
    ours, theirs, order = fresh(POINTS), fresh(POINTS), torch.randperm(45)
    Loop(ours, data.x, data.y, cfg, POINTS.loss).epoch(order)
    optimizer = torch.optim.Adam(theirs.parameters(), 1e-3, weight_decay=cfg.weight_decay)
    for chosen in order.split(16):
        optimizer.zero_grad()
        F.mse_loss(theirs(data.x[chosen]), data.y[chosen]).backward()
        optimizer.step()
    for mine, wanted in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-4, atol=1e-6)


def test_variants_that_make_no_difference_are_left_out():
    assert [v for v in VARIANTS[:3] if suits(v, fresh(POINTS))] == ["graph"]
    assert [v for v in VARIANTS[:3] if suits(v, fresh(SMALL))] == list(VARIANTS[:3])


@pytest.mark.parametrize("subject", [SMALL, POINTS], ids=["LeNetLike", "SIREN"])
@pytest.mark.parametrize("kernels", ["sequential", "vmap", "compiled"])
def test_a_runner_counts_what_it_did(subject, kernels, one_thread):
    networks = 1 if kernels == "sequential" else 3
    way = Contender(kernels, networks, "graph" if kernels == "sequential" else "")
    assert way.runner(subject)() == 2 * networks


def test_multiply_adds_are_counted():
    # taps inside the image: 11 of 12 in each direction, then 5 of 6
    convolutions = 2 * 11**2 * 6 + 3 * 5**2 * 6 * 16
    assert SMALL.multiply_adds() == 16 * (convolutions + 3 * (64 * 32 + 32 * 16 + 16 * 10))
    assert POINTS.multiply_adds() == 16 * (2 * 3 * 64 + 3 * 64 * 64 + 3 * 64)


def test_peaks_are_counted():
    assert peak.RUNNERS["6 registers"]()() == 6 * 16 * peak.TURNS
    assert peak.RUNNERS["matrices"]()() == peak.SIDE**3


def test_a_rate_is_work_over_time(monkeypatch):
    clock = iter(np.arange(0.0, 100.0, 0.25))
    monkeypatch.setattr(machine.time, "perf_counter", lambda: next(clock))
    assert machine.rate(lambda: 5, 1.0) == 15 / 1.0


WAYS = [
    Contender("sequential", 1, "graph"),
    Contender("sequential", 1, "dense"),
    Contender("compiled", 10),
    Contender("peak", 1, "matrices"),
]
RATES = ([10.0, 20.0, 10.0], [20.0, 40.0, 20.0], [100.0, 120.0, 80.0], [1e9, 2e9, 1e9])
FOUND = [Measured(np.array(rates), 1.5, 5_000_000) for rates in RATES]


def test_rows_compare_with_the_fastest_loop():
    rows = zoo.rows_of(SMALL, WAYS, FOUND, 2)
    assert [row.kernels for row in rows] == ["sequential", "sequential", "compiled"]
    assert [row.baseline for row in rows] == [False, True, False]
    assert [row.ratio_to_sequential for row in rows] == [0.5, 1.0, 4.0]
    last = rows[-1]
    assert (last.ratio_lowest, last.ratio_highest) == (3.0, 5.0)
    assert last.networks_per_hour == 3600 * 100 / 10
    assert last.ms_per_network_step == 20.0
    assert last.share_of_peak == 80 * SMALL.multiply_adds() / 1e9
    assert last.bytes_per_network == 500_000


def test_it_writes_rows_growth_and_a_page(tmp_path, monkeypatch, capsys):
    grown = [growth.Growth("LeNetLike", "noise", n, 3, 0.1 * n, 33.3, 9000, 9.0) for n in (1, 10)]
    monkeypatch.setattr(zoo, "contenders", lambda *_: WAYS)
    monkeypatch.setattr(zoo, "measure", lambda *_: FOUND)
    monkeypatch.setattr(growth, "measure", lambda sizes: grown)
    out = tmp_path / "bench" / "zoo.json"
    assert zoo.main(["--quick", "--out", str(out)]) == 0
    rows, printed = json.loads(out.read_text()), capsys.readouterr().out
    assert all(set(CONTRACT) <= set(row) for row in rows)
    assert {row["architecture"] for row in rows} < {s.architecture for s in SUBJECTS}
    assert len(printed.splitlines()) == 1 + len(rows) + 1 + 1 + len(grown)
    assert [row["networks"] for row in json.loads(out.with_name("growth.json").read_text())] == [
        1,
        10,
    ]
    page = out.with_suffix(".html").read_text()
    assert "src=" not in page.split("<body>")[1] and page.count('<div id="') == 5
    assert page.count("<tr>") == 1 + len(rows)


def test_a_job_is_measured_whole(one_thread):
    found = growth.run(2, epochs=1)
    assert found.networks == 2 and found.seconds > 0
    assert found.ms_per_network_epoch == pytest.approx(1e3 * found.seconds / 2)
    assert found.bytes is None or found.bytes > 0


@pytest.mark.slow
def test_processes_take_turns():
    ways = [Contender("compiled", 2), Contender("peak", 1, "6 registers")]
    found = machine.measure(SMALL, ways, processes=2, seconds=0.05, repetitions=2)
    assert [measured.rates.shape for measured in found] == [(2,), (2,)]
    assert all((measured.rates > 0).all() and measured.setup > 0 for measured in found)


@pytest.mark.slow
def test_a_process_that_fails_is_told_of():
    with pytest.raises(RuntimeError, match="LeNetLike failed"):
        machine.measure(SMALL, [Contender("peak", 1, "no such")], 1, 0.05, 1)
