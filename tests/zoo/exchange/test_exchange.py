"""Networks out of a zoo: loaded as modules, exported as files, and back in from those files."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import lib
from lib import nets
from lib.cli import main
from lib.nets.fuse import fuse
from lib.zoo import population, store
from lib.zoo.exchange import folder
from lib.zoo.exchange.export import export
from lib.zoo.exchange.importing import write_zoo
from lib.zoo.exchange.network import Image, find_form, shapes
from lib.zoo.exchange.opening import ExchangeError, open_zoo, zoo_files
from lib.zoo.store import Catalogue, CatalogueError
from toy import NAMES

WORKFLOW = Path(__file__).parents[3] / "workflow"
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def exported(toy, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("exported")
    export(toy.catalogue, out)
    return out


@pytest.fixture(scope="module")
def networks(toy, tmp_path_factory) -> Path:
    """The toy's ResNets with their batch norm, as another library might have kept them."""
    out = tmp_path_factory.mktemp("networks")
    for i in range(7):
        torch.save(toy.unfused("ResNet8", i).state_dict(), out / f"run{i // 2}-{i}.pt")
    return out


class Trap:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


# Load


@pytest.mark.parametrize("name", NAMES)
def test_a_loaded_network_is_the_one_that_was_trained(toy, name):
    shard = toy.catalogue.parent / f"{name}.h5"
    for place in (toy.catalogue, shard, toy.catalogue.parent, Catalogue.load(toy.catalogue)):
        module = lib.load_network(place, f"{name}-0003")
        assert not module.training and module.architecture == name
        assert store.read_header(shard).arguments == {"channels": 1, "size": 8, "classes": 4}
        with torch.no_grad():
            torch.testing.assert_close(
                module(toy.test.x), toy.unfused(name, 3)(toy.test.x), rtol=1e-5, atol=1e-5
            )


def test_loading_leaves_the_random_state_alone_and_shares_nothing(toy):
    before = torch.get_rng_state()
    one, other = (lib.load_network(toy.catalogue, "ResNet8-0001") for _ in range(2))
    assert torch.get_rng_state().equal(before)
    with torch.no_grad():
        one.head.weight.zero_()
    assert other.head.weight.any()


def test_importing_lib_alone_is_light():
    code = (
        "import lib, sys; print(sorted(m for m in ('torch', 'pandas', 'h5py') if m in sys.modules))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(WORKFLOW)},
        capture_output=True,
        text=True,
    )
    assert ended.stdout == "[]\n", ended.stderr
    with pytest.raises(AttributeError, match="no attribute 'load_everything'"):
        lib.load_everything  # noqa: B018


def rewritten(toy, folder: Path, **changes) -> Path:
    shard = store.read_shard(toy.catalogue.parent / "LeNetLike.h5")
    for name, value in changes.items():
        setattr(shard, name, value)
    shard.instances["architecture"] = shard.architecture
    store.write_shard(folder / "x.h5", shard)
    return folder / "x.h5"


def test_the_image_is_taken_from_the_arguments_or_from_the_layout(toy, tmp_path):
    told = rewritten(toy, tmp_path, arguments={"channels": 1, "size": 8, "classes": 4})
    assert lib.load_network(told, "LeNetLike-0001")(torch.zeros(1, 1, 8, 8)).shape == (1, 4)
    wrong = rewritten(toy, tmp_path, arguments={"channels": 1, "size": 32, "classes": 4})
    with pytest.raises(ExchangeError, match="x.h5: the layout stored there is not that of LeNetL"):
        lib.load_network(wrong, "LeNetLike-0001")
    other = rewritten(toy, tmp_path, architecture="VanillaCNN", arguments={})
    with pytest.raises(ExchangeError, match=r"x.h5: its parameters are not those of VanillaCNN"):
        lib.load_network(other, "LeNetLike-0001")


def test_what_cannot_be_loaded_is_one_clear_error(toy, tmp_path):
    with pytest.raises(CatalogueError, match="no network 'LeNetLike-0099'"):
        lib.load_network(toy.catalogue, "LeNetLike-0099")
    unknown = rewritten(toy, tmp_path, architecture="VGG")
    with pytest.raises(nets.UnknownArchitecture, match="VGG"):
        lib.load_network(unknown, "LeNetLike-0001")
    with pytest.raises(ExchangeError, match="no zoo there"):
        open_zoo(tmp_path / "none.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ExchangeError, match="neither catalogue.csv nor shards"):
        open_zoo(tmp_path / "empty")


@pytest.mark.parametrize("name", ["LeNetLike", "VanillaCNN", "ResNet8", "ModelZooCNN_tanh"])
@pytest.mark.parametrize("image", [Image(1, 8, 10), Image(3, 32, 4), Image(3, 28, 7)])
def test_channels_size_and_classes_are_read_off_the_parameters(name, image):
    try:
        module = nets.build(name, image.channels, image.size, image.classes)
    except nets.ArchitectureError:
        return
    for state in (module.state_dict(), fuse(module).state_dict()):
        in_order_of_name = dict(sorted(state.items()))
        assert find_form(name, shapes(in_order_of_name)).image == image


def test_a_size_that_parameters_leave_open_has_to_be_given():
    state = nets.build("SmallCNN_relu", 1, 28, 10).state_dict()
    with pytest.raises(ExchangeError, match=r"several sizes \(28, 32, 64 pixels\): give the size"):
        find_form("SmallCNN_relu", shapes(state))
    assert find_form("SmallCNN_relu", shapes(state), 32).image == Image(1, 32, 10)


def test_the_files_of_a_zoo_are_its_shards_and_its_catalogue(toy):
    there = toy.catalogue.parent
    shards = sorted(there / f"{name}.h5" for name in NAMES)
    assert zoo_files(there) == zoo_files(toy.catalogue) == [*shards, toy.catalogue]
    assert zoo_files(shards[0]) == [shards[0]]


# Export


def test_exported_networks_are_those_of_the_shards_bit_for_bit(toy, exported):
    catalogue = Catalogue.load(toy.catalogue)
    assert len(list(exported.glob("*.safetensors"))) == len(catalogue.frame)
    for name in catalogue.frame["network"]:
        state, stored = load_file(exported / f"{name}.safetensors"), catalogue.state_dict(name)
        assert set(state) == set(stored) and all(v.equal(stored[k]) for k, v in state.items())


def test_a_card_says_what_the_network_is_and_how_to_build_it(toy, exported):
    card = json.loads((exported / "ResNet8-0004.safetensors.json").read_text())
    row = Catalogue.load(toy.catalogue).frame.set_index("network").loc["ResNet8-0004"]
    assert card["architecture"] == "ResNet8" and card["image"] == [1, 8, 8]
    assert card["classes"] == 4 and card["network"] == "ResNet8-0004"
    assert card["instance"]["validation_accuracy"] == row["validation_accuracy"]
    assert card["instance"]["split"] == row["split"] == "train"
    assert card["instance"]["learning_rate"] == 0.08 and "shard" not in card["instance"]
    module = eval(card["build"], {"lib": lib})  # noqa: S307
    module.load_state_dict(load_file(exported / "ResNet8-0004.safetensors"))
    wanted = lib.load_network(toy.catalogue, "ResNet8-0004")
    with torch.no_grad():
        assert module(toy.test.x).equal(wanted(toy.test.x))


def test_any_set_of_networks_can_be_exported(toy, tmp_path, capsys):
    frame = Catalogue.load(toy.catalogue).frame
    best = float(frame["validation_accuracy"].median())
    arguments = ["export", str(toy.catalogue), "--architecture", "LeNetLike", "ResNet8"]
    arguments += ["--split", "train", "--where", f"validation_accuracy >= {best!r}"]
    assert main([*arguments, "--out", str(tmp_path / "a")]) == 0
    wanted = frame[
        frame["architecture"].isin(["LeNetLike", "ResNet8"])
        & (frame["split"] == "train")
        & (frame["validation_accuracy"] >= best)
    ]["network"]
    assert {path.stem for path in (tmp_path / "a").glob("*.safetensors")} == set(wanted)
    assert capsys.readouterr().out == f"{tmp_path / 'a'}: {len(wanted)} networks\n"
    ids = ["ResNet8-0005", "LeNetLike-0000"]
    assert [path.stem for path in export(toy.catalogue, tmp_path / "b", ids=ids)] == ids[::-1]


def test_a_set_that_is_not_there_is_one_clear_error(toy, tmp_path, capsys):
    def no(message: str, *more: str) -> None:
        out = tmp_path / "out"
        assert main(["export", str(toy.catalogue), *more, "--out", str(out)]) == 1
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1 and not out.exists()

    no("no network 'ResNet8-0099'", "--ids", "ResNet8-0099")
    no("no network is as asked for", "--where", "validation_accuracy > 2")
    no("no column 'accuracy'", "--where", "accuracy > 0.5")
    no("no architecture 'VGG'", "--architecture", "VGG")
    (tmp_path / "file").write_text("")
    assert main(["export", str(toy.catalogue), "--out", str(tmp_path / "file" / "x")]) == 1
    assert "cannot be written" in capsys.readouterr().err


# Back in from a folder


def test_what_was_exported_comes_back_bit_for_bit(toy, exported, tmp_path):
    back = write_zoo(folder.read(exported), tmp_path / "zoo", shard_bytes=60_000)
    there = Catalogue.load(toy.catalogue).frame.set_index("network")
    assert set(back.frame["network"]) == set(there.index)
    assert back.frame["shard"].nunique() > len(NAMES)
    for name in NAMES:
        frame = back.select(name, status=None)
        original = Catalogue.load(toy.catalogue)
        wanted = original.weights(
            original.frame.set_index("network", drop=False).loc[frame["network"]]
        )
        assert np.array_equal(back.weights(frame), wanted)
        for column in ("split", "seed", "validation_accuracy", "learning_rate", "instance"):
            assert frame[column].tolist() == there.loc[frame["network"], column].tolist(), column
    assert all(store.verify(path) == [] for path in (tmp_path / "zoo").rglob("*.h5"))


def test_networks_with_batch_norm_are_fused_and_can_be_embedded(toy, networks, tmp_path):
    """The whole way: a folder of state dicts, a zoo, populations and latents of them."""
    out = tmp_path / "zoo"
    shell = ["import", "folder", str(networks), "--architecture", "ResNet8", "--out", str(out)]
    assert main([*shell, "--shares", "0.3", "0.3"]) == 0
    catalogue = Catalogue.load(out / "catalogue.csv")
    header = store.read_header(out / "ResNet8" / "shard_000.h5")
    known = {"format": "folder", "folder": networks.name}
    assert header.provenance.items() >= known.items() and "bn.running_mean" in header.batch_norm
    assert header.arguments == {"channels": 1, "size": 8, "classes": 4}
    with torch.no_grad():
        torch.testing.assert_close(
            lib.load_network(catalogue, "run1-3")(toy.test.x),
            toy.unfused("ResNet8", 3)(toy.test.x),
            rtol=1e-5,
            atol=1e-5,
        )
    found = population.load(catalogue, ["ResNet8"], "test", toy.images, "mine")["ResNet8"]
    assert len(found.flat) == 2 and len(
        population.load(catalogue, ["ResNet8"], "train", toy.images, "mine")
    )
    stored = Catalogue.load(toy.catalogue)
    for name in found.names:
        latent = toy.embedder.encode(name, catalogue)
        wanted = toy.embedder.encode(f"ResNet8-000{name[-1]}", stored)
        assert torch.allclose(latent, wanted, atol=1e-5)


def test_a_table_says_what_is_known_of_networks(networks, tmp_path):
    rows = ["network,run,seed,validation_accuracy,epochs,learning_rate,note"]
    for i in range(7):
        accuracy = "" if i == 3 else f"0.{i}"
        rows.append(f"run{i // 2}-{i},{i // 2},{i},{accuracy},14,1,{'odd' if i % 2 else ''}")
    (tmp_path / "t.csv").write_text("\n".join(rows) + "\n")
    for out in ("a", "b"):
        source = folder.read(networks, "ResNet8", table=tmp_path / "t.csv")
        frame = write_zoo(source, tmp_path / out, (0.25, 0.25)).frame
    assert (tmp_path / "a/catalogue.csv").read_bytes() == (
        tmp_path / "b/catalogue.csv"
    ).read_bytes()
    shard = "ResNet8/shard_000.h5"
    assert (tmp_path / "a" / shard).read_bytes() == (tmp_path / "b" / shard).read_bytes()
    assert frame["seed"].tolist() == list(range(7)) and frame["status"].eq("ok").all()
    assert np.isnan(frame["validation_accuracy"][3]) and frame["validation_accuracy"][2] == 0.2
    assert frame["epochs"].tolist() == [14] * 7 and frame["learning_rate"].dtype == "float64"
    assert frame["note"].tolist() == ["", "odd", "", "odd", "", "odd", ""]
    assert frame.groupby("run")["split"].nunique().eq(1).all()
    assert sorted(frame.groupby("run")["split"].first()) == ["test", "train", "train", "validation"]


def test_a_diverged_network_is_kept_and_marked(toy, networks, tmp_path):
    for path in networks.iterdir():
        state = torch.load(path, weights_only=True)
        if path.stem == "run2-5":
            state["bn.running_var"][0] = torch.inf
        torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}},
                   tmp_path / path.name)  # fmt: skip
    frame = write_zoo(folder.read(tmp_path, "ResNet8"), tmp_path / "out").frame
    assert frame.set_index("network")["status"].eq("diverged").to_dict() == {
        f"run{i // 2}-{i}": i == 5 for i in range(7)
    }


def bad(networks: Path, into: Path) -> Path:
    for path in networks.iterdir():
        (into / path.name).write_bytes(path.read_bytes())
    return into


def planted(path: Path) -> None:
    torch.save({"w": Trap(path.parent / "sprung")}, path)


SPOILT = {
    "a pickle that runs code": (
        lambda p: (p.parent / "run0-1.pt").write_bytes(pickle.dumps(Trap(p.parent / "sprung"))),
        r"run0-1\.pt: refused: .* could run code",
    ),
    "the same made by torch": (lambda p: planted(p.parent / "run0-1.pt"), r"run0-1\.pt: refused"),
    "a list": (lambda p: torch.save([1], p), r"run0-0\.pt: holds no state dict"),
    "an empty file": (lambda p: p.write_bytes(b""), r"run0-0\.pt: not a PyTorch file"),
    "a lost end": (lambda p: p.write_bytes(p.read_bytes()[:900]), r"run0-0\.pt: "),
    "a text": (lambda p: p.write_text("weights"), r"run0-0\.pt: "),
    "another architecture": (
        lambda p: torch.save(nets.build("LeNetLike", 1, 8, 4).state_dict(), p.parent / "run1-2.pt"),
        r"run1-2\.pt: its parameters are not those of ResNet8 for images of 1x8x8 and 4 classes",
    ),
    "other classes": (
        lambda p: torch.save(nets.build("ResNet8", 1, 8, 5).state_dict(), p.parent / "run1-2.pt"),
        r"run1-2\.pt: its parameters are not those",
    ),
    "two of one name": (
        lambda p: save_file(torch.load(p, weights_only=True), p.with_suffix(".safetensors")),
        "two files hold a network 'run0-0'",
    ),
    "a card that is none": (
        lambda p: Path(f"{p}.json").write_text("[]"),
        r"run0-0\.pt\.json: not the card of a network",
    ),
    "a card of other content": (
        lambda p: Path(f"{p}.json").write_text(
            json.dumps({"type": "netspace-network", "version": 1, "digest": "0"})
        ),
        r"run0-0\.pt: its content does not match the digest",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", SPOILT)
def test_a_bad_file_is_named_and_nothing_is_left_behind(networks, tmp_path, what):
    spoil, message = SPOILT[what]
    (tmp_path / "in").mkdir()
    spoil(bad(networks, tmp_path / "in") / "run0-0.pt")
    with pytest.raises(ExchangeError, match=message):
        write_zoo(folder.read(tmp_path / "in", "ResNet8"), tmp_path / "out")
    assert not list(tmp_path.rglob("sprung"))
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_what_cannot_be_imported_is_one_clear_error(networks, tmp_path, capsys):
    def no(message: str, *more: str, source: Path = networks, out: Path = tmp_path / "o") -> None:
        assert main(["import", "folder", str(source), "--out", str(out), *more]) == 1
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1

    no("nothing says its architecture; name it")
    no("unknown architecture 'VGG'", "--architecture", "VGG")
    no("no such folder", source=tmp_path / "none")
    no("holds no network", source=tmp_path)
    no("takes no checkpoints", "--checkpoints", "all")
    no("its parameters are not those of ResNet8", "--architecture", "ResNet8", "--size", "32")
    no("something must be left to train on", "--architecture", "ResNet8", "--shares", "0.5", "0.5")
    no("is there already", "--architecture", "ResNet8", out=networks)
    (tmp_path / "t.csv").write_text("network\nrun0-0\n")
    table = ("--architecture", "ResNet8", "--table", str(tmp_path / "t.csv"))
    no("t.csv: network 'run0-1' has not a row in the table", *table)
    names = [f"run{i // 2}-{i}" for i in range(7)]
    (tmp_path / "t.csv").write_text("\n".join(["network", *names, "more"]) + "\n")
    no("t.csv: network 'more' has not a file in the folder", *table)
    (tmp_path / "t.csv").write_text("\n".join(["network,split"] + [f"{n},dev" for n in names]))
    no("'dev', expected train or validation or test", *table)
    assert not (tmp_path / "o").exists()
