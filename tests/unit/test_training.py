"""Training many networks at once is training each alone, whichever others share the job."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lib import ensemble, nets, training
from lib.config import Augmentation, Training
from lib.data.images import ImageSplit
from lib.repro import generator, seed_for

NAMES = ("LeNetLike", "VanillaCNN", "ResNet8", "ResNet14")
AUGMENTATION = {"crop_padding": 1, "flip": True}


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def split(count: int, channels: int = 1, seed: int = 0, dtype=torch.float32) -> ImageSplit:
    rng = torch.Generator().manual_seed(seed)
    y = torch.randint(10, (count,), generator=rng)
    x = torch.randn(count, channels, 8, 8, generator=rng, dtype=dtype)
    x[:, :, 0] += 0.3 * y[:, None, None]  # something to learn
    return ImageSplit(x, y, tuple("0123456789"), "noise", "")


def streams(instances, name: str = "LeNetLike") -> list[tuple]:
    return [("zoo", 0, name, instance) for instance in instances]


def fit(instances, cfg: Training, name: str = "LeNetLike", channels: int = 1, **kwargs):
    return training.train(
        lambda: nets.build(name, channels, 8, 10),
        streams(instances, name),
        cfg,
        split(29, channels),
        split(20, channels, 1),
        **kwargs,
    )


def same(one: training.TrainedStack, other: training.TrainedStack, places) -> bool:
    """Whether the instances of `one` are, bit for bit, those at `places` of `other`."""
    states = all(
        torch.equal(values.nan_to_num(), other.stack[name][places].nan_to_num())
        for name, values in one.stack.items()
    )
    columns = all(
        [repr(value) for value in values] == [repr(other.columns[name][place]) for place in places]
        for name, values in one.columns.items()
    )
    return states and columns


# --- against a plain loop ---------------------------------------------------------------------


def crop_and_flip(image, top, left, heads, padding):
    padded = F.pad(image, (padding,) * 4)
    image = padded[:, top : top + image.shape[1], left : left + image.shape[2]]
    return image.flip(-1) if heads else image


def loop(name: str, stream: tuple, cfg: Training, images: ImageSplit, validation: ImageSplit):
    """One network, trained as in any tutorial; its best state and that state's metrics."""
    torch.manual_seed(seed_for(*stream, "init"))
    net = nets.build(name, 1, 8, 10).double()
    optimizer = torch.optim.SGD(
        net.parameters(), cfg.learning_rate, cfg.momentum, weight_decay=cfg.weight_decay
    )
    schedule = (
        torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, cfg.epochs)
        if cfg.schedule == "cosine"
        else torch.optim.lr_scheduler.MultiStepLR(
            optimizer, [at + 1 for at in cfg.milestones], cfg.decay
        )
    )
    best = {"validation_accuracy": -1.0}
    for epoch in range(cfg.epochs):
        net.train()
        order = torch.randperm(len(images.y), generator=generator(*stream, "order", epoch))
        rng = generator(*stream, "augmentation", epoch)
        total, hits = 0.0, 0
        for start in range(0, len(order), cfg.batch_size):
            chosen = order[start : start + cfg.batch_size].tolist()
            tops, lefts = torch.randint(3, (2, len(chosen)), generator=rng).tolist()
            coins = (torch.rand(len(chosen), generator=rng) < 0.5).tolist()
            x = torch.stack(
                [
                    crop_and_flip(images.x[k], *how, 1)
                    for k, *how in zip(chosen, tops, lefts, coins, strict=True)
                ]
            )
            outputs = net(x)
            loss = F.cross_entropy(outputs, images.y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(chosen)
            hits += (outputs.argmax(1) == images.y[chosen]).sum().item()
        schedule.step()
        if not training.selects(cfg, epoch):
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
                "state": {key: value.clone() for key, value in net.state_dict().items()},
            }
    return best


@pytest.mark.parametrize(
    "schedule",
    (
        {"schedule": "cosine", "select_every": 1},
        {"schedule": "step", "milestones": (0, 1), "epochs": 3, "checkpoint": "final"},
    ),
)
@pytest.mark.parametrize("name", NAMES)
def test_an_ensemble_is_each_network_trained_alone(name, schedule):
    cfg = Training(
        **{
            "epochs": 2,
            "batch_size": 10,
            "learning_rate": 0.05,
            "weight_decay": 1e-2,
            "augmentation": AUGMENTATION,
            **schedule,
        }
    )
    images, validation = (split(count, seed=count, dtype=torch.float64) for count in (24, 20))
    names = streams(range(3), name)
    trained = training.train(
        lambda: nets.build(name, 1, 8, 10).double(), names, cfg, images, validation
    )
    for i, stream in enumerate(names):
        expected = loop(name, stream, cfg, images, validation)
        for key, value in expected.pop("state").items():
            torch.testing.assert_close(trained.stack[key][i], value, rtol=1e-8, atol=1e-10)
        found = {key: trained.columns[key][i] for key in expected}
        assert found == pytest.approx(expected, rel=1e-5)
        assert trained.columns["seed"][i] == seed_for(*stream, "init")
        assert trained.columns["status"][i] == "ok"


@pytest.mark.parametrize("momentum", (0.0, 0.9))
@pytest.mark.parametrize("weight_decay", (0.0, 0.1))
def test_sgd_is_that_of_torch(momentum, weight_decay):
    torch.manual_seed(0)
    ours = [torch.randn(3, 4), torch.randn(3)]
    theirs = [nn.Parameter(value.clone()) for value in ours]
    optimizer = training.SGD(ours, momentum, weight_decay)
    reference = torch.optim.SGD(theirs, 1.0, momentum, weight_decay=weight_decay)
    for rate in (0.1, 0.1, 0.03):
        gradients = [torch.randn_like(value) for value in ours]
        kept = [gradient.clone() for gradient in gradients]
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = gradient.clone()
        reference.param_groups[0]["lr"] = rate
        reference.step()
        optimizer.step(gradients, rate)
        for mine, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine, other.detach())
        assert all(map(torch.equal, gradients, kept))


def test_known_learning_rates():
    cosine = Training(epochs=4, learning_rate=2.0)
    assert [training.learning_rate(cosine, epoch) for epoch in range(4)] == pytest.approx(
        [2, 1 + math.sqrt(0.5), 1, 1 - math.sqrt(0.5)]
    )
    step = Training(epochs=300, learning_rate=0.05, schedule="step", milestones=(149, 179, 209))
    rates = [training.learning_rate(step, at) for at in (0, 149, 150, 179, 180, 209, 210, 299)]
    assert rates == pytest.approx([5e-2, 5e-2, 5e-3, 5e-3, 5e-4, 5e-4, 5e-5, 5e-5])


# --- any cut into shards ------------------------------------------------------------------------


CUTS = ([0], [11], [4, 10], [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0], [3, 4, 5, 6], [6, 2, 9])


@pytest.mark.parametrize("channels", (1, 3))
@pytest.mark.parametrize("name", NAMES)
def test_results_are_the_same_bits_for_any_cut(name, channels):
    cfg = Training(epochs=1, batch_size=12, augmentation=AUGMENTATION)
    together = fit(range(12), cfg, name, channels)
    for cut in CUTS[:3] if name == "ResNet14" else CUTS:
        assert same(fit(cut, cfg, name, channels), together, cut), cut


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


# --- which checkpoint ---------------------------------------------------------------------------


def scripted(monkeypatch, scores: list[list[float]]) -> list[dict]:
    """Let validation accuracies be these, [selection][instance]; collects the states then."""
    seen: list[dict] = []
    predict = ensemble.predict

    def watch(module, stack, x):
        seen.append({name: values.detach().clone() for name, values in stack.items()})
        return predict(module, stack, x)

    monkeypatch.setattr(ensemble, "predict", watch)
    monkeypatch.setattr(
        ensemble, "accuracy", lambda outputs, labels: torch.tensor(scores[len(seen) - 1]).double()
    )
    return seen


def test_the_best_checkpoint_is_kept_and_of_equals_the_first(monkeypatch):
    cfg = Training(epochs=8, batch_size=29, select_from=1, select_every=3)  # epochs 1, 4, 7
    seen = scripted(monkeypatch, [[0.1, 0.5, 0.0], [0.3, 0.5, 0.0], [0.2, 0.4, 0.1]])
    trained = fit(range(3), cfg, width=3)
    assert len(seen) == 3
    assert trained.columns["selected_epoch"] == [4, 1, 7]
    assert trained.columns["validation_accuracy"] == pytest.approx([0.3, 0.5, 0.1])
    for i, selection in enumerate((1, 0, 2)):
        assert all(
            torch.equal(trained.stack[name][i], seen[selection][name][i]) for name in trained.stack
        )


def test_the_final_checkpoint_is_kept_whatever_its_score(monkeypatch):
    seen = scripted(monkeypatch, [[0.0, 0.2]])
    trained = fit(range(2), Training(epochs=3, batch_size=29, checkpoint="final"), width=2)
    assert len(seen) == 1
    assert trained.columns["selected_epoch"] == [2, 2]
    assert all(torch.equal(trained.stack[name], seen[0][name]) for name in trained.stack)


def test_the_last_epoch_may_always_be_selected():
    trained = fit([0], Training(epochs=3, batch_size=29, select_from=2, select_every=5))
    assert trained.columns["selected_epoch"] == [2]


# --- instances that diverge ---------------------------------------------------------------------


def spoil(monkeypatch, instance: int, epoch: int, value: float) -> None:
    """Make one parameter of an instance `value` at the end of an epoch."""
    honest = training._epoch

    def spoiling(module, state, optimizer, cfg, names, now, images):
        result = honest(module, state, optimizer, cfg, names, now, images)
        for i, name in enumerate(names):
            if now == epoch and name[-1] == instance:
                with torch.no_grad():
                    optimizer.parameters[0][i].view(-1)[0] = value
        return result

    monkeypatch.setattr(training, "_epoch", spoiling)


@pytest.mark.parametrize("value", (math.nan, math.inf, 1e38))
@pytest.mark.parametrize("name", ("LeNetLike", "ResNet8"))
def test_one_diverged_instance_touches_no_other(monkeypatch, name, value):
    cfg = Training(epochs=4, batch_size=15, select_every=1, augmentation=AUGMENTATION)
    healthy = fit(range(4), cfg, name)
    spoil(monkeypatch, instance=2, epoch=1, value=value)
    trained = fit(range(4), cfg, name)
    others = [0, 1, 3]
    rest = training.TrainedStack(
        {k: v[others] for k, v in trained.stack.items()},
        {k: [v[i] for i in others] for k, v in trained.columns.items()},
    )
    assert same(rest, healthy, others)
    assert trained.columns["status"] == ["ok", "ok", "diverged", "ok"]
    assert trained.columns["diverged_epoch"][2] in ((1,) if value != 1e38 else (1, 2))


def test_a_diverged_instance_keeps_what_was_selected_before(monkeypatch):
    cfg = {"batch_size": 15, "select_every": 1, "schedule": "step", "milestones": ()}
    before = fit([0], Training(epochs=2, **cfg))
    spoil(monkeypatch, instance=0, epoch=2, value=math.nan)
    trained = fit([0], Training(epochs=4, **cfg))
    before.columns |= {"status": ["diverged"], "diverged_epoch": [2], "epochs": [4]}
    assert trained.columns["selected_epoch"][0] in (0, 1)
    assert same(trained, before, [0])


@pytest.mark.parametrize("checkpoint", ("best", "final"))
def test_one_that_diverges_before_any_selection_keeps_its_initialisation(checkpoint):
    cfg = Training(epochs=2, batch_size=10, learning_rate=1e30, checkpoint=checkpoint)
    trained = fit(range(2), cfg, "ResNet8")
    start = ensemble.init_stack(lambda: nets.build("ResNet8", 1, 8, 10), trained.columns["seed"])
    assert all(torch.equal(trained.stack[name], start[name]) for name in start)
    assert trained.columns["status"] == ["diverged"] * 2
    assert trained.columns["diverged_epoch"] == [0, 0]
    assert trained.columns["selected_epoch"] == [-1, -1]
    for name in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"):
        assert all(math.isnan(value) for value in trained.columns[name])


def test_the_very_last_step_may_diverge(monkeypatch):
    spoil(monkeypatch, instance=1, epoch=1, value=math.inf)
    trained = fit(range(2), Training(epochs=2, batch_size=15, checkpoint="final"))
    assert trained.columns["status"] == ["ok", "diverged"]
    assert trained.columns["selected_epoch"] == [1, -1]


# --- augmentation -------------------------------------------------------------------------------


def rngs(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_no_augmentation_is_the_identity_and_draws_nothing():
    x, rng = torch.randn(2, 3, 1, 4, 4), rngs(0, 1)
    before = [one.get_state() for one in rng]
    assert torch.equal(training.augment(x, Augmentation(), rng), x)
    assert all(map(torch.equal, before, (one.get_state() for one in rng)))


def test_a_known_crop_and_flip(monkeypatch):
    draws = iter([torch.tensor([[0, 2], [1, 0]])])
    coins = iter([torch.tensor([0.9, 0.1])])
    monkeypatch.setattr(torch, "randint", lambda *_, **__: next(draws))
    monkeypatch.setattr(torch, "rand", lambda *_, **__: next(coins))
    x = torch.tensor([[1.0, 2], [3, 4]]).expand(1, 2, 1, 2, 2)
    found = training.augment(x, Augmentation(crop_padding=1, flip=True), rngs(0))
    assert found[0, :, 0].tolist() == [[[0, 0], [1, 2]], [[3, 0], [0, 0]]]


@pytest.mark.parametrize("padding", (1, 2))
def test_crops_are_windows_of_the_padded_image(padding):
    x = torch.arange(1, 2 * 200 * 3 * 20 + 1).float().reshape(2, 200, 3, 4, 5)
    found = training.augment(x, Augmentation(crop_padding=padding), rngs(0, 1))
    assert found.shape == x.shape and found.is_contiguous()
    seen = set()
    for image, crop in zip(x.flatten(0, 1), found.flatten(0, 1), strict=True):
        padded = F.pad(image, (padding,) * 4)
        at = [
            (top, left)
            for top in range(2 * padding + 1)
            for left in range(2 * padding + 1)
            if torch.equal(padded[:, top : top + 4, left : left + 5], crop)
        ]
        assert len(at) == 1
        seen.add(at[0])
    assert len(seen) == (2 * padding + 1) ** 2


def test_about_half_is_flipped():
    x = torch.arange(4.0).expand(1, 4000, 1, 1, 4)
    flipped = training.augment(x, Augmentation(flip=True), rngs(7))[0, :, 0, 0, 0] == 3
    assert abs(flipped.float().mean() - 0.5) < 0.03  # almost four standard deviations


def test_each_instance_has_a_stream_of_its_own():
    x, cfg = torch.randn(1, 50, 1, 6, 6).expand(3, -1, -1, -1, -1), Augmentation(**AUGMENTATION)
    together = training.augment(x, cfg, rngs(0, 1, 0))
    assert torch.equal(together[0], together[2])
    assert not torch.equal(together[0], together[1])
    assert torch.equal(together[1], training.augment(x[:1], cfg, rngs(1))[0])
