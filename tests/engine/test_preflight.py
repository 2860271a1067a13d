"""An architecture is tried out before it is trained: what would go wrong later is said by name."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lib import nets
from lib.core.errors import InputError
from lib.engine.preflight import preflight

pytestmark = pytest.mark.usefixtures("one_thread")
CHANNELS, SIZE, CLASSES = 2, 8, 5
KERNELS = pytest.mark.parametrize("kernels", ["compiled", "vmap"])


class Net(nn.Module):
    """A convolution and a linear layer, and whatever `forward` makes of them."""

    def __init__(self, run=None, **attributes):
        super().__init__()
        self.conv = nn.Conv2d(CHANNELS, 4, 3, padding=1)
        self.head = nn.Linear(4 * SIZE**2, CLASSES)
        self.run = run or (lambda net, x: net.head(F.relu(net.conv(x)).flatten(1)))
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x):
        return self.run(self, x)


def scaled(net, x):
    """Logits from activations times the first number of whatever `net.kept` is."""
    kept = net.kept
    while isinstance(kept, dict | list):
        kept = kept["w"] if isinstance(kept, dict) else kept[0]
    return net.head((F.relu(net.conv(x)) * kept).flatten(1))


def buffered(value, persistent=True, run=scaled):
    net = Net(run)
    net.register_buffer("kept", value, persistent)
    return net


@pytest.fixture
def tried(monkeypatch):
    """Register a builder, try it out; what it is refused with, or None."""
    monkeypatch.setattr(nets, "_registry", dict(nets._registry))

    def run(build, kernels="vmap", compiled=False, **given):
        nets.architecture("Mine", compiled=compiled)(lambda *_: build())
        try:
            return preflight("Mine", CHANNELS, SIZE, CLASSES, kernels, **given)
        except InputError as error:
            assert str(error).startswith(f"architecture Mine ({__name__}): ")
            return str(error)

    return run


@KERNELS
@pytest.mark.parametrize("name", ["LeNetLike", "VanillaCNN", "ResNet8", "ResNet14"])
def test_the_projects_own_pass_in_no_time_and_leave_the_random_state_alone(name, kernels):
    before = torch.get_rng_state()
    start = time.process_time()
    preflight(name, 1, 8, 10, kernels)
    assert time.process_time() - start < 3
    assert torch.get_rng_state().equal(before)


def layers(*more):
    flat = nn.Linear(CHANNELS * SIZE**2, CLASSES)
    return nn.Sequential(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), *more, nn.Flatten(), flat)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.net = nn.BatchNorm2d(CHANNELS), layers()

    def forward(self, x):
        return self.net(self.norm(F.relu(self.norm(x))))


@KERNELS
@pytest.mark.parametrize(
    "build",
    [
        Net,
        lambda: layers(nn.BatchNorm2d(CHANNELS), nn.ReLU()),
        lambda: layers(nn.ReLU(), nn.BatchNorm2d(CHANNELS)),
        lambda: nn.Sequential(nn.BatchNorm2d(CHANNELS), layers()),
        lambda: nn.Sequential(layers(), nn.BatchNorm1d(CLASSES), nn.Linear(CLASSES, CLASSES)),
        lambda: nn.Sequential(layers(), nn.Tanh(), nn.BatchNorm1d(CLASSES)),
    ],
    ids=["plain", "folded", "after", "input", "linear", "vector"],
)
def test_batch_norm_anywhere_is_fine_with_both_kernels_and_with_embedders(tried, build, kernels):
    assert tried(build, kernels, compiled=True) is None


class Scalars(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale, self.net = nn.Parameter(torch.tensor(1.0)), layers()

    def forward(self, x):
        return self.net(x) * self.scale


class Shifting(Net):
    """Its buffer is called as a method of tensors is."""

    def __init__(self):
        super().__init__(lambda net, x: net.head(F.relu(net.conv(x - net.mean)).flatten(1)))
        self.register_buffer("mean", torch.full((1, CHANNELS, 1, 1), 0.5))


@pytest.mark.parametrize(
    "build",
    [
        Twice,
        Scalars,
        Shifting,
        lambda: buffered(torch.tensor([0.5])),
        lambda: buffered(torch.tensor([0.5]), persistent=False),
        lambda: Net(scaled, kept=[{"w": torch.tensor([0.5])}]),
        lambda: layers(nn.Dropout2d(0.2), nn.Flatten(), nn.Dropout(0.5)),
        lambda: Net(lambda net, x: net.head(F.dropout(net.conv(x), 0.5, net.training).flatten(1))),
        lambda: layers(nn.GroupNorm(1, CHANNELS), nn.ReLU(inplace=True), nn.PReLU()),
        lambda: layers(nn.ConvTranspose2d(2, 2, 3, padding=1), nn.BatchNorm2d(2)),
        lambda: layers(nn.BatchNorm2d(2, affine=False), nn.BatchNorm2d(2)),
    ],
)
def test_what_is_the_same_in_every_network_and_what_vmap_knows_is_fine(tried, build):
    assert tried(build) is None
    assert "set engine.kernels to vmap" in tried(build, "compiled")  # and that is true


def tied():
    net = Net(also=nn.Linear(4 * SIZE**2, CLASSES))
    net.also.weight = net.head.weight
    return net


def frozen():
    net = Net()
    net.conv.bias.requires_grad_(False)
    return net


class OddName(nn.Module):
    def __init__(self):
        super().__init__()
        self.add_module("conv 1", layers())

    def forward(self, x):
        return self._modules["conv 1"](x)


def numpys():
    net = Net()
    net.head.weight.data.copy_(torch.from_numpy(np.random.randn(*net.head.weight.shape)))
    return net


def counting():
    net = buffered(torch.zeros(1), run=None)

    def run(net, x):
        if net.training:
            net.kept += 1
        return net.head(net.conv(x).flatten(1)) * (1 + net.kept)

    net.run = run
    return net


def closure():
    kept = torch.rand(1)
    return Net(lambda net, x: net.head((net.conv(x) * kept).flatten(1)))


def smoothing():
    def run(net, x):
        if net.training:
            net.mean = net.conv(x).mean().detach()
        return net.head((net.conv(x) - net.mean).flatten(1))

    return Net(run, mean=torch.zeros(()))


ONE = Net()


def broken():
    raise KeyError("8")


def logits(change):
    """A network whose answer is `change` of (itself, what its convolution gives)."""
    return lambda: Net(lambda net, x: net.head(change(net, net.conv(x)).flatten(1)))


def gives(answer):
    return lambda: Net(lambda net, x: answer(net.head(net.conv(x).flatten(1))))


def attention():
    layer = nn.TransformerEncoderLayer(64, 2, 8, batch_first=True)
    return nn.Sequential(nn.Flatten(2), layer, nn.Flatten(), nn.Linear(128, CLASSES))


def strange_kind():
    kind = type("Größe", (nn.Linear,), {})
    return nn.Sequential(nn.Flatten(), kind(CHANNELS * SIZE**2, CLASSES))


def plain_list():
    def run(net, x):
        return net.head(net.more[0](net.conv(x)).flatten(1))

    return Net(run, more=[nn.Conv2d(4, 4, 1)])


REFUSED = {
    "random buffer": (lambda: buffered(torch.randn(1)), "'kept' is a buffer outside its param"),
    "not persistent": (lambda: buffered(torch.randn(1), False), "'kept' is a buffer outside"),
    "plain tensor": (lambda: Net(scaled, kept=torch.randn(1)), "'kept' is kept outside its param"),
    "in a dict": (lambda: Net(scaled, kept=[{"w": torch.randn(1)}]), r"kept\[0\]\['w'\].* is k"),
    "array": (lambda: Net(scaled, kept=np.random.rand(1)), "'kept' is kept outside"),
    "number": (lambda: Net(scaled, kept=np.random.rand()), "'kept' is kept outside"),
    "order": (lambda: Net(scaled, kept=[torch.randperm(SIZE)]), r"'kept\[0\]' is kept outside"),
    "list of layers": (plain_list, r"'more\[0\].weight' is kept outside.*torch.nn.ModuleList"),
    "closure": (closure, "rebuilt from its parameters does not answer as the trained one"),
    "set in training": (smoothing, "rebuilt from its parameters does not answer as the trained"),
    "changing buffer": (counting, "its buffer 'kept' changes while it trains"),
    "instance norm": (
        lambda: layers(nn.InstanceNorm2d(CHANNELS, track_running_stats=True)),
        "its buffer '1.running_mean' changes while it trains",
    ),
    "numpy": (numpys, "its parameter head.weight is not made of torch's random numbers alone"),
    "one module": (lambda: ONE, "gives the same module twice"),
    "tied": (tied, "its parameter also.weight is shared between layers"),
    "frozen": (frozen, "its parameter conv.bias is frozen"),
    "lazy": (lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(5)), "1.weight is without a sh"),
    "double": (lambda: Net().double(), "conv.weight is torch.float64, expected torch.float32"),
    "half": (lambda: Net().half(), "conv.weight is torch.float16"),
    "odd name": (OddName, "its parameter is called 'conv 1.0.weight'"),
    "odd kind": (strange_kind, "its layer is a 'größe'"),
    "function": (lambda: F.relu, "its builder gives a function, expected torch.nn.Module"),
    "no parameters": (lambda: nn.Sequential(nn.Flatten(), nn.ReLU()), "has no parameters"),
    "two outputs": (gives(lambda y: (y, y)), "gives a tuple of 2, expected the logits"),
    "dict": (gives(lambda y: {"logits": y}), "gives a dict of 1"),
    "shape": (lambda: nn.Sequential(layers(), nn.Linear(5, 6)), r"shape \(3, 6\).*\(3, 5\)"),
    "classes": (gives(lambda y: y.argmax(1)), r"the shape \(3,\) for 3 images"),
    "two images": (gives(lambda y: y.view(2, -1)), "forward fails for 3 images|the shape"),
    "type": (gives(lambda y: y.half()), "gives torch.float16"),
    "always random": (
        logits(lambda net, y: F.dropout(y, 0.5)),
        "in eval mode it answers the same images differently each time.*self.training",
    ),
    "noise": (
        logits(lambda net, y: y + net.training * torch.rand(1)),
        "draws random numbers while it trains.*torch.nn.Dropout",
    ),
    "attention": (attention, "draws random numbers while it trains.*MultiheadAttention"),
    "in place": (lambda: Net(lambda net, x: net.head(net.conv(x.sub_(1)).flatten(1))), "changes"),
    "branches": (
        logits(lambda net, y: y * (2 if y.mean() > 0 else 1)),
        "runs alone, but not as one of many by torch.func.vmap",
    ),
    "recurrent": (lambda: nn.Sequential(nn.Flatten(2), Last()), "not as one of many.*LSTM"),
    "fails": (lambda: nn.Sequential(nn.Linear(3, 5)), "its forward fails for 3 images of 2x8x8"),
    "no builder": (broken, "cannot be built for images of 2x8x8 and 5 classes: KeyError: '8'"),
}


class Last(nn.Module):
    def __init__(self):
        super().__init__()
        self.rows, self.head = nn.LSTM(64, 8, batch_first=True), nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.head(self.rows(x)[0][:, -1])


@KERNELS
@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_stored_or_trained_is_refused_by_name(tried, what, kernels):
    build, message = REFUSED[what]
    said = tried(build, kernels)
    assert said is not None
    assert re.search(message, said), said
    assert "engine.kernels" not in said  # neither kernels would do


def test_what_is_done_in_training_alone_is_not_compiled(tried):
    def build():
        return Net(lambda net, x: net.head(net.conv(x).flatten(1)) * (2 if net.training else 1))

    assert "something else in training than in eval mode" in tried(build, "compiled")
    assert tried(build, "vmap") is None


def test_an_embedder_on_the_cpu_needs_kernels_too_unless_told_otherwise(tried):
    def build():
        return layers(nn.GELU("tanh"))

    assert "register the architecture with compiled=False" in tried(build, "vmap", compiled=True)
    assert tried(build, "vmap", compiled=True, device="cuda") is None
    assert tried(build, "vmap", compiled=False) is None
