"""State dicts as training code leaves them are read; files that are none are said what they are."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lib import nets
from lib.nets.fuse import fuse
from lib.zoo.exchange import folder
from lib.zoo.exchange.export import export
from lib.zoo.exchange.files import SUFFIXES, checked_name, read_state, suffix_of
from lib.zoo.exchange.importing import write_zoo
from lib.zoo.exchange.network import Form, Image
from lib.zoo.exchange.opening import ExchangeError, open_zoo
from lib.zoo.exchange.wrapped import inside, unwrapped

pytestmark = pytest.mark.usefixtures("one_thread")
DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(200)


def state(seed=0, name="ResNet8") -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return nets.build(name, 1, 8, 10).state_dict()


def before(prefix: str, given=None) -> dict[str, torch.Tensor]:
    return {prefix + name: value for name, value in (given or state()).items()}


def inner(given, part: str) -> dict[str, torch.Tensor]:
    """Names as where one layer alone was wrapped."""
    return {name.replace("blocks.0.", f"blocks.0.{part}."): value for name, value in given.items()}


FORM = Form("ResNet8", Image(1, 8, 10))
WRAPPED = {
    "as it is": lambda: state(),
    "DataParallel": lambda: before("module."),
    "compiled": lambda: before("_orig_mod."),
    "both": lambda: before("module._orig_mod."),
    "the other way": lambda: before("_orig_mod.module."),
    "three": lambda: before("model.net._orig_mod."),
    "of its own": lambda: before("backbone."),
    "one layer": lambda: inner(state(), "_orig_mod"),
    "one layer and all": lambda: before("model.", inner(state(), "module")),
    "averaged": lambda: {"n_averaged": torch.tensor(5)} | before("module."),
    "Lightning": lambda: before("net.") | {"loss.weight": torch.ones(10)},
    "with an average": lambda: before("model.") | before("model_ema.", state(1)),
    "without counters": lambda: {k: v for k, v in state().items() if "num_batches" not in k},
}
INSIDE = {
    "state_dict": lambda s: {"state_dict": s, "epoch": 3, "optimizer": {"state": {}}},
    "net": lambda s: {"net": s, "acc": 93.2},
    "weights": lambda s: {"weights": s},
    "params": lambda s: {"params": s, "params_ema": s},
    "averages": lambda s: {"state_dict_ema": s, "state_dict": s},
    "within": lambda s: {"model": {"state_dict": s}, "args": {"lr": 0.1}},
    "another key": lambda s: {"student": s, "step": torch.tensor(3)},
}


@pytest.mark.parametrize("how", WRAPPED)
def test_wrappers_are_taken_off_names(how):
    found, expected = FORM.own(WRAPPED[how]()), state()
    assert all(torch.equal(value, expected[name]) for name, value in found.items())
    assert set(expected) - set(found) <= {n for n in expected if n.endswith("batches_tracked")}


@pytest.mark.parametrize("how", INSIDE)
def test_a_state_is_found_inside_what_was_saved(how):
    assert inside(INSIDE[how](state())).keys() == state().keys()


def test_fused_networks_are_unwrapped_too_and_names_of_ones_own_are_left():
    fused = fuse(nets.build("ResNet8", 1, 8, 10)).state_dict()
    assert FORM.own(before("model.", fused)).keys() == fused.keys()
    own = {"net.0.weight": 1, "net.0.bias": 2}
    assert unwrapped(own, set(own)) == own
    assert unwrapped(own, {"0.weight", "0.bias"}) == {"0.weight": 1, "0.bias": 2}
    assert unwrapped(own, {"0.weight"}) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: before("a.", s) | before("b.", s),
            "several such networks, whose names begin with",
        ),
        (lambda s: {k: v for k, v in s.items() if "running" not in k}, r"save module.state_dict"),
        (lambda s: s | {"head.weight": torch.ones(10, 3)}, r"head.weight has shape \[10, 3\], exp"),
        (lambda s: {k: v for k, v in s.items() if k != "head.bias"}, "'head.bias' is missing"),
        (lambda s: s | {"more": torch.ones(3)}, "'more' is too much"),
        (
            lambda s: {k.replace("head", "fc"): v for k, v in s.items()},
            "called 'fc.weight' and 1 more, expected 'head.weight' and 1 more",
        ),
    ],
)
def test_in_what_a_state_differs_is_said(change, message):
    with pytest.raises(ValueError, match=message):
        FORM.own(change(state()))


def test_several_states_and_none_are_one_clear_error(tmp_path):
    for found, message in (
        ({"a": state(), "b": state()}, "several state dicts .'a', 'b'.; keep one"),
        (torch.ones(5), r"one tensor of shape \[5\] without names"),
        ([torch.ones(5)], "a list of 1 things"),
        ({"state": {0: {"step": 1}}, "param_groups": []}, "the state of an optimizer"),
        ({"epoch": 3}, "a dict of 'epoch'"),
    ):
        torch.save(found, tmp_path / "x.pt")
        with pytest.raises(ExchangeError, match=f"x.pt: .*{message}"):
            read_state(tmp_path / "x.pt")


def torchscript(path: Path) -> None:
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), path)


NONE = {
    "git-lfs": (
        lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0"),
        "a git-lfs pointer.*git lfs pull",
    ),
    "TorchScript": (torchscript, "TorchScript archive.*state_dict"),
    "a whole module": (lambda p: torch.save(nn.Linear(2, 2), p), "whole module: save its state"),
    "arrays": (lambda p: torch.save({"w": np.ones(3)}, p), "numpy arrays.*from_numpy"),
    "a web page": (lambda p: p.write_text("<!DOCTYPE html><html>404"), "web page"),
    "HDF5": (lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99)), "HDF5"),
    "an array": (lambda p: np.save(p.open("wb"), np.ones(3)), "numpy array"),
    "arrays in a zip": (lambda p: np.savez(p.open("wb"), a=np.ones(3)), "numpy arrays"),
    "gzip": (lambda p: p.write_bytes(b"\x1f\x8b" + bytes(9)), "gzip: unpack"),
    "of macOS": (lambda p: p.write_bytes(DOUBLE), "AppleDouble"),
    "nothing": (lambda p: p.write_bytes(b""), "not a PyTorch file: it is empty"),
    "a folder": (lambda p: p.mkdir(), "a folder, expected a file"),
}  # fmt: skip


@pytest.mark.parametrize("what", NONE)
def test_what_is_no_network_is_called_what_it_is_and_nobody_is_told_to_run_its_code(tmp_path, what):
    make, message = NONE[what]
    make(tmp_path / "x.ckpt")
    with pytest.raises(ExchangeError, match=message) as error:
        read_state(tmp_path / "x.ckpt")
    assert str(error.value).startswith(f"{tmp_path / 'x.ckpt'}: ")
    assert "weights_only" not in str(error.value) and "safe_globals" not in str(error.value)


def test_all_usual_suffixes_are_read_in_any_case(tmp_path):
    for number, suffix in enumerate([*SUFFIXES[1:], ".PT", ".Pth.Tar"]):
        torch.save({"state_dict": state(number, "LeNetLike")}, tmp_path / f"n{number}{suffix}")
    found = folder.read(tmp_path, "LeNetLike").table["network"]
    assert sorted(found) == sorted(f"n{number}" for number in range(len(SUFFIXES) + 1))
    assert suffix_of(Path("a.b.pth.tar")) == ".pth.tar" and suffix_of(Path("a.tar")) == ""


def test_hidden_files_and_folders_called_as_networks_are_passed_by(tmp_path):
    torch.save(state(0, "LeNetLike"), tmp_path / "a.pt")
    (tmp_path / "._a.pt").write_bytes(DOUBLE)
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "a.pt").write_bytes(DOUBLE)
    (tmp_path / ".ipynb_checkpoints").mkdir()
    torch.save(state(0, "LeNetLike"), tmp_path / ".ipynb_checkpoints" / "a-checkpoint.pt")
    (tmp_path / "run.ckpt").mkdir()
    source = folder.read(tmp_path, "LeNetLike")
    assert source.table["network"].tolist() == ["a"]
    assert list(source.skipped) == ["folder called as a network is (run.ckpt)"]


def test_a_folder_of_shards_with_hidden_files_opens(toy, tmp_path):
    shard = toy.catalogue.parent / "LeNetLike.h5"
    (tmp_path / "a.h5").write_bytes(shard.read_bytes())
    (tmp_path / "._a.h5").write_bytes(DOUBLE)
    (tmp_path / ".a.host-12-x.h5").write_bytes(shard.read_bytes())  # what a killed job leaves
    (tmp_path / ".b.host-13-y.h5").write_bytes(shard.read_bytes()[:3000])
    assert len(open_zoo(tmp_path).frame) == 7


@pytest.mark.parametrize(
    "name", ["epoch=9-step=1000", "epoch=1-val_loss=0.25", "seed 1 (copy)", "lr=0.1,wd=5e-4",
             "net@0.5", "größe", "_a", "a[1]"]
)  # fmt: skip
def test_what_is_imported_can_be_exported_under_its_name(tmp_path, name):
    (tmp_path / "in").mkdir()
    for i, one in enumerate((name, "b")):
        torch.save({"state_dict": state(i, "LeNetLike")}, tmp_path / "in" / f"{one}.ckpt")
    zoo = write_zoo(folder.read(tmp_path / "in", "LeNetLike"), tmp_path / "zoo")
    written = export(zoo, tmp_path / "out")
    assert {path.name for path in written} == {f"{name}.safetensors", "b.safetensors"}


@pytest.mark.parametrize("name", ["-a", "a;b", "a'b", "a*", "a\nb", "x" * 200, " a"])
def test_a_name_that_export_would_refuse_is_refused_at_import_and_the_file_named(tmp_path, name):
    path = tmp_path / f"{name}.pt"
    torch.save(state(0, "LeNetLike"), path)
    with pytest.raises(ExchangeError, match="cannot name a network") as error:
        folder.read(tmp_path, "LeNetLike")
    assert str(error.value).startswith(f"{path}: ")
    with pytest.raises(ExchangeError):
        checked_name(name)


def test_one_name_in_two_spellings_is_one(tmp_path):
    torch.save(state(0, "LeNetLike"), tmp_path / "gro\u0308\u00dfe.pt")
    (tmp_path / "t.csv").write_text("network,seed\ngr\u00f6\u00dfe,3\n")
    source = folder.read(tmp_path, "LeNetLike", table=tmp_path / "t.csv")
    assert source.table["network"].tolist() == ["gr\u00f6\u00dfe"]


def test_equal_networks_under_two_names_are_told(tmp_path, caplog):
    (tmp_path / "in").mkdir()
    for name, seed in (("a", 0), ("b", 1), ("copy of a", 0)):
        torch.save(state(seed, "LeNetLike"), tmp_path / "in" / f"{name}.pt")
    with caplog.at_level(logging.WARNING, "lib"):
        write_zoo(folder.read(tmp_path / "in", "LeNetLike"), tmp_path / "zoo", shard_bytes=1)
    assert "1 of the networks are equal to others" in caplog.text
    assert "copy of a is a" in caplog.text
