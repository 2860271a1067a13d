"""Training many networks at once is training each alone, whichever others share the job."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lib import nets
from lib.config import Training
from lib.core.streams import Stream
from lib.data.images import ImageSplit
from lib.engine import ensemble
from lib.engine.training import Engine, TrainedStack, group, loop, train

# Every backend: the precision it computes in, how near it must come to a plain loop in double
# precision (relative, absolute), and how many random trainings are tried.
KERNELS = {
    "vmap": (torch.float64, 1e-8, 1e-9, 15),
    "compiled": (torch.float32, 1e-4, 1e-5, 4),
}
NAMES = ("LeNetLike", "VanillaCNN", "ResNet8", "ResNet14")
AUGMENTATION = {"crop_padding": 1, "flip": True}

kernels_of_all = pytest.mark.parametrize("kernels", KERNELS)


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def split(count: int, channels: int = 1, seed: int = 0) -> ImageSplit:
    rng = torch.Generator().manual_seed(seed)
    y = torch.randint(10, (count,), generator=rng)
    x = torch.randn(count, channels, 8, 8, generator=rng)
    x[:, :, 0] += 0.3 * y[:, None, None]  # something to learn
    return ImageSplit(x, y, tuple("0123456789"), "noise", "", (0.2,), (0.5,))


def streams(instances, name: str = "LeNetLike") -> list[Stream]:
    return [Stream("zoo", 0, name, instance) for instance in instances]


def fit(instances, cfg: Training, name: str = "LeNetLike", channels: int = 1, **engine):
    return train(
        lambda: nets.build(name, channels, 8, 10),
        streams(instances, name),
        cfg,
        split(29, channels),
        split(20, channels, 1),
        engine=Engine(**engine),
    )


def rows_of(trained: TrainedStack, places) -> TrainedStack:
    """Some rows, without the numbers that tell where in the job they were."""
    columns = {k: [v[i] for i in places] for k, v in trained.columns.items() if k != "instance"}
    return TrainedStack({k: v[list(places)] for k, v in trained.stack.items()}, columns)


def same(one: TrainedStack, other: TrainedStack, places) -> bool:
    """Whether the instances of `one` are, bit for bit, those at `places` of `other`."""
    one, other = rows_of(one, range(len(places))), rows_of(other, places)
    states = all(
        torch.equal(values.nan_to_num(), other.stack[name].nan_to_num())
        for name, values in one.stack.items()
    )
    return states and repr(one.columns) == repr(other.columns)


# --- against a plain loop ---------------------------------------------------------------------


def crop_and_flip(image, top, left, heads, padding, black):
    padded = F.pad(image, (padding,) * 4, value=black)
    image = padded[:, top : top + image.shape[1], left : left + image.shape[2]]
    return image.flip(-1) if heads else image


def changed(images: ImageSplit, order, stream: Stream, epoch: int, cfg: Training):
    """The images of an epoch in its order, cropped and flipped one by one."""
    count, pad = len(order), cfg.augmentation.crop_padding
    crops, coins = [[0, 0]] * count, [False] * count
    if pad:
        rng = stream.of("crop", epoch).torch()
        crops = torch.randint(2 * pad + 1, (count, 2), generator=rng).tolist()
    if cfg.augmentation.flip:
        coins = (torch.rand(count, generator=stream.of("flip", epoch).torch()) < 0.5).tolist()
    (black,) = images.black
    return torch.stack(
        [
            crop_and_flip(images.x[k], *crop, coin, pad, black)
            for k, crop, coin in zip(order.tolist(), crops, coins, strict=True)
        ]
    )


def optimizer_of(net: nn.Module, cfg: Training, known: dict):
    rate, decay = known["learning_rate"], known["weight_decay"]
    if cfg.optimizer == "sgd":
        optimizer = torch.optim.SGD(net.parameters(), rate, known["momentum"], weight_decay=decay)
    else:
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[cfg.optimizer]
        optimizer = kind(net.parameters(), rate, cfg.betas, cfg.eps, decay)
    schedule = {
        "constant": lambda: torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0),
        "cosine": lambda: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, known["epochs"]),
        "step": lambda: torch.optim.lr_scheduler.MultiStepLR(
            optimizer, [at + 1 for at in cfg.milestones], cfg.decay
        ),
    }
    return optimizer, schedule[cfg.schedule]()


def alone(build, stream: Stream, cfg: Training, known: dict, images, validation):
    """One network, trained as in any tutorial: its best state, with metrics, and its snapshots.

    `known` holds its hyperparameters.
    """
    torch.manual_seed(stream.of("init").seed)
    net = build()
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(known["init_scale"])
    optimizer, schedule = optimizer_of(net, cfg, known)
    criterion = nn.CrossEntropyLoss(label_smoothing=known["label_smoothing"])

    def state():
        return {key: value.clone() for key, value in net.state_dict().items()}

    best, snapshots = {"validation_accuracy": -1.0}, {0: state()}
    for epoch in range(known["epochs"]):
        net.train()
        order = torch.randperm(len(images.y), generator=stream.of("order", epoch).torch())
        x, y = changed(images, order, stream, epoch, cfg), images.y[order]
        total, hits = 0.0, 0
        for at in range(0, len(order), cfg.batch_size):
            now = slice(at, at + cfg.batch_size)
            outputs = net(x[now])
            loss = criterion(outputs, y[now])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(outputs)
            hits += (outputs.argmax(1) == y[now]).sum().item()
        schedule.step()
        snapshots[epoch + 1] = state()
        since, last = epoch - cfg.select_from, epoch == known["epochs"] - 1
        if not last and (cfg.checkpoint == "final" or since < 0 or since % cfg.select_every):
            continue
        net.eval()
        with torch.no_grad():
            outputs = net(validation.x)
        score = (outputs.argmax(1) == validation.y).double().mean().item()
        if score > best["validation_accuracy"] or cfg.checkpoint == "final":
            best = {
                "selected_epoch": epoch,
                "validation_accuracy": score,
                "validation_loss": F.cross_entropy(outputs, validation.y).item(),
                "train_loss": total / len(order),
                "train_accuracy": hits / len(order),
                "state": state(),
            }
    return best, snapshots


def compare(name, cfg, kernels, count=3):
    """Train an ensemble, and each of its networks alone; assert that they are the same."""
    dtype, rtol, atol, _ = KERNELS[kernels]

    def build(dtype=torch.float64):
        return nets.build(name, 1, 8, 10).to(dtype)

    data = [split(n, seed=n) for n in (24, 20)]
    images, validation = (replace(part, x=part.x.double()) for part in data)
    own = [replace(part, x=part.x.to(dtype)) for part in data]
    given = streams(range(count), name)
    trained = train(lambda: build(dtype), given, cfg, *own, engine=Engine(kernels, width=count))
    rows = list(zip(trained.columns["instance"], trained.columns["checkpoint_epoch"], strict=True))
    wanted = []
    for i, stream in enumerate(given):
        known = {key: values[i] for key, values in trained.columns.items()}
        expected, snapshots = alone(build, stream, cfg, known, images, validation)
        states = {-1: expected.pop("state")} | {
            number: snapshots[number] for number in cfg.snapshots if number <= known["epochs"]
        }
        for number, state in states.items():
            row = rows.index((i, number))
            for key, value in state.items():
                found = trained.stack[key][row].to(value.dtype)
                torch.testing.assert_close(found, value, rtol=rtol, atol=atol)
        wanted += [(i, number) for number in states]
        assert {key: known[key] for key in expected} == pytest.approx(expected, rel=max(1e-5, rtol))
        assert known["seed"] == stream.of("init").seed and known["status"] == "ok"
    assert sorted(wanted) == sorted(rows)


def drawn(low, high):
    """A setting as the config has it: a number, or how to draw one for each network."""
    number = st.floats(low, high)
    return number | st.sampled_from(
        [{"uniform": [low, high]}, {"choices": [low, (low + high) / 2, high]}]
    )


TRAININGS = st.fixed_dictionaries(
    {
        "optimizer": st.sampled_from(["sgd", "adam", "adamw"]),
        "epochs": st.sampled_from([1, 3, {"choices": [1, 3]}, {"uniform": [2, 4]}]),
        "batch_size": st.sampled_from([7, 10, 24, 50]),
        "learning_rate": drawn(0.001, 0.02),
        "momentum": drawn(0.0, 0.9),
        "weight_decay": drawn(0.0, 0.1),
        "label_smoothing": drawn(0.0, 0.3),
        "init_scale": drawn(0.7, 1.3),
        "betas": st.sampled_from([(0.9, 0.999), (0.5, 0.9)]),
        "eps": st.sampled_from([1e-8, 1e-3]),
        "schedule": st.sampled_from(["constant", "cosine", "step"]),
        "checkpoint": st.sampled_from(["best", "final"]),
        "select_every": st.integers(1, 2),
        "snapshots": st.sampled_from([(), (0, 1)]),
        "augmentation": st.fixed_dictionaries(
            {"crop_padding": st.integers(0, 2), "flip": st.booleans()}
        ),
    }
)


@kernels_of_all
def test_an_ensemble_is_each_network_trained_alone(kernels):
    @settings(max_examples=KERNELS[kernels][-1], deadline=None)
    @given(raw=TRAININGS, name=st.sampled_from(("LeNetLike", "LeNetLike", "ResNet8")))
    def holds(raw, name):
        if kernels == "compiled":  # single precision: no division by what is all rounding
            raw["eps"] = max(raw["eps"], 1e-3)
        compare(name, Training.model_validate(raw), kernels)

    holds()


@kernels_of_all
@pytest.mark.parametrize("name", NAMES)
def test_so_it_is_for_every_architecture(kernels, name):
    cfg = {
        "epochs": 3,
        "batch_size": 10,
        "learning_rate": {"log_uniform": [0.01, 0.05]},
        "weight_decay": 1e-2,
        "schedule": "step",
        "milestones": (0, 1),
        "augmentation": AUGMENTATION,
    }
    compare(name, Training.model_validate(cfg), kernels)


def test_a_module_with_shared_or_frozen_parameters_is_refused():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = self.other = nn.Linear(4, 4)

    frozen = nn.Linear(2, 2)
    frozen.bias.requires_grad_(False)
    for module, part in ((Tied(), "other.bias is shared"), (frozen, "bias is frozen")):
        with pytest.raises(loop.ModuleError, match=part):
            train(lambda module=module: module, streams([0]), Training(), split(8), split(8))


# --- any cut into shards ------------------------------------------------------------------------


CUTS = ([0], [11], [4, 10], [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0], [3, 4, 5, 6], [6, 2, 9])


@kernels_of_all
@pytest.mark.parametrize("channels", (1, 3))
@pytest.mark.parametrize("name", NAMES)
def test_results_are_the_same_bits_for_any_cut(kernels, name, channels):
    cfg = Training(epochs=1, batch_size=12, augmentation=AUGMENTATION)
    together = fit(range(12), cfg, name, channels, kernels=kernels)
    for cut in CUTS[:3] if name == "ResNet14" else CUTS:
        assert same(fit(cut, cfg, name, channels, kernels=kernels), together, cut), cut


@kernels_of_all
def test_so_they_are_when_each_has_its_own_number_of_epochs(kernels):
    raw = {"epochs": {"uniform": [1, 4]}, "batch_size": 12, "optimizer": "adam"}
    cfg = Training.model_validate(raw | {"learning_rate": {"log_uniform": [1e-3, 1e-2]}})
    together = fit(range(6), cfg, "ResNet8", width=4, kernels=kernels)
    assert len(set(together.columns["epochs"])) > 1
    for cut in ([5], [3, 1], [5, 4, 3, 2, 1]):
        assert same(fit(cut, cfg, "ResNet8", width=4, kernels=kernels), together, cut), cut


@pytest.mark.parametrize(
    "environment",
    ({"ONEDNN_MAX_CPU_ISA": "AVX2"}, {"CUT_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"}),
)
def test_so_they_are_with_other_kernels_and_threads(environment):
    code = (
        f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r}); import test_training;"
        f"test_training.cuts_with({environment.get('CUT_THREADS', '1')})"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        timeout=100,
        env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def cuts_with(threads: int) -> None:
    torch.set_num_threads(threads)
    cfg = Training(epochs=1, batch_size=12, augmentation=AUGMENTATION)
    for name in ("LeNetLike", "VanillaCNN") if threads == 1 else ("VanillaCNN",):
        together = fit(range(9 if threads == 1 else 5), cfg, name)
        for cut in ([0], [4, 1]):
            assert same(fit(cut, cfg, name), together, cut), (name, cut)


def test_the_width_of_a_group_is_only_a_matter_of_rounding():
    cfg = Training(epochs=1, batch_size=12)
    one, other = fit(range(5), cfg), fit(range(5), cfg, width=2)
    assert len(other.columns["seed"]) == 5
    for name in one.stack:
        torch.testing.assert_close(one.stack[name], other.stack[name], rtol=1e-4, atol=1e-5)


def test_mixed_precision_trains_and_keeps_weights_in_single_precision():
    cfg = Training(epochs=4, batch_size=8, learning_rate=0.03, augmentation=AUGMENTATION)
    exact, mixed = (fit(range(2), cfg, "ResNet8", precision=p) for p in ("float32", "bf16"))
    for name, values in mixed.stack.items():
        assert values.dtype == exact.stack[name].dtype
    head = mixed.stack["head.weight"] - exact.stack["head.weight"]
    assert 0 < head.abs().max() < 0.1
    assert mixed.columns["train_loss"] == pytest.approx(exact.columns["train_loss"], rel=0.1)
    assert mixed.engine["precision"] == "bf16"


# --- which checkpoint ---------------------------------------------------------------------------


def watch(monkeypatch, after=lambda made, plan, epoch: None, judge=lambda made, who: None):
    """Let `after` see the backend and plan after each epoch, `judge` the backend when it predicts.

    Returns the list of all plans.
    """
    plans, honest = [], group.backend

    def watched(engine):
        def make(*args):
            made = honest(engine)(*args)
            run, outputs, first = made.epoch, made.outputs, len(plans)

            def epoch(plan):
                result = run(plan)
                after(made, plan, len(plans) - first)
                plans.append(plan)
                return result

            def predict(who, x):
                judge(made, who)
                return outputs(who, x)

            made.epoch, made.outputs = epoch, predict
            return made

        return make

    monkeypatch.setattr(group, "backend", watched)
    return plans


def scripted(monkeypatch, scores: list[list[float]]) -> list[dict]:
    """Let validation accuracies be these, [selection][instance]; collects the states then."""
    seen: list[dict] = []
    watch(
        monkeypatch,
        judge=lambda made, who: seen.append({k: v.detach().clone() for k, v in made.stack.items()}),
    )
    monkeypatch.setattr(
        ensemble, "accuracy", lambda outputs, labels: torch.tensor(scores[len(seen) - 1]).double()
    )
    return seen


@kernels_of_all
def test_the_best_checkpoint_is_kept_and_of_equals_the_first(kernels, monkeypatch):
    cfg = Training(epochs=8, batch_size=29, select_from=1, select_every=3)  # epochs 1, 4, 7
    seen = scripted(monkeypatch, [[0.1, 0.5, 0.0], [0.3, 0.5, 0.0], [0.2, 0.4, 0.1]])
    trained = fit(range(3), cfg, width=3, kernels=kernels)
    assert len(seen) == 3
    assert trained.columns["selected_epoch"] == [4, 1, 7]
    assert trained.columns["validation_accuracy"] == pytest.approx([0.3, 0.5, 0.1])
    for i, selection in enumerate((1, 0, 2)):
        assert all(
            torch.equal(trained.stack[name][i], seen[selection][name][i]) for name in trained.stack
        )


@kernels_of_all
def test_the_final_checkpoint_is_kept_whatever_its_score(kernels, monkeypatch):
    seen = scripted(monkeypatch, [[0.0, 0.2]])
    cfg = Training(epochs=3, batch_size=29, checkpoint="final")
    trained = fit(range(2), cfg, width=2, kernels=kernels)
    assert len(seen) == 1
    assert trained.columns["selected_epoch"] == [2, 2]
    assert all(torch.equal(trained.stack[name], seen[0][name]) for name in trained.stack)


@kernels_of_all
def test_the_last_epoch_of_each_may_always_be_selected(kernels):
    raw = {"epochs": {"choices": [3, 4]}, "select_from": 2, "select_every": 5, "batch_size": 29}
    trained = fit(range(6), Training.model_validate(raw), kernels=kernels)
    assert set(trained.columns["epochs"]) == {3, 4}
    for epochs, selected in zip(
        trained.columns["epochs"], trained.columns["selected_epoch"], strict=True
    ):
        assert selected in (2, epochs - 1)


@kernels_of_all
def test_snapshots_are_rows_after_the_selected_with_metrics_of_their_own(kernels):
    raw = {"epochs": {"choices": [2, 4]}, "batch_size": 15, "select_every": 3}
    plain = fit(range(5), Training.model_validate(raw), kernels=kernels, width=3)
    cfg = Training.model_validate(raw | {"snapshots": [0, 2, 3]})
    trained = fit(range(5), cfg, kernels=kernels, width=3)
    assert same(plain, trained, range(5)), "keeping snapshots changes nothing else"
    columns = trained.columns
    rows = list(zip(columns["checkpoint_epoch"], columns["instance"], strict=True))
    assert rows == [
        (number, i) for number in (-1, 0, 2, 3) for i in range(5) if number <= columns["epochs"][i]
    ]
    for row, (number, i) in enumerate(rows):
        if number >= 0:
            assert columns["selected_epoch"][row] == number - 1
            assert math.isnan(columns["validation_accuracy"][row]) == (number == 0)
            assert columns["seed"][row] == columns["seed"][i]
        curve, at = json.loads(columns["train_curve"][row]), columns["selected_epoch"][row]
        assert len(curve) == (number if number >= 0 else columns["epochs"][i])
        if at >= 0:
            assert curve[at] == pytest.approx(columns["train_accuracy"][row], abs=1e-4)
        if number == columns["epochs"][i] and columns["selected_epoch"][i] == number - 1:
            assert all(torch.equal(v[row], v[i]) for v in trained.stack.values())


# --- instances that diverge ---------------------------------------------------------------------


def spoil(monkeypatch, instance: int, epoch: int, value: float) -> list:
    """Make one parameter of an instance `value` at the end of an epoch; collects the plans."""

    def after(made, plan, now):
        if now == epoch:
            with torch.no_grad():
                next(iter(made.stack.values()))[instance].view(-1)[0] = value

    return watch(monkeypatch, after)


@kernels_of_all
@pytest.mark.parametrize("value", (math.nan, math.inf, 1e38))
@pytest.mark.parametrize("name", ("LeNetLike", "ResNet8"))
def test_one_diverged_instance_touches_no_other_and_is_left_alone(
    kernels, monkeypatch, name, value
):
    cfg = Training(epochs=4, batch_size=15, select_every=1, augmentation=AUGMENTATION)
    healthy = fit(range(4), cfg, name, kernels=kernels)
    plans = spoil(monkeypatch, instance=2, epoch=1, value=value)
    trained = fit(range(4), cfg, name, kernels=kernels)
    others = [0, 1, 3]
    assert same(rows_of(trained, others), healthy, others)
    assert trained.columns["status"] == ["ok", "ok", "diverged", "ok"]
    at = trained.columns["diverged_epoch"][2]
    assert at in ((1,) if value != 1e38 else (1, 2))
    assert [2 in plan.who for plan in plans] == [epoch <= at for epoch in range(4)]


@kernels_of_all
def test_a_diverged_instance_keeps_what_was_selected_before(kernels, monkeypatch):
    cfg = {"batch_size": 15, "select_every": 1, "schedule": "constant"}
    before = fit([0], Training(epochs=2, **cfg), kernels=kernels)
    spoil(monkeypatch, instance=0, epoch=2, value=math.nan)
    trained = fit([0], Training(epochs=4, **cfg), kernels=kernels)
    before.columns |= {"status": ["diverged"], "diverged_epoch": [2], "epochs": [4]}
    (curve,), (first,) = trained.columns["train_curve"], before.columns["train_curve"]
    assert json.loads(curve)[:2] == json.loads(first) and len(json.loads(curve)) == 3
    before.columns["train_curve"] = [curve]
    assert trained.columns["selected_epoch"][0] in (0, 1)
    assert same(trained, before, [0])


@kernels_of_all
@pytest.mark.parametrize("checkpoint", ("best", "final"))
def test_one_that_diverges_before_any_selection_keeps_its_initialisation(kernels, checkpoint):
    cfg = Training(
        epochs=2, batch_size=10, learning_rate=1e30, checkpoint=checkpoint, snapshots=(0, 1)
    )
    trained = fit(range(2), cfg, "ResNet8", kernels=kernels)
    start = ensemble.init_stack(
        lambda: nets.build("ResNet8", 1, 8, 10), trained.columns["seed"][:2]
    )
    for row in (slice(0, 2), slice(2, 4)):  # the selected, and the only snapshot
        assert all(torch.equal(trained.stack[name][row], start[name]) for name in start)
    assert trained.columns["status"] == ["diverged"] * 4
    assert trained.columns["diverged_epoch"] == [0] * 4
    assert trained.columns["selected_epoch"] == [-1] * 4
    assert trained.columns["checkpoint_epoch"] == [-1, -1, 0, 0]
    for name in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"):
        assert all(math.isnan(value) for value in trained.columns[name])


@kernels_of_all
def test_the_very_last_step_may_diverge(kernels, monkeypatch):
    spoil(monkeypatch, instance=1, epoch=1, value=math.inf)
    cfg = Training(epochs=2, batch_size=15, checkpoint="final")
    trained = fit(range(2), cfg, kernels=kernels)
    assert trained.columns["status"] == ["ok", "diverged"]
    assert trained.columns["selected_epoch"] == [1, -1]


@kernels_of_all
def test_who_is_done_is_left_out_and_stays_as_it_is(kernels, monkeypatch):
    states = []

    def after(made, plan, now):
        states.append({name: values.detach().clone() for name, values in made.stack.items()})

    plans = watch(monkeypatch, after)
    cfg = Training.model_validate({"epochs": {"choices": [1, 3]}, "batch_size": 15})
    trained = fit(range(5), cfg, "ResNet8", kernels=kernels, width=5)
    epochs = np.array(trained.columns["epochs"])
    done = np.flatnonzero(epochs == 1)
    assert 0 < len(done) < 5
    for epoch, plan in enumerate(plans):
        assert plan.who == np.flatnonzero(epochs > epoch).tolist()
        assert plan.order.shape == (len(plan.who), 29) and plan.rate.dtype == np.float64
    for name, values in states[0].items():
        assert torch.equal(states[2][name][done], values[done])
        if values.is_floating_point():
            others = np.flatnonzero(epochs == 3)
            assert not torch.equal(states[2][name][others], values[others])
