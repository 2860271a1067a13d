"""Files made to do harm: pipes, bombs, lying headers, pickles, templates.

See docs/guides/security.md.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from image_sources import cifar_files, png, tar, written, zipped
from lib import nets
from lib.config import ConfigError, Embedding
from lib.core import untrusted
from lib.data.archive import DataError, entries
from lib.data.cifar import read_cifar10
from lib.data.folder import Picture, decode
from lib.data.meshes import load_meshes, parse
from lib.embed.arm import EmbedderError
from lib.embed.product import load_embedder, make_arm
from lib.report.blocks import Scene, Shown
from lib.study import load_study
from lib.zoo.exchange import folder as networks
from lib.zoo.exchange import formats
from lib.zoo.exchange.files import digest, read_tensors, write_tensors
from lib.zoo.exchange.opening import ExchangeError, open_zoo
from lib.zoo.store import ShardError, read_header, registered, write_shard
from published_zoos import make_small_cnn_zoo
from shards import make

HUGE = 10**9


def read_all(path):
    return [entry.read() for entry in entries(path) if not entry.is_folder]


# Pipes and devices: opening one would wait for ever


@pytest.mark.parametrize(
    "read",
    [read_all, load_study, read_tensors, open_zoo, load_meshes, read_cifar10],
    ids=lambda read: read.__name__,
)
def test_a_pipe_is_no_file(tmp_path, read):
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(
        (DataError, ConfigError, ExchangeError), match="not a regular file|neither a file"
    ):
        read(tmp_path / "pipe.safetensors")


def test_a_pipe_in_a_folder_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.off")
    with pytest.raises(DataError, match=r"a\.off: a pipe or a device"):
        load_meshes(tmp_path)
    os.mkfifo(tmp_path / "a.pt")
    with pytest.raises(ExchangeError, match=r"a\.pt: not a PyTorch file: .*not a regular file"):
        networks.read(tmp_path, "LeNetLike")


def test_materials_of_a_mesh_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "wait")
    faces = "f 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"
    text = f"mtllib {tmp_path}/wait\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\n{faces}"
    assert len(parse("a.obj", text.encode()).faces) == 4


# Archives


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_only_files_and_folders_come_out_of_a_tar(tmp_path, kind):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("cat/a.png")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(DataError, match="is a link or a device"):
        read_all(tmp_path / "a.tar")


def test_links_in_a_zip_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("cat/a.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="is a link or a device"):
        read_all(tmp_path / "a.zip")


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", "w:bz2", "zip"])
def test_an_archive_unpacks_to_so_much_and_no_more(tmp_path, monkeypatch, mode):
    files = {f"cat/{k}.png": bytes(10**6) for k in range(4)}
    path = tmp_path / "bomb"
    zipped(path, files) if mode == "zip" else tar(path, files, mode)
    assert len(read_all(path)) == 4
    monkeypatch.setattr(untrusted, "SLACK", 10**6)
    with pytest.raises(DataError, match=r"unpacks to .*than \d+ (bytes|are not read)"):
        read_all(path)


def test_a_header_of_a_tar_is_not_believed_to_go_on_for_ever(tmp_path):
    bomb = tarfile.TarInfo("x")
    bomb.type, bomb.size = tarfile.XHDTYPE, 1 << 30
    (tmp_path / "a.tar").write_bytes(bomb.tobuf() + bytes(10240))
    with pytest.raises(DataError, match="a further header of 1073741824 bytes"):
        read_all(tmp_path / "a.tar")


def test_a_packed_table_is_read_no_further_than_that(tmp_path, monkeypatch):
    make_small_cnn_zoo(tmp_path)
    with gzip.open(tmp_path / "metrics.csv.gz", "ab") as table:
        table.write(b"\n" * 10**6)
    monkeypatch.setattr(untrusted, "SLACK", 10**4)
    with pytest.raises(ExchangeError, match="unpacks to more than"):
        formats.read("small-cnn-zoo", tmp_path)


def test_a_picture_of_too_many_pixels_is_refused(tmp_path):
    header = bytearray(png(1))
    header[16:24] = (60_000).to_bytes(4, "big") * 2
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, "big")
    with pytest.raises(DataError, match="not an image that can be read: .*decompression bomb"):
        decode(Picture("a.png", bytes(header)), 1, 8, tmp_path)


# Pickles


def test_a_pickle_cannot_ask_for_room_it_does_not_need(tmp_path):
    files = cifar_files()
    files["data_batch_2"] = b"\x80\x02}r\xff\xff\xff\xff."  # remembered as thing number 2^32 - 1
    written(tmp_path, files)
    with pytest.raises(DataError, match="data_batch_2 .*it remembers a thing number 4294967295"):
        read_cifar10(tmp_path)


def test_a_label_that_unfolds_for_ever_is_shown_short(tmp_path):
    files = cifar_files(2)
    nested = b"]q\x00"  # an empty list, then sixty times a list of twice the one before
    for k in range(60):
        nested += b"0](" + (b"h" + bytes([k])) * 2 + b"eq" + bytes([k + 1])
    data = files["data_batch_1"]
    at = data.index(b"T\x06\x00\x00\x00labels") + 11
    files["data_batch_1"] = data[:at] + b"(" + nested + b"J\x01\x00\x00\x00l" + data[at + 12 :]
    written(tmp_path, files)
    with pytest.raises(DataError, match="data_batch_1.*label") as caught:
        read_cifar10(tmp_path)
    assert len(str(caught.value)) < 1000


class Harmful:
    """Unpickling it makes a folder."""

    def __reduce__(self):
        return os.mkdir, ("harm",)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.zeros(1).expand(HUGE), "claims more bytes than the file has"),
        (torch.zeros(3).to_sparse(), "is no plain tensor"),
        (torch.zeros(3, device="meta"), "is no plain tensor"),
        (torch.zeros(3, dtype=torch.complex64), "is no plain tensor"),
        (Harmful(), "refused"),
    ],
)
def test_networks_of_others_are_plain_numbers(tmp_path, monkeypatch, value, message):
    monkeypatch.chdir(tmp_path)
    torch.save({"fc.weight": value}, tmp_path / "a.pt")
    with pytest.raises(ExchangeError, match=message):
        networks.read(tmp_path, "LeNetLike")
    assert not (tmp_path / "harm").exists()


def test_a_network_file_does_not_unpack_to_more_than_it_is(tmp_path):
    whole = io.BytesIO()
    torch.save({"fc.weight": torch.zeros(10**6)}, whole)
    with (
        zipfile.ZipFile(whole) as plain,
        zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    with pytest.raises(ExchangeError, match="claim more bytes than the file has"):
        networks.read(tmp_path, "LeNetLike")


# Cards and arguments that ask for more memory than there is


def test_a_card_cannot_ask_for_a_huge_embedder(toy, tmp_path):
    path = tmp_path / "embedder.safetensors"
    toy.embedder.save(path)
    card = json.loads((tmp_path / "embedder.safetensors.json").read_text())
    for change in (
        {"embedder": card["embedder"] | {"rank": HUGE}},
        {"classes": ["x"] * 10**5},
        {"image": [HUGE, 8, 8]},
    ):
        (tmp_path / "embedder.safetensors.json").write_text(json.dumps(card | change))
        with pytest.raises(EmbedderError, match="not those that its card|cannot be embedded"):
            load_embedder(path)


@pytest.mark.parametrize(
    "arm", ["probing", "paper", "positional", "transformer", "readout", "field_probing"]
)
def test_every_arm_is_compared_with_its_card_before_it_takes_memory(arm):
    field = {"widths": [8, 8], "omega": 30.0} if arm == "field_probing" else None
    names = ["SIREN"] if field else ["ResNet8"] if arm == "readout" else ["LeNetLike", "ResNet8"]
    cfg = Embedding(arm=arm, latent=64, rank=4, probes=8)
    parts = (cfg, names, (3,) if field else (1, 8, 8), 1 if field else 4, field)
    with torch.device("meta"):
        on_paper = make_arm(*parts).state_dict()
    real = make_arm(*parts).state_dict()
    assert {k: v.shape for k, v in on_paper.items()} == {k: v.shape for k, v in real.items()}


def test_a_shard_cannot_ask_for_a_huge_network(tmp_path):
    shard = make(2, architecture="LeNetLike", batch_norm=False)
    shard.arguments = {"channels": 1, "size": 8, "classes": 10**13}
    write_shard(tmp_path / "a.h5", shard)
    with pytest.raises(ShardError, match="is not that of LeNetLike"):
        registered.check_layout(read_header(tmp_path / "a.h5"))


def test_a_card_cannot_ask_for_a_huge_network(tmp_path):
    save_file(nets.build("LeNetLike", 1, 8, 4).state_dict(), tmp_path / "a.safetensors")
    card = {"type": "netspace-network", "version": 1, "architecture": "LeNetLike"}
    card |= {"image": [1, 8, 8], "classes": 10**13}
    (tmp_path / "a.safetensors.json").write_text(json.dumps(card))
    with pytest.raises(ExchangeError, match="would have .* parameters"):
        networks.read(tmp_path)


def test_a_lying_header_of_safetensors_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    for header in (
        {"x": {"dtype": "F32", "shape": [HUGE], "data_offsets": [0, 4 * HUGE]}},
        {"x": {"dtype": "F32", "shape": [HUGE], "data_offsets": [0, 4]}},
    ):
        text = json.dumps(header).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(4))
        with pytest.raises(ExchangeError, match="not a safetensors file"):
            read_tensors(path)
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")
    with pytest.raises(ExchangeError, match="not a safetensors file"):
        read_tensors(path)


def test_half_precision_has_a_digest(tmp_path):
    state = nets.build("LeNetLike", 1, 8, 4).bfloat16().state_dict()
    write_tensors(tmp_path / "a.safetensors", state, {"digest": digest(state)})
    assert digest(load_file(tmp_path / "a.safetensors")) == digest(state)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.ply", "ply\nformat ascii 1.0\nelement vertex 1000000000\nend_header\n"),
        ("a.ply", "ply\nformat ascii 1.0\nelement face 99999999999999\nend_header\n"),
        ("a.off", "OFF\n# a comment\n1000000000 1 0\n"),
        ("a.off", "OFF 3 1000000000 0\n"),
    ],
)
def test_a_mesh_cannot_announce_more_than_its_file_can_hold(name, text):
    with pytest.raises(DataError, match="announces 9?[19]0*9* ?.*vertices or faces, but has"):
        parse(name, text.encode())


def test_a_matrix_that_is_not_there_is_refused(tmp_path):
    make_small_cnn_zoo(tmp_path)
    matrix = (tmp_path / "weights.npy").read_bytes()
    lying = matrix.replace(b"4970), }", b"4970000), }"[: len(b"4970), }") + 3], 1)
    (tmp_path / "weights.npy").write_bytes(lying[: len(matrix)])
    with pytest.raises(ExchangeError, match="not a NumPy matrix|describes"):
        formats.read("small-cnn-zoo", tmp_path)
    np.save(tmp_path / "weights.npy", np.array([Harmful()], object), allow_pickle=True)
    with pytest.raises(ExchangeError, match="not a NumPy matrix of numbers"):
        formats.read("small-cnn-zoo", tmp_path)


# Configs


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name: !!python/object/apply:os.mkdir ["harm"]', "not plain YAML"),
        ("name: !!python/name:os.system", "not plain YAML"),
        ("name: !include other.yaml", "not plain YAML"),
        ('__use_yte__: true\nname: ?__import__("os").mkdir("harm")', "__use_yte__: no such key"),
    ],
)
def test_a_config_is_plain_data(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_study(tmp_path / "study.yaml")
    assert not (tmp_path / "harm").exists()


def test_aliases_cannot_stand_for_millions_of_values(tmp_path):
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 9)]
    text = "ablations:\n  lol:\n    options:\n" + "".join(f"      {line}\n" for line in lines)
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(ConfigError, match="holds more than 100000 values"):
        load_study(tmp_path / "study.yaml")


# Reports


def test_a_name_cannot_leave_the_script_it_is_in():
    name = "<!--<script>"
    scene = Scene("s", "x", [name], [Shown(name, [(name, name)], [name])], "x", "x")
    assert "<" not in scene.json and json.loads(scene.json) == [[[name, name]]]
