"""The architectures: sizes as published, one registry, and batch norm fused without a trace."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, vmap

from lib import nets
from lib.core.errors import InputError
from lib.nets.fuse import (
    Affine,
    FuseError,
    bn_pairs,
    bn_statistics,
    fuse,
    fuse_state,
    fused_skeleton,
    lone_norms,
)

NAMES = ["LeNetLike", "VanillaCNN", "ResNet8", "ResNet14", "ResNet32", "ResNet56"]
# fused parameter counts: 1x8x8 -> 10, 3x32x32 -> 10 and 3x64x64 -> 200, the first four of the
# latter two as published
COUNTS = {
    "LeNetLike": (3_718, 62_006, 79_612),
    "VanillaCNN": (17_010, 68_818, 112_856),
    "ResNet8": (19_642, 77_706, 128_456),
    "ResNet32": (116_858, 465_674, 516_424),
    "ResNet14": (43_946, 174_698, 225_448),
    "ResNet56": (214_074, 853_642, 904_392),
}
SHAPES = ((1, 8, 10), (3, 32, 10), (3, 64, 200))


@pytest.fixture(autouse=True)
def _one_thread_one_seed():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
    torch.set_num_threads(threads)


def disturb(module: nn.Module) -> nn.Module:
    """Give every batch norm the random scales, shifts and statistics of a trained one."""
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_var is not None:
            layer.running_mean.normal_(0, 0.5)
            layer.running_var.uniform_(0.3, 2)
            if layer.affine:
                nn.init.normal_(layer.weight, 1, 0.3)  # some may well be negative
                nn.init.normal_(layer.bias, 0, 0.3)
    return module.eval()


def stacked(modules: list[nn.Module]) -> dict[str, torch.Tensor]:
    states = [module.state_dict() for module in modules]
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}


def run_stack(module: nn.Module, stack: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    return vmap(lambda state: functional_call(module, state, (x,)))(stack)


def assert_fused_right(module: nn.Module, x: torch.Tensor, pairs: list[tuple[str, str]]) -> None:
    """Check the pairs, and that the fused module computes what the unfused one does."""
    disturb(module)
    assert bn_pairs(module) == pairs
    before = copy.deepcopy(module.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(fuse(module)(x), module(x), rtol=1e-5, atol=1e-5)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), f"fusing changed {name}"


# --- the registry ---------------------------------------------------------------------------


def test_every_architecture_is_found():
    assert set(NAMES) <= set(nets.names())
    assert len(nets.names()) == len(set(nets.names()))


def test_module_of_names_the_file():
    assert nets.module_of("ResNet8") == nets.module_of("ResNet56") == "lib.nets.resnet"
    assert nets.module_of("LeNetLike") == "lib.nets.lenet_like"
    assert nets.module_of("VanillaCNN") == "lib.nets.vanilla_cnn"


def test_unknown_name_lists_the_known_ones():
    for call in (lambda: nets.build("ResNet9", 3, 32, 10), lambda: nets.module_of("ResNet9")):
        with pytest.raises(nets.UnknownArchitecture, match="'ResNet9'.*LeNetLike.*VanillaCNN"):
            call()


@pytest.mark.parametrize("name", NAMES)
def test_size_without_preset_lists_the_sizes(name):
    with pytest.raises(nets.ArchitectureError, match=f"{name} .*28x28.* 8, 32, 64"):
        nets.build(name, 1, 28, 10)


@pytest.mark.parametrize("classes", [1, 0, -3])
def test_fewer_than_two_classes_is_refused(classes):
    with pytest.raises(nets.ArchitectureError, match=f"at least 2 classes, got {classes}"):
        nets.build("LeNetLike", 1, 8, classes)


def test_no_channel_is_refused():
    with pytest.raises(nets.ArchitectureError, match="at least 1 image channel, got 0"):
        nets.build("VanillaCNN", 0, 8, 10)


def test_errors_are_the_users_to_mend():
    assert issubclass(nets.UnknownArchitecture, nets.ArchitectureError)
    assert issubclass(nets.ArchitectureError, InputError) and issubclass(FuseError, InputError)


def test_an_architecture_is_one_marked_builder(monkeypatch):
    monkeypatch.setattr(nets, "_registry", dict(nets._registry))

    @nets.architecture("Linear")
    def linear(channels: int, size: int, classes: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(channels * size**2, classes))

    assert nets.build("Linear", 3, 5, 4)(torch.zeros(2, 3, 5, 5)).shape == (2, 4)
    assert nets.module_of("Linear") == __name__
    nets.architecture("Linear")(linear)  # as when a notebook cell is run again
    with pytest.raises(nets.ArchitectureError, match="'ResNet8'.*already.*lib.nets.resnet"):
        nets.architecture("ResNet8")(linear)
    assert nets.module_of("ResNet8") == "lib.nets.resnet"


# --- the architectures ----------------------------------------------------------------------


@pytest.mark.parametrize("preset", range(3), ids=["8", "32", "64"])
@pytest.mark.parametrize("name", NAMES)
def test_parameter_counts_and_output_shape(name, preset):
    channels, size, classes = SHAPES[preset]
    module = nets.build(name, channels, size, classes).eval()
    fused = fused_skeleton(module)
    assert sum(p.numel() for p in fused.parameters()) == COUNTS[name][preset]
    x = torch.randn(3, channels, size, size)
    with torch.no_grad():
        assert module(x).shape == fused(x).shape == (3, classes)


@pytest.mark.parametrize("name", NAMES)
def test_channels_and_classes_are_free(name):
    module = nets.build(name, 3, 8, 2).eval()
    with torch.no_grad():
        assert module(torch.zeros(1, 3, 8, 8)).shape == (1, 2)


@pytest.mark.parametrize(
    ("name", "depth"), [("ResNet8", 8), ("ResNet14", 14), ("ResNet32", 32), ("ResNet56", 56)]
)
def test_resnets_have_the_depth_of_their_name(name, depth):
    layers = [
        layer
        for layer in nets.build(name, 3, 32, 10).modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    shortcuts = [layer for layer in layers if getattr(layer, "kernel_size", None) == (1, 1)]
    assert len(layers) - len(shortcuts) == depth and len(shortcuts) == 2
    assert all(layer.bias is None for layer in layers if isinstance(layer, nn.Conv2d))


@pytest.mark.parametrize("name", NAMES)
def test_trained_form_differs_from_the_fused_one_by_batch_norm_only(name):
    module = nets.build(name, 1, 8, 10)
    norms = sum(isinstance(layer, nn.BatchNorm2d) for layer in module.modules())
    assert len(bn_pairs(module)) == norms
    assert (norms > 0) == name.startswith("ResNet")
    fused = fused_skeleton(module)
    assert not list(fused.buffers())
    names = [key for key, _ in fused.named_parameters()]
    layers = [key.removesuffix(".weight") for key in names[::2]]
    assert names == [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]


@pytest.mark.parametrize("name", NAMES)
def test_slope_is_a_hundredth_and_nothing_is_in_place(name):
    module = nets.build(name, 1, 8, 10)
    x = torch.randn(2, 1, 8, 8)
    graph = torch.fx.Tracer().trace(module)
    slopes = [node.kwargs["negative_slope"] for node in graph.nodes if node.target is F.leaky_relu]
    activations = [layer for layer in module.modules() if isinstance(layer, nn.LeakyReLU)]
    slopes += [layer.negative_slope for layer in activations]
    assert set(slopes) == {0.01} and not any(layer.inplace for layer in activations)
    before = x.clone()
    module(x)
    assert torch.equal(x, before)


# --- many at once ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_training_mode_runs_under_vmap(name):
    """Gradients and batch-norm statistics of a stack are those of each network alone."""
    modules = [nets.build(name, 1, 8, 10).double().train() for _ in range(2)]
    x, y = torch.randn(2, 6, 1, 8, 8, dtype=torch.double), torch.randint(10, (2, 6))
    base, stack = copy.deepcopy(modules[0]), stacked(modules)
    parameters = {key: stack[key].requires_grad_() for key, _ in base.named_parameters()}
    outputs = vmap(lambda state, batch: functional_call(base, state, (batch,)), randomness="error")(
        stack, x
    )
    gradients = torch.autograd.grad(
        F.cross_entropy(outputs.flatten(0, 1), y.flatten(), reduction="sum"),
        list(parameters.values()),
    )
    for i, module in enumerate(modules):
        F.cross_entropy(module(x[i]), y[i], reduction="sum").backward()
        for (key, parameter), gradient in zip(module.named_parameters(), gradients, strict=True):
            torch.testing.assert_close(gradient[i], parameter.grad, msg=lambda m, k=key: k + m)
        for key, value in module.named_buffers():
            torch.testing.assert_close(stack[key][i], value, msg=lambda m, k=key: k + m)
            assert value.any(), f"{key} was not updated"


# --- fusing ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "size"), [(1, 8), (3, 32), (3, 64)])
@pytest.mark.parametrize("name", ["ResNet8", "ResNet14"])
def test_fused_equals_unfused(name, channels, size):
    module = nets.build(name, channels, size, 10)
    assert_fused_right(module, torch.randn(4, channels, size, size), bn_pairs(module))


@pytest.mark.parametrize("name", ["ResNet32", "ResNet56"])
def test_deep_fused_equals_unfused(name):
    module = nets.build(name, 3, 32, 10)
    x = torch.randn(2, 3, 32, 32)
    assert_fused_right(module, x, bn_pairs(module))
    with torch.no_grad():  # and not by luck: in double precision the two are the same function
        torch.testing.assert_close(
            fuse(module.double())(x.double()), module(x.double()), rtol=1e-9, atol=1e-9
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_stack_is_fused_as_each_alone(name):
    modules = [disturb(nets.build(name, 1, 8, 10)) for _ in range(3)]
    pairs, skeleton = bn_pairs(modules[0]), fused_skeleton(modules[0]).eval()
    fused = fuse_state(stacked(modules), pairs, modules[0])
    assert list(fused) == [key for key, _ in skeleton.named_parameters()]
    x = torch.randn(5, 1, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(
            run_stack(skeleton, fused, x),
            torch.stack([module(x) for module in modules]),
            rtol=1e-5,
            atol=1e-5,
        )
    for i, module in enumerate(modules):
        alone = fuse_state(module.state_dict(), pairs, module)
        assert all(torch.equal(fused[key][i], alone[key]) for key in alone)
        skeleton.load_state_dict(alone, strict=True)


def test_more_leading_axes_and_epsilons_by_name():
    modules = [disturb(nets.build("ResNet8", 1, 8, 10)) for _ in range(4)]
    pairs, stack = bn_pairs(modules[0]), stacked(modules)
    grid = {key: value.reshape(2, 2, *value.shape[1:]) for key, value in stack.items()}
    fused = fuse_state(grid, pairs, {norm: 1e-5 for _, norm in pairs})
    flat = fuse_state(stack, pairs, modules[0])
    assert all(torch.equal(fused[key].flatten(0, 1), flat[key]) for key in flat)


def test_epsilon_is_the_layers_own():
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, eps=0.5))
    assert_fused_right(module, torch.randn(2, 1, 5, 5), [("0", "1")])


def test_statistics_are_kept_and_give_the_weights_back():
    modules = [disturb(nets.build("ResNet8", 1, 8, 10)) for _ in range(2)]
    pairs, stack = bn_pairs(modules[0]), stacked(modules)
    kept, fused = bn_statistics(stack, pairs), fuse_state(stack, pairs, modules[0])
    assert len(kept) == 4 * len(pairs) and all(v.dtype == torch.float32 for v in kept.values())
    assert not set(kept) & set(fused)
    for conv, norm in pairs:
        scale = kept[f"{norm}.weight"] / torch.sqrt(kept[f"{norm}.running_var"] + 1e-5)
        torch.testing.assert_close(
            fused[f"{conv}.weight"] / scale[..., None, None, None], stack[f"{conv}.weight"]
        )
    assert bn_statistics(fused, []) == {}


def test_fusing_keeps_gradients():
    module = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2)).eval()
    state = {**module.state_dict(), **dict(module.named_parameters())}
    fused = fuse_state(state, [("0", "1")], module)
    sum(value.sum() for value in fused.values()).backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_a_lacking_tensor_is_named():
    module = nets.build("ResNet8", 1, 8, 10)
    pairs = bn_pairs(module)
    fused = fuse_state(module.state_dict(), pairs, module)
    with pytest.raises(FuseError, match=r"lacks bn\.running_mean.*fused already"):
        fuse_state(fused, pairs, module)


# --- a user's own modules -------------------------------------------------------------------


class Residual(nn.Module):
    """The convolution's output is read by its batch norm and by the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2)

    def forward(self, x):
        y = self.conv(x)
        return y + self.norm(y)


class Twice(nn.Module):
    """One convolution with two batch norms; then one batch norm after two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.conv_b = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1)
        self.norm_a, self.norm_b = nn.BatchNorm2d(2), nn.BatchNorm2d(2)
        self.last = nn.BatchNorm2d(2)

    def forward(self, x):
        x = self.norm_b(self.conv(self.norm_a(self.conv(x))))
        return self.last(self.conv_b(x)) + self.last(x)


class Regularised(nn.Module):
    """The forward reads the convolution's weight besides running it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2)

    def forward(self, x):
        return self.norm(self.conv(x)) + self.conv.weight.mean()


class Aliased(nn.Module):
    """The batch norm has two names; it has no parameter that would tell."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2, affine=False)
        self.also = self.norm

    def forward(self, x):
        return self.norm(self.conv(x))


class Branching(nn.Module):
    """Control flow on values cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2)

    def forward(self, x):
        return self.norm(self.conv(x)) if x.mean() > 0 else self.conv(x)


def tied() -> nn.Module:
    """Build two convolutions with one weight."""
    module = nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2), nn.Conv2d(2, 2, 3))
    module[2].weight = module[0].weight
    return module


def computed() -> nn.Module:
    """Build a convolution whose weight is computed by a hook before each run."""
    return nn.Sequential(nn.utils.spectral_norm(nn.Conv2d(2, 2, 3)), nn.BatchNorm2d(2))


def test_convolutions_in_a_sequential_are_fused():
    """With and without bias, grouped, strided, nested, without affine, with another epsilon."""
    module = nn.Sequential(
        nn.Conv2d(2, 4, 3, bias=True),
        nn.BatchNorm2d(4, eps=1e-3),
        nn.LeakyReLU(0.01),
        nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1, groups=2, bias=False), nn.BatchNorm2d(8)),
        nn.Dropout(0.5),
        nn.Conv2d(8, 4, 1, padding_mode="reflect"),
        nn.BatchNorm2d(4, affine=False),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )
    x = torch.randn(3, 2, 9, 9)
    assert_fused_right(module, x, [("0", "1"), ("3.0", "3.1"), ("5", "6")])
    fused = fused_skeleton(module)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in fused.modules())
    modules = [disturb(copy.deepcopy(module)) for _ in range(2)]
    stack = fuse_state(stacked(modules), bn_pairs(module), module)
    with torch.no_grad():
        torch.testing.assert_close(
            run_stack(fused.eval(), stack, x),
            torch.stack([m(x) for m in modules]),
            rtol=1e-5,
            atol=1e-5,
        )


@pytest.mark.parametrize("d", [1, 3])
def test_other_dimensions_are_fused(d):
    conv, norm = {1: (nn.Conv1d, nn.BatchNorm1d), 3: (nn.Conv3d, nn.BatchNorm3d)}[d]
    assert_fused_right(
        nn.Sequential(conv(2, 3, 3), norm(3)), torch.randn(2, 2, *[5] * d), [("0", "1")]
    )


@pytest.mark.parametrize(
    ("make", "pairs"),
    [
        (lambda: nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 2, 3)), []),
        (lambda: nn.Sequential(nn.Conv2d(2, 2, 3), nn.ReLU(), nn.BatchNorm2d(2)), []),
        (lambda: nn.Sequential(nn.ConvTranspose2d(2, 2, 3), nn.BatchNorm2d(2)), []),
        (
            lambda: nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2, track_running_stats=False)),
            [],
        ),
        (
            lambda: nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2), nn.BatchNorm2d(2)),
            [("0", "1")],
        ),
        (Residual, []),
        (Twice, []),
        (Regularised, []),
        (tied, []),
        (Aliased, []),
        (computed, []),
        (lambda: nn.Sequential(nn.Conv2d(2, 2, 3), nn.ReLU()), []),
    ],
    ids=[
        "first",
        "after relu",
        "transposed",
        "no statistics",
        "two in a row",
        "two readers",
        "run twice",
        "weight read",
        "tied",
        "two names",
        "computed weight",
        "none",
    ],
)
def test_what_cannot_be_fused_is_left_alone_and_right(make, pairs):
    assert_fused_right(make(), torch.randn(3, 2, 7, 7), pairs)


def test_batch_norm_after_a_linear_layer_is_folded():
    module = nn.Sequential(nn.Flatten(), nn.Linear(9, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    assert_fused_right(module, torch.randn(5, 1, 3, 3), [("1", "2")])
    assert isinstance(fused_skeleton(module)[2], nn.Identity)


def test_batch_norm_over_another_axis_than_the_linear_layers_outputs_is_not():
    module = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(5), nn.Flatten(), nn.Linear(30, 3))
    assert_fused_right(module, torch.randn(2, 5, 4), [])


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 3, 3)), (2, 7, 7)),
        (lambda: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.BatchNorm1d(6)), (4,)),
        (lambda: nn.Sequential(nn.Conv1d(2, 3, 3), nn.ReLU(), nn.BatchNorm1d(3)), (2, 9)),
        (lambda: nn.Sequential(nn.Tanh(), nn.BatchNorm3d(2, affine=False), nn.Flatten(),
                               nn.Linear(16, 3)), (2, 2, 2, 2)),
        (lambda: nn.Sequential(Twice(), nn.Flatten()), (2, 9, 9)),
    ],
    ids=["first", "vectors", "rows", "volumes without affine", "run twice"],
)  # fmt: skip
def test_batch_norm_that_stands_alone_becomes_two_parameters_of_its_own(make, shape):
    modules = [disturb(make()) for _ in range(3)]
    skeleton = fused_skeleton(modules[0]).eval()
    assert any(isinstance(layer, Affine) for layer in skeleton.modules())
    assert not skeleton.state_dict().keys() - dict(skeleton.named_parameters()).keys()
    stack = fuse_state(stacked(modules), bn_pairs(modules[0]), modules[0])
    assert list(stack) == [name for name, _ in skeleton.named_parameters()]
    x = torch.randn(4, *shape)
    with torch.no_grad():
        expected = torch.stack([module(x) for module in modules])
    torch.testing.assert_close(run_stack(skeleton, stack, x), expected, rtol=1e-5, atol=1e-5)
    kept = bn_statistics(stacked(modules), bn_pairs(modules[0]), modules[0])
    for name in lone_norms(modules[0], bn_pairs(modules[0])):
        assert {f"{name}.running_mean", f"{name}.running_var"} <= set(kept)


def test_a_constant_buffer_is_no_part_of_a_network_and_may_have_been_rounded():
    def make() -> nn.Module:
        module = nn.Sequential(nn.Linear(4, 3))
        module.register_buffer("scale", torch.tensor([0.4914]))
        return module

    module = make()
    assert list(fused_skeleton(module).state_dict()) == ["0.weight", "0.bias"]
    half = {name: value.bfloat16().float() for name, value in module.state_dict().items()}
    assert list(fuse_state(half, [], module)) == ["0.weight", "0.bias"]
    with pytest.raises(FuseError, match="scale is a buffer whose values differ"):
        fuse_state(half | {"scale": torch.tensor([0.5])}, [], module)


def test_training_mode_of_the_module_is_kept():
    module = nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2)).train()
    assert bn_pairs(module) == [("0", "1")]
    assert module.training and module[1].training
    assert isinstance(fused_skeleton(module)[1], nn.Identity)
    assert isinstance(module[1], nn.BatchNorm2d)


def test_an_untraceable_module_with_batch_norm_says_so():
    with pytest.raises(FuseError, match="Branching cannot be traced"):
        bn_pairs(Branching())
