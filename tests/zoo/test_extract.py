"""From trained networks to stored ones: nothing is lost on the way, and what is stored runs."""

from __future__ import annotations

import math
import struct

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lib import nets
from lib.config import Instances, Training
from lib.core.streams import Stream
from lib.data.images import ImageSplit
from lib.engine import ensemble
from lib.engine.training import Engine, TrainedStack
from lib.engine.training.shard import load_raw, save_raw, train_shard
from lib.nets.fuse import FuseError, bn_pairs
from lib.nets.layout import Layout
from lib.zoo import extract as zoo
from lib.zoo import store
from lib.zoo.store import Catalogue, CatalogueError

NAMES = ("LeNetLike", "VanillaCNN", "ResNet8", "ResNet14")
INSTANCES = Instances(train=2, validation=1, test=2)
CFG = Training(epochs=1, batch_size=16, learning_rate=0.02)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def images(count: int, seed: int) -> ImageSplit:
    rng = torch.Generator().manual_seed(seed)
    return ImageSplit(
        torch.randn(count, 1, 8, 8, generator=rng),
        torch.randint(10, (count,), generator=rng),
        tuple("0123456789"),
        "noise",
        "",
    )


TRAIN, VALIDATION = images(32, 0), images(20, 1)


def load_stack(catalogue: Catalogue, frame: pd.DataFrame) -> ensemble.Stack:
    """The networks of `frame` (one architecture, in its order) as a stack."""
    weights = torch.from_numpy(catalogue.weights(frame))
    return Layout.from_json(catalogue.layout(frame["architecture"].iloc[0])).unflatten(weights)


def fit(name: str, instances: range, cfg: Training = CFG) -> TrainedStack:
    return train_shard(
        name, instances, cfg, Stream("zoo", 3, name), TRAIN, VALIDATION, engine=Engine(width=4)
    )


@pytest.fixture(scope="module")
def trained() -> dict[str, TrainedStack]:
    return {name: fit(name, range(5)) for name in NAMES}


@pytest.fixture(scope="module")
def catalogue(trained, tmp_path_factory) -> Catalogue:
    """LeNetLike in two shards, ResNet8 in one."""
    folder, paths = tmp_path_factory.mktemp("zoo"), []
    for name, instances in (
        ("ResNet8", range(5)),
        ("LeNetLike", range(3)),
        ("LeNetLike", range(3, 5)),
    ):
        shard = zoo.extract(name, fit(name, instances), INSTANCES, TRAIN, {"seed": 3})
        paths.append(folder / f"{name}-{instances.start}.h5")
        store.write_shard(paths[-1], shard)
        assert store.verify(paths[-1]) == []
    Catalogue.build(paths, ("LeNetLike", "ResNet8")).save(folder / "catalogue.csv")
    return Catalogue.load(folder / "catalogue.csv")


def unfused(name: str, trained: TrainedStack, i: int) -> nn.Module:
    module = nets.build(name, 1, 8, 10)
    module.load_state_dict({key: values[i] for key, values in trained.stack.items()})
    return module.eval()


def test_names_sort_as_their_numbers_do():
    assert zoo.network_name("ResNet8", 12) == "ResNet8-0012"
    assert zoo.network_name("ResNet8", 12, 5) == "ResNet8-0012-e0005"


@given(st.integers(0, 300), st.integers(1, 50))
def test_shards_hold_every_instance_once_and_in_order(total, shard_size):
    ranges = zoo.shard_ranges(total, shard_size)
    assert [i for one in ranges for i in one] == list(range(total))
    assert all(len(one) == shard_size for one in ranges[:-1])
    assert not ranges or 1 <= len(ranges[-1]) <= shard_size


def test_an_instance_depends_on_study_seed_architecture_and_number_alone():
    whole, part = fit("LeNetLike", range(4)), fit("LeNetLike", range(2, 4))
    assert part.columns["instance"] == [2, 3]
    assert all(torch.equal(whole.stack[name][2:], part.stack[name]) for name in whole.stack)
    stream, engine = Stream("zoo", 4, "LeNetLike"), Engine(width=4)
    other = train_shard("LeNetLike", range(2, 4), CFG, stream, TRAIN, VALIDATION, engine=engine)
    seeds = {
        *whole.columns["seed"],
        *other.columns["seed"],
        *fit("VanillaCNN", range(1)).columns["seed"],
    }
    assert len(seeds) == 7


# --- as it is -----------------------------------------------------------------------------------


def bits(value) -> tuple:
    return type(value), struct.pack("<d", value) if isinstance(value, float) else value


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2**63 - 1), st.floats(), st.sampled_from(("ok", "diverged"))),
        min_size=1,
        max_size=4,
    )
)
def test_columns_survive_as_they_are(tmp_path_factory, rows):
    folder = tmp_path_factory.getbasetemp()
    seeds, losses, status = map(list, zip(*rows, strict=True))
    losses = [loss if loss == loss else math.nan for loss in losses]
    kept = TrainedStack(
        {"w": torch.zeros(len(rows), 1)},
        {
            "seed": seeds,
            "status": status,
            "loss": losses,
            "none": [math.nan] * len(rows),
            "rate": [1.0] * len(rows),
            "selected_epoch": [-1] * len(rows),
        },
    )
    save_raw(kept, folder / "a.safetensors", folder / "a.csv")
    back = load_raw(folder / "a.safetensors", folder / "a.csv")
    assert list(back.columns) == list(kept.columns)
    for name, values in kept.columns.items():
        assert list(map(bits, back.columns[name])) == list(map(bits, values)), name


def test_states_survive_bit_for_bit_with_nan_and_integers(tmp_path):
    odd = torch.tensor([[math.nan, -0.0], [math.inf, 1e-45]])
    odd.view(torch.int32)[0, 0] += 5  # a NaN with a payload
    stack = {
        "w": odd,
        "bn.num_batches_tracked": torch.tensor([3, 2**40]),
        "view": torch.arange(12.0).reshape(2, 6).T[:2],
    }
    save_raw(
        TrainedStack(stack, {"seed": [1, 2]}),
        tmp_path / "a" / "x.safetensors",
        tmp_path / "a" / "x.csv",
    )
    back = load_raw(tmp_path / "a" / "x.safetensors", tmp_path / "a" / "x.csv").stack
    assert back.keys() == stack.keys()
    for name, values in stack.items():
        assert back[name].dtype == values.dtype and back[name].shape == values.shape
        assert back[name].numpy().tobytes() == values.contiguous().numpy().tobytes()


def test_a_trained_shard_is_the_same_shard_after_a_rest_on_disk(trained, tmp_path):
    for name in ("LeNetLike", "ResNet8"):
        save_raw(trained[name], tmp_path / "x.safetensors", tmp_path / "x.csv")
        rested = load_raw(tmp_path / "x.safetensors", tmp_path / "x.csv")
        for number, one in enumerate((trained[name], rested)):
            shard = zoo.extract(name, one, INSTANCES, TRAIN, {})
            store.write_shard(tmp_path / f"{number}.h5", shard)
        assert (tmp_path / "0.h5").read_bytes() == (tmp_path / "1.h5").read_bytes()


# --- as rows ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_stored_rows_run_as_the_networks_they_came_from(name, trained, tmp_path):
    one = trained[name]
    shard = zoo.extract(name, one, INSTANCES, TRAIN, {"config": "digest"})
    store.write_shard(tmp_path / "x.h5", shard)
    assert store.verify(tmp_path / "x.h5") == []
    back = store.read_shard(tmp_path / "x.h5")
    assert back.weights.dtype == np.float32 and np.array_equal(back.weights, shard.weights)
    assert back.provenance == {
        "config": "digest",
        "kernels": "vmap",
        "width": 4,
        "precision": "float32",
        "device": "cpu",
    }
    pd.testing.assert_frame_equal(back.instances, shard.instances, check_dtype=False)

    catalogue = Catalogue.build([tmp_path / "x.h5"])
    module = zoo.skeleton(name, TRAIN)
    outputs = ensemble.predict(module, load_stack(catalogue, catalogue.frame), VALIDATION.x)
    for i in range(5):
        with torch.no_grad():
            expected = unfused(name, one, i)(VALIDATION.x)
        torch.testing.assert_close(outputs[i], expected, rtol=1e-5, atol=1e-5)
        module.load_state_dict(catalogue.state_dict(zoo.network_name(name, i)))
        with torch.no_grad():
            torch.testing.assert_close(module(VALIDATION.x), expected, rtol=1e-5, atol=1e-5)

    names = {
        f"{norm}.{part}"
        for _, norm in bn_pairs(nets.build(name, 1, 8, 10))
        for part in ("weight", "bias", "running_mean", "running_var")
    }
    assert back.batch_norm.keys() == names
    for key, values in back.batch_norm.items():
        assert np.array_equal(values, one.stack[key].numpy())


def test_rows_are_named_and_split_by_instance(trained):
    frame = zoo.extract("LeNetLike", trained["LeNetLike"], INSTANCES, TRAIN, {}).instances
    assert frame["network"].tolist() == [f"LeNetLike-000{i}" for i in range(5)]
    assert frame["split"].tolist() == ["test", "test", "validation", "train", "train"]
    assert frame["instance"].tolist() == list(range(5))
    part = zoo.extract("LeNetLike", fit("LeNetLike", range(1, 4)), INSTANCES, TRAIN, {}).instances
    assert part["split"].tolist() == ["test", "validation", "train"]
    assert part["seed"].tolist() == frame["seed"].tolist()[1:4]
    assert not frame["validation_accuracy"].isna().any()


def test_snapshots_are_stored_beside_the_selected_and_left_out_unless_asked_for(tmp_path):
    cfg = Training.model_validate(
        {"epochs": {"choices": [1, 3]}, "batch_size": 16, "snapshots": [0, 2]}
    )
    one = fit("ResNet8", range(5), cfg)
    save_raw(one, tmp_path / "x.safetensors", tmp_path / "x.csv")
    rested = load_raw(tmp_path / "x.safetensors", tmp_path / "x.csv")
    assert rested.engine == one.engine
    shard = zoo.extract("ResNet8", rested, INSTANCES, TRAIN, {})
    store.write_shard(tmp_path / "x.h5", shard)
    assert store.verify(tmp_path / "x.h5") == []
    catalogue = Catalogue.build([tmp_path / "x.h5"])
    assert catalogue.select()["network"].tolist() == [f"ResNet8-000{i}" for i in range(5)]
    frame, longer = catalogue.frame, [i for i in range(5) if one.columns["epochs"][i] == 3]
    assert 0 < len(longer) < 5
    for number, instances in ((0, range(5)), (2, longer)):
        found = frame[frame["checkpoint_epoch"] == number]
        names = [f"ResNet8-000{i}-e000{number}" for i in instances]
        assert found["network"].tolist() == names
        assert found["split"].tolist() == [zoo.split_of(i, INSTANCES) for i in instances]
    row = one.columns["checkpoint_epoch"].index(2)
    (place,) = np.flatnonzero(frame["network"] == f"ResNet8-000{longer[0]}-e0002")
    outputs = ensemble.predict(
        zoo.skeleton("ResNet8", TRAIN),
        load_stack(catalogue, frame.iloc[[place]]),
        VALIDATION.x,
    )
    with torch.no_grad():
        expected = unfused("ResNet8", one, row)(VALIDATION.x)
    torch.testing.assert_close(outputs[0], expected, rtol=1e-5, atol=1e-5)


def test_a_shard_with_diverged_networks_is_a_shard(tmp_path):
    diverged = fit("ResNet8", range(2), CFG.model_copy(update={"learning_rate": 1e30}))
    save_raw(diverged, tmp_path / "x.safetensors", tmp_path / "x.csv")
    one = load_raw(tmp_path / "x.safetensors", tmp_path / "x.csv")
    shard = zoo.extract("ResNet8", one, INSTANCES, TRAIN, {})
    store.write_shard(tmp_path / "x.h5", shard)
    assert store.verify(tmp_path / "x.h5") == []
    catalogue = Catalogue.build([tmp_path / "x.h5"])
    assert len(catalogue.select()) == 0
    assert catalogue.frame["status"].tolist() == ["diverged"] * 2
    assert catalogue.frame["validation_accuracy"].isna().all()
    assert np.isfinite(catalogue.weights(catalogue.frame)).all()
    with pytest.raises(CatalogueError, match="no networks"):
        load_stack(catalogue, catalogue.select("ResNet8", "test"))


class First(nn.Module):
    """Its batch norm comes first, so there is no convolution to fold it into."""

    def __init__(self):
        super().__init__()
        self.bn, self.head = nn.BatchNorm2d(1), nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.bn(x).flatten(1))


class Shifted(nn.Module):
    """A buffer that is the same in every network, if it is not told another."""

    def __init__(self, mean=0.5):
        super().__init__()
        self.register_buffer("mean", torch.tensor([mean]))
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        return self.head((x - self.mean).flatten(1))


def stored(build, *states):
    """The shard of networks that training left so, and their stack."""
    columns = {"instance": [0, 1], "seed": [0, 1], "checkpoint_epoch": [-1, -1]}
    stack = ensemble.stack_states(states)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zoo, "build", lambda *_: build())
        trained = TrainedStack(stack, columns | {"status": ["ok"] * 2})
        return zoo.extract("Odd", trained, INSTANCES, TRAIN, {}), zoo.skeleton("Odd", TRAIN)


@pytest.mark.parametrize("build", [First, Shifted])
def test_batch_norm_that_stands_alone_and_constant_buffers_are_stored_right(build):
    modules = [build().train() for _ in range(2)]
    for module in modules:
        module(3 * TRAIN.x + 1)  # batch norm has seen images
    shard, skeleton = stored(build, *(module.state_dict() for module in modules))
    names = [entry["name"] for entry in shard.layout]
    assert names == [*(["bn.weight", "bn.bias"] * (build is First)), "head.weight", "head.bias"]
    assert set(shard.batch_norm) == (
        {f"bn.{name}" for name in ("weight", "bias", "running_mean", "running_var")}
        if build is First
        else set()
    )
    stack = Layout.from_json(shard.layout).unflatten(torch.from_numpy(shard.weights))
    with torch.no_grad():
        expected = torch.stack([module.eval()(TRAIN.x) for module in modules])
    torch.testing.assert_close(ensemble.predict(skeleton, stack, TRAIN.x), expected)


def test_a_buffer_that_differs_between_networks_is_refused_by_name():
    with pytest.raises(FuseError, match="mean is a buffer whose values differ"):
        stored(Shifted, Shifted().state_dict(), Shifted(0.7).state_dict())


# --- back again ---------------------------------------------------------------------------------


def test_a_stack_comes_back_in_the_order_asked_for(catalogue, trained):
    frame = catalogue.select("LeNetLike").iloc[[4, 0, 2]]
    stack = load_stack(catalogue, frame)
    assert ensemble.size(stack) == 3
    for place, instance in enumerate((4, 0, 2)):
        for name, values in trained["LeNetLike"].stack.items():
            assert torch.equal(stack[name][place], values[instance])


@pytest.mark.parametrize("splits", (("test",), ("validation", "train")))
def test_outputs_are_those_of_each_network(catalogue, trained, splits):
    found = {
        name: (frame, ensemble.predict(zoo.skeleton(name, VALIDATION), stack, VALIDATION.x))
        for name in ("LeNetLike", "ResNet8")
        for frame in [catalogue.select(name, splits)]
        for stack in [load_stack(catalogue, frame)]
    }
    for name, (frame, logits) in found.items():
        assert set(frame["split"]) == set(splits) and len(frame) == len(logits)
        for row, instance in enumerate(frame["instance"]):
            with torch.no_grad():
                expected = unfused(name, trained[name], instance)(VALIDATION.x)
            torch.testing.assert_close(logits[row], expected, rtol=1e-5, atol=1e-5)
        accuracies = ensemble.accuracy(logits, VALIDATION.y)
        assert accuracies.tolist() == pytest.approx(frame["validation_accuracy"].tolist())


def test_several_architectures_are_no_stack(catalogue):
    with pytest.raises(CatalogueError, match="one architecture at a time"):
        load_stack(catalogue, catalogue.frame)


def test_the_same_networks_are_the_same_bytes(tmp_path):
    engine = {"kernels": "vmap", "width": 3, "precision": "float32", "device": "cpu"}
    kept = TrainedStack({"w": torch.zeros(2, 1)}, {"seed": [1, 2]}, engine)
    found = set()
    for k in range(8):
        save_raw(kept, tmp_path / f"{k}.safetensors", tmp_path / "x.csv")
        found.add((tmp_path / f"{k}.safetensors").read_bytes())
    assert len(found) == 1
    assert load_raw(tmp_path / "0.safetensors", tmp_path / "x.csv").engine == engine
