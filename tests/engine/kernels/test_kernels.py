"""Compiled kernels against torch: every operation, every geometry, every tail, any processor."""

import ctypes

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from llvmlite import binding as llvm
from llvmlite import ir
from scipy.special import ndtr
from torch import nn

from lib import nets
from lib.config import Training
from lib.data.images import ImageSplit
from lib.engine import ensemble
from lib.engine.kernels import CompiledBackend, UnsupportedError, machine, mathematics
from lib.engine.kernels.backend import aligned
from lib.engine.kernels.emit import LANES, POINTER, Emitter
from lib.engine.kernels.machine import library
from lib.engine.kernels.runner import Runner
from lib.engine.kernels.tracing import trace
from lib.engine.training import EpochPlan, Rates
from lib.nets.fuse import fused_skeleton
from lib.nets.layout import Layout


def images(count, channels=1, size=8, classes=10, seed=0):
    rng = torch.Generator().manual_seed(seed)
    shape = (size, size) if isinstance(size, int) else size
    x = torch.randn(count, channels, *shape, generator=rng)
    y = torch.randint(classes, (count,), generator=rng)
    return ImageSplit(x, y, tuple(map(str, range(classes))), "noise", "", (0.2,), (0.5,))


def compiled(build, count, data, smoothing=0.0, momentum=0.9, decay=0.01, **training):
    stack = ensemble.init_stack(build, range(count))
    cfg = Training.model_validate({"batch_size": 16} | training)
    rates = Rates(*(np.full(count, value) for value in (momentum, decay, smoothing)))
    return CompiledBackend(build(), stack, cfg, rates, data), stack


def order_of(count, items, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(items) for _ in range(count)])


def against_torch(build, data, batch, smoothing=0.1, tolerance=2e-5):
    """An epoch of SGD by compiled code and by torch in double precision: state, loss, outputs."""
    backend, stack = compiled(build, 2, data, smoothing, batch_size=batch)
    order = order_of(2, len(data.y))
    losses, hits = backend.epoch(EpochPlan([0, 1], order, np.array([0.05, 0.02])))
    for i, rate in enumerate((0.05, 0.02)):
        net = build()
        net.load_state_dict({k: v[i] for k, v in stack.items()})
        net = net.double().train()
        optimizer = torch.optim.SGD(net.parameters(), rate, 0.9, weight_decay=0.01)
        wanted = []
        for chosen in torch.from_numpy(order[i]).split(batch):
            outputs = net(data.x[chosen].double())
            loss = F.cross_entropy(outputs, data.y[chosen], label_smoothing=smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            wanted.append([loss.item(), (outputs.argmax(1) == data.y[chosen]).sum().item()])
        assert [*zip(losses[i], hits[i], strict=True)] == [
            pytest.approx(step, rel=tolerance) for step in wanted
        ]
        near = {"rtol": tolerance, "atol": tolerance}
        for name, value in net.state_dict().items():
            found = backend.stack[name][i].to(value.dtype)
            torch.testing.assert_close(found, value, **near)
        with torch.no_grad():
            outputs = net.eval()(data.x[:21].double()).float()
        scale = outputs.abs().max().item()
        found = backend.outputs([i], data.x[:21])[0]
        torch.testing.assert_close(found, outputs, rtol=0, atol=tolerance * max(1.0, scale))


# --- elementary functions -----------------------------------------------------------------------


def evaluate(body, values):
    module = ir.Module()
    e = Emitter(module, "f", [POINTER, POINTER])
    x, y = e.function.args
    e.store(body(e, e.load(x, 0)), y, 0)
    e.finish()
    run = library(module).function("f", [ctypes.c_void_p] * 2)
    source, found = aligned(LANES), aligned(LANES)
    results = []
    for start in range(0, len(values), LANES):
        source[:] = torch.from_numpy(values[start : start + LANES])
        run(source.data_ptr(), found.data_ptr())
        results.append(found.numpy().copy())
    return np.concatenate(results)


@pytest.mark.parametrize(
    ("body", "exact", "low", "high"),
    [
        (mathematics.exp, np.exp, -80, 80),
        (mathematics.log, lambda x: np.log(x), 1e-6, 100),
        (mathematics.sine, np.sin, -300, 300),
        (lambda e, x: mathematics.sine(e, x, cosine=True), np.cos, -300, 300),
        (mathematics.tanh, np.tanh, -9, 9),
        (mathematics.sigmoid, lambda x: 1 / (1 + np.exp(-x)), -30, 30),
        (mathematics.normal, lambda x: ndtr(x), -6, 6),
    ],
    ids=["exp", "log", "sin", "cos", "tanh", "sigmoid", "normal"],
)
def test_elementary_functions_are_near_the_true_value(body, exact, low, high):
    rng = np.random.default_rng(0)
    values = rng.uniform(low, high, 64 * LANES).astype(np.float32)
    values[:4] = low, high, max(low, 0.0), 1.0
    wanted = exact(values.astype(np.float64))
    error = np.abs(evaluate(body, values) - wanted)
    assert (error <= 4e-7 * np.abs(wanted) + 1e-7 * (np.abs(wanted) < 1)).all()


@pytest.mark.parametrize(
    "body", [mathematics.exp, mathematics.log, mathematics.sine, mathematics.tanh]
)
def test_elementary_functions_keep_nan(body):
    values = np.array([1.0, np.nan] * (LANES // 2), np.float32)
    assert (np.isnan(evaluate(body, values)) == np.isnan(values)).all()


# --- operations ---------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    channels=st.integers(1, 7),
    out=st.integers(1, 13),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.sampled_from([0, 1, (2, 0), (0, 1), "same"]),
    dilation=st.integers(1, 2),
    size=st.tuples(st.integers(5, 8), st.integers(5, 8)),
    bias=st.booleans(),
    items=st.integers(1, 40),
    batch=st.integers(1, 40),
)
def test_any_convolution(
    channels, out, kernel, stride, padding, dilation, size, bias, items, batch
):
    if padding == "same":
        stride = 1

    def build():
        return nn.Sequential(
            nn.Conv2d(channels, 5, 1),
            nn.Tanh(),
            nn.Conv2d(5, out, kernel, stride, padding, dilation, bias=bias),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(out, 4),
        )

    against_torch(build, images(items, channels, size, classes=4), batch)


class Branches(nn.Module):
    """Sums of values that are used again, in every order."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.norm, self.entry = nn.BatchNorm2d(6), nn.BatchNorm2d(1)
        self.out = nn.Linear(6 * 16, 10)

    def forward(self, x):
        x = self.entry(x)
        y = F.leaky_relu(self.a(x), 0.2)
        z = self.norm(self.b(y)) + y
        z = torch.relu(z + z) * 0.5 + torch.sigmoid(y)
        w = F.avg_pool2d(z, 2).flatten(1)
        return self.out(torch.tanh(w) + w)


class Siren(nn.Module):
    """Sines between linear layers."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(64, 24), nn.Linear(24, 17), nn.Linear(17, 3)

    def forward(self, x):
        x = torch.sin(3 * self.first(x.flatten(1)))
        return self.third(torch.sin(self.second(x) * 2.0))


def pooled():
    """Pools of other strides, kernels, paddings and dilations."""
    return nn.Sequential(
        nn.Conv2d(1, 3, 3),
        nn.MaxPool2d((2, 3), 1, (1, 1), (2, 1)),
        nn.AvgPool2d((1, 2), 1),
        nn.MaxPool2d(3, 2),
        nn.Flatten(),
        nn.Linear(3 * 2 * 2, 5),
    )


@pytest.mark.parametrize("batch", [16, 19, 64])
@pytest.mark.parametrize("build", [Branches, Siren, pooled])
def test_modules_of_a_user(build, batch):
    against_torch(build, images(61, classes=3), batch)


KINDS = (
    *("conv", "norm", "leaky_relu", "tanh", "sin", "silu", "gelu"),
    *("add", "scale", "pool_sum", "max_pool"),
)


class Woven(nn.Module):
    """Operations on maps, each on an earlier result: any of them may be read again by others."""

    def __init__(self, recipe):
        super().__init__()
        self.recipe = recipe
        makers = {"conv": lambda: nn.Conv2d(4, 4, 3, padding=1), "norm": lambda: nn.BatchNorm2d(4)}
        self.layers = nn.ModuleList(makers.get(kind, nn.Identity)() for kind, *_ in recipe)
        self.first, self.last = nn.Conv2d(1, 4, 3, 2, 1), nn.Linear(4 * 16, 5)

    def forward(self, x):
        found = [self.first(x)]
        for (kind, one, other), layer in zip(self.recipe, self.layers, strict=True):
            a, b = found[one % len(found)], found[other % len(found)]
            change = {
                "leaky_relu": lambda a, b: F.leaky_relu(a, 0.1),
                "tanh": lambda a, b: torch.tanh(a),
                "sin": lambda a, b: torch.sin(a),
                "silu": lambda a, b: F.silu(a),
                "gelu": lambda a, b: F.gelu(a),
                "max_pool": lambda a, b: F.max_pool2d(a, 3, 1, 1),
                "add": lambda a, b: a + b,
                "scale": lambda a, b: a * 0.7,
                "pool_sum": lambda a, b: F.avg_pool2d(a, 1) + b,
            }
            found.append(layer(a) if kind in ("conv", "norm") else change[kind](a, b))
        return self.last(sum(found[2:], found[1] if len(found) > 1 else found[0]).flatten(1))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    recipe=st.lists(
        st.tuples(st.sampled_from(KINDS), st.integers(0, 9), st.integers(0, 9)),
        min_size=1,
        max_size=9,
    )
)
def test_any_weave_of_operations(recipe):
    against_torch(lambda: Woven(recipe), images(40, classes=5), 24, tolerance=2e-4)


@pytest.mark.parametrize("name", ["LeNetLike", "VanillaCNN", "ResNet8", "ResNet14"])
def test_registered_architectures(name):
    against_torch(lambda: nets.build(name, 1, 8, 10), images(70), 64, tolerance=2e-4)


@pytest.mark.parametrize(("name", "channels"), [("LeNetLike", 3), ("ResNet8", 3)])
def test_larger_images(name, channels):
    data = images(20, channels, 32)
    against_torch(lambda: nets.build(name, channels, 32, 10), data, 20, tolerance=2e-3)


# --- whose bits are whose -----------------------------------------------------------------------


def trained(monkeypatch=None, features=None, count=3, who=None):
    if features is not None:
        monkeypatch.setattr(machine, "processor", features)
    data = images(70)
    backend, _ = compiled(lambda: nets.build("ResNet8", 1, 8, 10), count, data, 0.1)
    who = list(range(count)) if who is None else who
    order = order_of(count, len(data.y))[who]
    losses, _ = backend.epoch(EpochPlan(who, order, np.full(len(who), 0.05)))
    state = torch.cat([v.reshape(count, -1).double() for v in backend.stack.values()], 1)
    return state, losses, backend.outputs(who, data.x)


def test_bits_do_not_depend_on_the_others():
    state, losses, outputs = trained()
    alone, loss, output = trained(who=[1])
    assert torch.equal(alone[1], state[1]) and (loss[0] == losses[1]).all()
    assert torch.equal(output[0], outputs[1])
    assert not torch.equal(alone[0], state[0])  # those left out stay as they were


@pytest.mark.skipif(
    llvm.get_host_cpu_features().get("avx2") is None, reason="not on this machine: not an x86"
)
@pytest.mark.parametrize("features", ["avx2", "none"])
def test_bits_do_not_depend_on_the_instruction_set(monkeypatch, features):
    own, losses, outputs = trained()
    other = {
        "avx2": lambda: ("x86-64-v3", ""),
        "none": lambda: ("x86-64", ""),
    }[features]
    state, other_losses, other_outputs = trained(monkeypatch, other)
    assert torch.equal(state, own) and torch.equal(other_outputs, outputs)
    assert (other_losses == losses).all()


# --- what is refused ----------------------------------------------------------------------------


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(64, 64)

    def forward(self, x):
        return self.a(self.a(x.flatten(1)))


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(64, 10), nn.Linear(3, 3)

    def forward(self, x):
        return self.a(x.flatten(1))


class Steered(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(64, 10)

    def forward(self, x):
        return self.a(x.flatten(1)) if x.sum() > 0 else self.a(-x.flatten(1))


@pytest.mark.parametrize(
    ("build", "what"),
    [
        (Twice, "'a', which runs twice"),
        (Unused, "'b.weight'"),
        (Steered, "cannot be traced"),
        (lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.GELU("tanh")), "GELU by tanh"),
        (lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.Mish()), "Mish"),
        (lambda: nn.Sequential(nn.Conv2d(1, 2, 1), nn.Conv2d(2, 4, 3, groups=2)), "2 groups"),
        (
            lambda: nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, padding_mode="reflect")),
            "reflect padding",
        ),
        (lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.Dropout(0.5)), "dropout"),
        (lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.LeakyReLU(-1)), "slope"),
        (
            lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, momentum=None)),
            "running statistics",
        ),
        (lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.AvgPool2d(2, padding=1)), "padding"),
    ],
)
def test_what_there_is_no_kernel_for_is_refused(build, what):
    with pytest.raises(UnsupportedError, match="engine.kernels to vmap") as error:
        compiled(build, 1, images(8))
    assert what in str(error.value)


@pytest.mark.parametrize("name", nets.names())
def test_registered_architectures_say_whether_they_can_be_compiled(name):
    for size in (8, 28, 32):
        try:
            module = fused_skeleton(nets.build(name, 1, size, 10))
            break
        except nets.ArchitectureError:
            continue
    if nets.compiled(name):
        assert trace(module, (1, size, size)).operations
    else:
        with pytest.raises(UnsupportedError):
            trace(module, (1, size, size))


def test_tracing_leaves_the_module_alone():
    build = lambda: nets.build("ResNet8", 1, 8, 10).train()  # noqa: E731
    module = build()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    stack = ensemble.init_stack(build, [0])
    CompiledBackend(module, stack, Training(), Rates(*np.zeros((3, 1))), images(8))
    assert module.training and all(layer.training for layer in module.modules())
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())


# --- networks by their weights ------------------------------------------------------------------


class Alone(nn.Module):
    """Batch norm that no layer takes up: of the input, of maps, of a vector."""

    def __init__(self):
        super().__init__()
        self.first, self.maps, self.vector = (
            nn.BatchNorm2d(1),
            nn.BatchNorm2d(8),
            nn.BatchNorm1d(16),
        )
        self.conv, self.other = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3, padding=1)
        self.hidden, self.head = nn.Linear(8 * 36, 16), nn.Linear(16, 10)

    def forward(self, x):
        x = self.conv(self.first(x))
        x = self.maps(self.other(torch.relu(x)) + x)
        return self.head(self.vector(torch.relu(self.hidden(x.flatten(1)))))


def runner_of(name, size=8, channels=1):
    made = Alone() if name == "Alone" else nets.build(name, channels, size, 10)
    module = fused_skeleton(made).eval()
    layout = Layout.of(module)
    offsets = {entry["name"]: entry["offset"] for entry in layout.to_json()}
    return module, layout, Runner(module, (channels, size, size), offsets)


@pytest.mark.parametrize("items", [1, 16, 64, 65, 150])
@pytest.mark.parametrize("name", ["LeNetLike", "ResNet8", "Alone"])
def test_networks_by_their_weights_and_gradients(name, items):
    module, layout, runner = runner_of(name)
    flat = 0.1 * torch.randn(3, runner.parameters, generator=torch.Generator().manual_seed(0))
    x, change = images(items).x, torch.randn(3, items, 10)
    given = flat.clone().requires_grad_()
    found = runner(given, x)
    (gradient,) = torch.autograd.grad((found * change).sum(), given)
    exact = flat.double().requires_grad_()
    wanted = ensemble.run(module.double(), layout.unflatten(exact), x.double(), shared=True)
    (truth,) = torch.autograd.grad((wanted * change).sum(), exact)
    torch.testing.assert_close(found, wanted.float(), rtol=1e-4, atol=1e-5)
    scale = truth.abs().max().item()
    torch.testing.assert_close(gradient, truth.float(), rtol=1e-3, atol=1e-5 * scale)
    assert torch.equal(runner(flat[1:2], x)[0], found[1])
    assert torch.equal(runner.gradients(flat[2:], x, change[2:])[0], gradient[2])


def test_dropout_is_nothing_to_networks_that_do_not_train():
    module = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Dropout1d(), nn.Linear(64, 10)).eval()
    offsets = {"3.weight": 0, "3.bias": 640}
    flat = torch.cat([p.detach().flatten() for p in module.parameters()])[None]
    found = Runner(module, (1, 8, 8), offsets)(flat, images(5).x)[0]
    torch.testing.assert_close(found, module(images(5).x).detach())


def test_a_runner_refuses_what_it_cannot_run():
    module, layout, runner = runner_of("LeNetLike")
    with pytest.raises(ValueError, match="expected \\[n, 3718\\]"):
        runner(torch.zeros(2, 5), images(4).x)
    with pytest.raises(ValueError, match="inputs on meta; kernels are of the CPU"):
        runner(torch.zeros(1, 3718), torch.zeros(2, 1, 8, 8, device="meta"))
    with pytest.raises(ValueError, match="no gradient with respect to their inputs"):
        runner(torch.zeros(2, 3718), images(4).x.requires_grad_())
    whole = nets.build("ResNet8", 1, 8, 10)
    with pytest.raises(UnsupportedError, match="fuse it first"):
        Runner(whole, (1, 8, 8), {})
