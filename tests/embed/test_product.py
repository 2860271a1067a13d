"""The embedder as a product: saved, loaded, encoding and decoding, in Python and on the shell."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.func import functional_call

from lib import nets
from lib.cli import main
from lib.embed import Embedder, load_embedder
from lib.embed.arm import EmbedderError
from lib.nets.fuse import bn_pairs, fuse, fuse_state
from lib.zoo.store import Catalogue, CatalogueError
from toy import NAMES

WORKFLOW = Path(__file__).parents[2] / "workflow"

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="session")
def saved(toy, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("embedder") / "embedder.safetensors"
    toy.embedder.save(path)
    return path


@pytest.fixture
def copy(saved, tmp_path) -> Path:
    """An embedder file to damage."""
    path = tmp_path / "copy" / "embedder.safetensors"
    path.parent.mkdir()
    for suffix in ("", ".json"):
        Path(f"{path}{suffix}").write_bytes(Path(f"{saved}{suffix}").read_bytes())
    return path


def edit_card(path: Path, **changes) -> None:
    card = Path(f"{path}.json")
    card.write_text(json.dumps(json.loads(card.read_text()) | changes))


class Trap:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


# Save and load


def test_a_saved_embedder_comes_back_bit_for_bit(toy, saved, tmp_path):
    loaded = load_embedder(saved)
    state = toy.embedder.arm.state_dict()
    assert list(loaded.arm.state_dict()) == list(state)
    assert all(value.equal(state[name]) for name, value in loaded.arm.state_dict().items())
    assert loaded.architectures == NAMES and not loaded.arm.training
    latent = toy.embedder.encode(toy.unfused("ResNet8", 0))
    assert loaded.encode(toy.unfused("ResNet8", 0)).equal(latent)
    theirs, ours = (one.decode(latent).state_dict() for one in (loaded, toy.embedder))
    assert all(value.equal(ours[name]) for name, value in theirs.items())
    loaded.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == saved.read_bytes()
    assert (
        Path(f"{tmp_path}/again.safetensors.json").read_text() == Path(f"{saved}.json").read_text()
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "again.safetensors",
        "again.safetensors.json",
    ]


def test_the_card_says_what_the_embedder_is(toy, saved):
    card = json.loads(Path(f"{saved}.json").read_text())
    assert card["architectures"] == list(NAMES) and card["image"] == [1, 8, 8]
    assert card["parameters"] == {n: toy.networks[n].shape[1] for n in NAMES}
    assert card["dataset"] == "toy" and len(card["digest"]) == 64
    assert "torch" in card["versions"]


def test_use_leaves_the_random_state_alone(toy, saved):
    module = toy.unfused("ResNet8", 0)
    before = torch.get_rng_state()
    loaded = load_embedder(saved)
    loaded.decode(loaded.encode(module))
    assert torch.get_rng_state().equal(before)


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)


DAMAGE = {
    "a flipped byte": (flipped, "does not match the digest"),
    "a lost end": (lambda p: p.write_bytes(p.read_bytes()[:-10]), "not a whole embedder"),
    "no content": (lambda p: p.write_bytes(b""), "not a whole embedder"),
    "a pickle": (lambda p: p.write_bytes(pickle.dumps(Trap(p.parent / "sprung"))), "not a whole"),
    "a pickle of torch": (lambda p: torch.save(Trap(p.parent / "sprung"), p), "not a whole"),
    "a folder": (lambda p: (p.unlink(), p.mkdir()), "not a whole embedder"),
    "no file": (lambda p: p.unlink(), "no embedder at .* is missing"),
    "no card": (lambda p: Path(f"{p}.json").unlink(), r"no embedder at .*\.json is missing"),
    "no JSON": (lambda p: Path(f"{p}.json").write_text("{"), "not a whole embedder"),
    "a list": (lambda p: Path(f"{p}.json").write_text("[]"), "not a whole embedder"),
    "binary": (lambda p: Path(f"{p}.json").write_bytes(b"\xff\xfe"), "not a whole embedder"),
    "a later version": (lambda p: edit_card(p, version=2), "not an embedder of version 1"),
    "another type": (lambda p: edit_card(p, type="zoo"), "not an embedder of version 1"),
    "other classes": (lambda p: edit_card(p, classes=["a", "b"]), "its tensors are not those"),
    "other networks": (lambda p: edit_card(p, architectures=["VGG"]), "unknown architecture 'VGG'"),
    "another arm": (lambda p: edit_card(p, embedder={"arm": "x"}), "unknown embedder arm 'x'"),
    "a wrong setting": (lambda p: edit_card(p, embedder={"size": 3}), "not a whole embedder"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_no_whole_embedder_is_one_clear_error(copy, damage):
    spoil, message = DAMAGE[damage]
    spoil(copy)
    with pytest.raises(EmbedderError, match=message) as caught:
        load_embedder(copy)
    assert str(copy) in str(caught.value) or "arm" in message
    assert not (copy.parent / "sprung").exists()


# Encode


@pytest.mark.parametrize("name", NAMES)
def test_module_state_fused_state_and_id_have_one_latent(toy, saved, name):
    embedder = load_embedder(saved)
    module = toy.unfused(name, 1)
    latent = embedder.encode(module)
    assert latent.shape == (16,) and latent.dtype == torch.float32 and not latent.requires_grad
    fused = fuse_state(module.state_dict(), bn_pairs(module), module)
    catalogue = Catalogue.load(toy.catalogue)
    for other in (
        embedder.encode(module.state_dict()),
        embedder.encode(fused),
        embedder.encode(fuse(module)),
        embedder.encode({key: value.double() for key, value in fused.items()}),
        embedder.encode(f"{name}-0001", catalogue),
        embedder.encode(f"{name}-0001", toy.catalogue),
    ):
        assert torch.allclose(other, latent, atol=1e-5)
    assert embedder.identify(module)[0] == embedder.predict(latent) == name


def test_a_network_of_half_precision_is_encoded_too(toy):
    module = toy.unfused("ResNet8", 1)
    halves = {k: v.half() if v.is_floating_point() else v for k, v in module.state_dict().items()}
    assert torch.allclose(toy.embedder.encode(halves), toy.embedder.encode(module), atol=0.1)


def spoilt(state: dict, name: str, value) -> dict:
    return dict(state) | {name: value}


FOREIGN = {
    "another architecture": lambda state: nets.build("ResNet14", 1, 8, 4).state_dict(),
    "other images": lambda state: nets.build("ResNet8", 3, 32, 4).state_dict(),
    "other classes": lambda state: nets.build("ResNet8", 1, 8, 10).state_dict(),
    "a missing parameter": lambda state: dict(list(state.items())[1:]),
    "one too many": lambda state: spoilt(state, "more", torch.zeros(1)),
    "another shape": lambda state: {k: v[None] for k, v in state.items()},
    "nothing": lambda state: {},
}


@pytest.mark.parametrize("what", FOREIGN)
def test_parameters_of_no_known_architecture_are_one_clear_error(toy, what):
    state = FOREIGN[what](toy.unfused("ResNet8", 0).state_dict())
    with pytest.raises(EmbedderError, match=r"of none of .* \(LeNetLike, VanillaCNN, ResNet8 for "):
        toy.embedder.encode(state)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "net._orig_mod."])
def test_what_wrappers_put_before_names_is_taken_off(toy, prefix):
    module = toy.unfused("ResNet8", 0)
    wrapped = {prefix + name: value for name, value in module.state_dict().items()}
    expected = toy.embedder.encode(module)
    assert torch.equal(toy.embedder.encode(wrapped), expected)
    assert torch.equal(toy.embedder.encode(torch.nn.DataParallel(module)), expected)
    averaged = torch.optim.swa_utils.AveragedModel(module)
    assert torch.equal(toy.embedder.encode(averaged), expected)


def test_what_cannot_be_encoded_is_one_clear_error(toy):
    state = toy.unfused("ResNet8", 0).state_dict()
    name = next(iter(state))
    with pytest.raises(EmbedderError, match="ResNet8 has parameters that are NaN or infinite"):
        toy.embedder.encode(spoilt(state, name, torch.full_like(state[name], torch.nan)))
    with pytest.raises(EmbedderError, match="a state dict of tensors .* got int"):
        toy.embedder.encode(7)
    with pytest.raises(EmbedderError, match="a state dict of tensors"):
        toy.embedder.encode(spoilt(state, name, state[name].numpy()))
    with pytest.raises(EmbedderError, match="'ResNet8-0000' by its id, give the catalogue"):
        toy.embedder.encode("ResNet8-0000")
    with pytest.raises(CatalogueError, match="no network 'ResNet8-0099'"):
        toy.embedder.encode("ResNet8-0099", toy.catalogue)


# Decode


@pytest.mark.parametrize("name", NAMES)
def test_a_decoded_network_is_a_ready_module(toy, name):
    arm, latent = toy.embedder.arm, toy.embedder.encode(toy.unfused(name, 4))
    module = toy.embedder.decode(latent)
    assert isinstance(module, nn.Module) and not module.training and module.architecture == name
    flat = arm.decode(name, latent[None])[0]
    wanted = functional_call(
        arm.families[name].module, arm.families[name].layout.unflatten(flat), toy.test.x
    )
    with torch.no_grad():
        assert torch.allclose(module(toy.test.x), wanted, atol=1e-5)
        assert torch.allclose(toy.embedder.decode(latent.tolist())(toy.test.x), wanted, atol=1e-5)
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_a_latent_can_be_decoded_as_another_architecture(toy):
    latent = toy.embedder.encode(toy.unfused("LeNetLike", 4))
    assert toy.embedder.predict(latent) == "LeNetLike"
    module = toy.embedder.decode(latent, "ResNet8")
    assert module.architecture == "ResNet8"
    assert toy.embedder.identify(module)[0] == "ResNet8"


def test_decoded_networks_share_nothing(toy):
    latent = toy.embedder.encode(toy.unfused("LeNetLike", 4))
    module, other = toy.embedder.decode(latent), toy.embedder.decode(latent)
    before = [parameter.clone() for parameter in other.parameters()]
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    assert all(p.equal(b) for p, b in zip(other.parameters(), before, strict=True))


@pytest.mark.parametrize(
    ("latent", "message"),
    [
        (torch.zeros(15), r"16 finite numbers, got shape \(15,\)"),
        (torch.zeros(1, 16), r"got shape \(1, 16\)"),
        (torch.tensor(0.0), r"got shape \(\)"),
        (torch.full((16,), torch.nan), "got 16 NaN or infinite ones"),
        (torch.tensor([torch.inf] + [0.0] * 15), "got 1 NaN or infinite ones"),
    ],
)
def test_a_latent_of_another_space_is_one_clear_error(toy, latent, message):
    with pytest.raises(EmbedderError, match=message):
        toy.embedder.decode(latent)


def test_an_architecture_that_is_not_embedded_is_one_clear_error(toy):
    with pytest.raises(EmbedderError, match="cannot decode 'ResNet14', only LeNetLike, VanillaCNN"):
        toy.embedder.decode(torch.zeros(16), "ResNet14")


# From anywhere

SCRIPT = """
import sys, torch
from lib.embed import load_embedder

embedder = load_embedder(sys.argv[1])
latent = embedder.encode("ResNet8-0000", sys.argv[2])
network = embedder.decode(latent)
print(network.architecture, tuple(network(torch.zeros(2, 1, 8, 8)).shape), network.training)
"""


def test_it_works_outside_the_repository(toy, saved, tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, saved, toy.catalogue],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(WORKFLOW)},
        capture_output=True,
        text=True,
    )
    predicted = toy.embedder.predict(toy.embedder.encode("ResNet8-0000", toy.catalogue))
    assert ended.stdout == f"{predicted} (2, 4) False\n", ended.stderr
    assert not list(tmp_path.iterdir())


# On the shell


def shell(*arguments, code: int = 0) -> None:
    assert main([str(argument) for argument in arguments]) == code


@pytest.fixture
def network(toy, tmp_path) -> Path:
    """A network with batch norm in a file of its own."""
    path = tmp_path / "mine.safetensors"
    save_file(toy.unfused("ResNet8", 4).state_dict(), path)
    return path


def test_files_are_encoded_and_decoded(toy, saved, network, tmp_path, capsys):
    save_file(fuse(toy.unfused("LeNetLike", 5)).state_dict(), tmp_path / "other one.safetensors")
    out, folder = tmp_path / "new" / "latents.safetensors", tmp_path / "networks"
    shell("encode", saved, network, tmp_path / "other one.safetensors", "--out", out)
    assert capsys.readouterr().out == "mine: ResNet8\nother one: LeNetLike\n"
    latents = load_file(out)
    assert set(latents) == {"mine", "other one"}
    assert latents["mine"].equal(toy.embedder.encode(toy.unfused("ResNet8", 4)))
    digest = json.loads(Path(f"{saved}.json").read_text())["digest"]
    card = json.loads(Path(f"{out}.json").read_text())
    assert card["embedder"] == digest and card["latent"] == 16
    assert card["networks"][0] == {"name": "mine", "architecture": "ResNet8"}

    shell("decode", saved, out, "--out", folder)
    assert capsys.readouterr().out.splitlines() == [
        f"{folder}/mine.safetensors: ResNet8",
        f"{folder}/other one.safetensors: LeNetLike",
    ]
    wanted = toy.embedder.decode(latents["mine"]).state_dict()
    found = load_file(folder / "mine.safetensors")
    assert set(found) == set(wanted) and all(v.equal(wanted[k]) for k, v in found.items())
    card = json.loads((folder / "mine.safetensors.json").read_text())
    family = toy.embedder.arm.families["ResNet8"]
    assert card["architecture"] == card["predicted_architecture"] == "ResNet8"
    assert card["parameters"] == family.layout.size and card["layout"] == family.layout.to_json()
    assert card["image"] == [1, 8, 8] and card["classes"] == list("abcd")
    assert (card["dataset"], card["latent"], card["embedder"]) == ("toy", "mine", digest)
    shell("encode", saved, folder / "mine.safetensors", "--out", tmp_path / "back.safetensors")
    names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert not [name for name in names if name.startswith(".")]


def test_ids_of_a_catalogue_are_encoded_and_the_same_bytes_come_out_twice(toy, saved, tmp_path):
    for out in ("a", "b"):
        shell("encode", saved, "LeNetLike-0001", "ResNet8-0002", "--catalogue", toy.catalogue,
              "--out", tmp_path / out / "latents.safetensors")  # fmt: skip
        shell("decode", saved, tmp_path / out / "latents.safetensors", "--out", tmp_path / out)
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / out).iterdir()} for out in ("a", "b")
    )
    assert len(first) == 6 and first == second
    latents = load_file(tmp_path / "a" / "latents.safetensors")
    assert latents["ResNet8-0002"].equal(toy.embedder.encode("ResNet8-0002", toy.catalogue))


def test_tables_of_latents_are_decoded_row_by_row_and_as_asked(toy, saved, tmp_path):
    latents = toy.embedder.arm.encode("LeNetLike", toy.networks["LeNetLike"])
    save_file({"seed_0": latents.detach()}, tmp_path / "latents.safetensors")
    shell("decode", saved, tmp_path / "latents.safetensors", "--out", tmp_path / "out",
          "--architecture", "VanillaCNN")  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "out").glob("*.safetensors")) == [
        f"seed_0-000{i}.safetensors" for i in range(3)
    ]
    card = json.loads((tmp_path / "out" / "seed_0-0001.safetensors.json").read_text())
    assert card["architecture"] == "VanillaCNN" and card["predicted_architecture"] == "LeNetLike"
    state = load_file(tmp_path / "out" / "seed_0-0001.safetensors")
    assert toy.embedder.identify(state)[0] == "VanillaCNN"


def refused(capsys, out: Path, *arguments, message: str) -> None:
    """The command fails with one line on stderr and writes nothing to `out`."""
    shell(*arguments, "--out", out, code=1)
    said = capsys.readouterr()
    assert message in said.err and said.err.count("\n") == 1 and said.out == ""
    assert not out.exists()


def test_networks_that_cannot_be_encoded_are_refused(toy, saved, network, tmp_path, capsys):
    out = tmp_path / "latents.safetensors"

    def no(*networks, message):
        refused(capsys, out, "encode", saved, *networks, message=message)

    no(network, tmp_path / "none.safetensors", message="none.safetensors: no such file")
    (tmp_path / "p.pt").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    no(tmp_path / "p.pt", message="p.pt: not a safetensors file")
    torch.save(Trap(tmp_path / "sprung"), tmp_path / "t.pt")
    no(tmp_path / "t.pt", message="t.pt: not a safetensors file")
    assert not (tmp_path / "sprung").exists()
    no(tmp_path, message="not a safetensors file")
    no(saved, message="embedder.safetensors: these parameters are of none of the architectures")
    no(network, network, message="two networks are called 'mine'")
    no("ResNet8-0077", "--catalogue", toy.catalogue, message="no network 'ResNet8-0077'")
    no("ResNet8-0001", "--catalogue", tmp_path / "no.csv", message="no.csv: cannot be read")
    refused(capsys, out, "encode", network, network, message="no embedder at")


def test_latents_that_cannot_be_decoded_are_refused(toy, saved, copy, tmp_path, capsys):
    path, out, good = tmp_path / "latents.safetensors", tmp_path / "out", torch.zeros(16)

    def no(latents, message, *more, metadata=None):
        save_file(latents, path, metadata)
        refused(capsys, out, "decode", saved, path, *more, message=message)

    no({"a": good, "b": torch.zeros(15)}, "b: a latent of this embedder is 16 finite numbers")
    no({"a": torch.full((16,), torch.nan)}, "a: a latent of this embedder is 16 finite numbers")
    no({}, "holds no latent")
    for name in ("../a", "/a", ".a", "", "a/b", "a\n", "x" * 200):
        no({name: good}, "cannot name a network")
    no({"a-0000": good, "a": torch.ones(1, 16)}, "two latents are called 'a-0000'")
    no({"a": good}, "cannot decode 'VGG', only LeNetLike", "--architecture", "VGG")
    no({"a": good}, "its metadata are damaged", metadata={"netspace": "[]"})
    origin = {"type": "netspace-latents", "version": 1, "embedder": "0" * 64}
    no({"a": good}, "of another embedder", metadata={"netspace": json.dumps(origin)})
    origin = json.dumps(origin | {"version": 2})
    no({"a": good}, "not latents of version 1", metadata={"netspace": origin})
    refused(capsys, out, "decode", saved, tmp_path / "no", message="no: no such file")
    path.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    refused(capsys, out, "decode", saved, path, message="not a safetensors file")
    assert not (tmp_path / "sprung").exists()
    refused(capsys, out, "decode", saved, saved, message="a latent of this embedder is 16")
    flipped(copy)
    refused(capsys, out, "decode", copy, path, message="does not match the digest")


def test_a_place_that_cannot_be_written_is_one_clear_error(saved, network, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    shell("encode", saved, network, "--out", tmp_path / "file" / "l.safetensors", code=1)
    assert "l.safetensors cannot be written: " in capsys.readouterr().err


def test_an_embedder_is_wrapped_without_a_file(toy):
    embedder = Embedder(toy.embedder.arm, toy.embedder.card)
    assert embedder.device == torch.device("cpu") and embedder.architectures == NAMES
