"""Damaged and forged input for every reader: `python tests/fuzz.py GROUP FOLDER [TIMES]`.

A process of its own, with limits: where a library below crashes, hangs or fills the memory, it
dies, and the test that started it says on which input. Prints JSON: how many inputs each reader was
given, and how many of them were refused.
"""

from __future__ import annotations

import io
import json
import resource
import signal
import sys
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from damage import checked_blocks, damaged, edit, edits, forger, members, strange_edits
from lib.core.errors import InputError
from toy_shapes import solids

MEMORY = 6 << 30  # bytes of private memory
SECONDS = 120  # for one input, on a busy machine; a pipe would wait for ever


def examples(count: int) -> settings:
    """So many examples, the same in every run; more where the command line says how many times."""
    count *= int(sys.argv[3]) if len(sys.argv) > 3 else 1
    return settings(
        derandomize=True,
        database=None,
        deadline=None,
        max_examples=count,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


class Fuzz:
    """Runs readers on damaged input and counts how that ends."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.inputs, self.refused = folder, Counter(), Counter()
        self.last = folder / "last"

    def one(self, name: str, read: Callable[[], None]) -> None:
        """A reader has to raise its own error, or to return with what it read checked."""
        self.inputs[name] += 1
        signal.alarm(SECONDS)
        try:
            read()
        except InputError as error:
            assert str(error)
            self.refused[name] += 1
        finally:
            signal.alarm(0)

    def bytes(
        self,
        name: str,
        count: int,
        files: dict[str, bytes],
        read: Callable[[Path], None],
        head: int | None = None,
        repair: Callable[[bytes], bytes] = bytes,
    ) -> None:
        """Damage one of some files that belong together, `count` times."""
        folder = self.folder / name.replace(" ", "_")
        folder.mkdir()
        for own, data in files.items():
            (folder / own).parent.mkdir(parents=True, exist_ok=True)
            (folder / own).write_bytes(data)
        names = sorted(files)

        @examples(count)
        @given(st.integers(0, len(names) - 1), edits)
        def run(which: int, changes: list) -> None:
            path = folder / names[which]
            path.write_bytes(repair(damaged(files[names[which]], changes, head)))
            self.last.write_text(f"{name}: {names[which]} {changes}")
            self.one(name, lambda: read(folder))
            path.write_bytes(files[names[which]])

        run()

    def values(self, name: str, strategy: st.SearchStrategy, count: int, read: Callable) -> None:
        """Read values of a strategy."""

        @examples(count)
        @given(strategy)
        def run(value) -> None:
            self.last.write_text(f"{name}: {value!r}"[:2000])
            self.one(name, lambda: read(value))

        run()


def hdf5(fuzz: Fuzz, name: str, data: bytes, read: Callable[[Path], None], count: int) -> None:
    """A file of HDF5, damaged, and damaged with checksums that fit."""
    fuzz.bytes(name, count, {"file.h5": data}, lambda folder: read(folder / "file.h5"))
    forge = forger(data)
    fuzz.bytes(
        f"{name}, forged",
        count,
        {"file.h5": data},
        lambda folder: read(folder / "file.h5"),
        head=max(end for _, end in checked_blocks(data)) + 4,
        repair=forge,
    )


def structures(fuzz: Fuzz, name: str, data: bytes, read: Callable[[Path], None], count: int):
    """A file of HDF5 with one thing in it replaced."""
    path = fuzz.folder / f"{name}.h5"
    path.write_bytes(data)

    def one(change: tuple[str, str]) -> None:
        path.write_bytes(data)
        try:
            edit(path, change)
        except (ValueError, TypeError, OSError, RuntimeError, KeyError):
            pass  # HDF5 cannot be made to write that; what it wrote is read
        read(path)

    fuzz.values(f"{name}, edited", strange_edits(members(path)), count, one)


# Readers: what is returned equals what was stored, or it is an error.


def store(fuzz: Fuzz) -> None:
    """Shards, prepared images, samples of shapes, and the catalogue."""
    import torch

    from lib.config import Images
    from lib.core.streams import Stream
    from lib.data.images import load_split, prepare
    from lib.data.sdf import read_samples, write_samples
    from lib.zoo.store import Catalogue, read_shard, verify, write_shard
    from shards import make, same

    torch.set_num_threads(1)
    good, path = make(4), fuzz.folder / "good.h5"
    write_shard(path, good)

    intact = path.read_bytes()

    def shard(path: Path) -> None:
        problems = verify(path)
        try:
            same(good, read_shard(path))
        except InputError:
            assert problems, "verify overlooks what cannot be read"
            raise
        assert not problems or path.read_bytes() != intact

    hdf5(fuzz, "shard", intact, shard, 300)
    structures(fuzz, "shard", intact, shard, 150)

    def catalogue(folder: Path) -> None:
        zoo = Catalogue.load(folder / "catalogue.csv")
        found = zoo.select(status=None, checkpoints=True)
        for architecture in found["architecture"].unique():
            zoo.weights(found[found["architecture"] == architecture])

    table = fuzz.folder / "catalogue.csv"
    Catalogue.build([path]).save(table)
    files = {"catalogue.csv": table.read_bytes(), "good.h5": path.read_bytes()}
    fuzz.bytes("catalogue", 120, files, catalogue)

    out = {split: fuzz.folder / f"{split}.h5" for split in ("train", "validation", "test")}
    prepare(Images(limit_per_class=2), Stream("data", 0), out)
    sound = load_split(out["test"])

    def images(path: Path) -> None:
        found = load_split(path)
        assert torch.equal(found.x, sound.x) and torch.equal(found.y, sound.y)
        assert (found.classes, found.name, found.mean) == (sound.classes, sound.name, sound.mean)

    hdf5(fuzz, "images", out["test"].read_bytes(), images, 120)
    structures(fuzz, "images", out["test"].read_bytes(), images, 80)

    rng = np.random.default_rng(0)
    stored = [(f"chair-{k}", rng.normal(size=(6, 3)), rng.normal(size=6)) for k in range(3)]
    write_samples(fuzz.folder / "samples.h5", stored)

    def samples(path: Path) -> None:
        found = read_samples(path)
        kept = dict(zip(found.names, zip(found.points, found.distances, strict=True), strict=True))
        for name, points, _ in stored:
            if name in kept:
                np.testing.assert_array_equal(kept.pop(name)[0], np.float32(points))
        assert not kept

    data = (fuzz.folder / "samples.h5").read_bytes()
    hdf5(fuzz, "samples", data, samples, 80)
    structures(fuzz, "samples", data, samples, 40)


def exchange(fuzz: Fuzz) -> None:
    """Embedders, networks in files of others, published zoos."""
    import torch
    from safetensors.torch import save_file

    from lib import nets
    from lib.embed.product import Embedder, load_embedder, make_arm
    from lib.zoo.exchange import folder as networks
    from lib.zoo.exchange import formats
    from toy import CFG

    torch.set_num_threads(1)
    place = fuzz.folder / "embedder.safetensors"
    cfg = CFG.model_copy(update={"rank": 2, "probes": 4})
    arm = make_arm(cfg, ("LeNetLike", "VanillaCNN"), (1, 8, 8), 4)
    card = {"image": [1, 8, 8], "classes": list("abcd"), "dataset": "toy"}
    Embedder(arm, card).save(place)
    state = {name: value.clone() for name, value in arm.state_dict().items()}
    files = {p.name: p.read_bytes() for p in (place, Path(f"{place}.json"))}

    def embedder(folder: Path) -> None:
        found = load_embedder(folder / place.name).arm.state_dict()
        assert all(torch.equal(found[name], value) for name, value in state.items())

    fuzz.bytes("embedder", 150, files, embedder)
    fuzz.bytes("embedder, header", 100, {place.name: files[place.name]} | files, embedder, 1200)

    net = nets.build("LeNetLike", 1, 8, 4)
    save_file(net.state_dict(), fuzz.folder / "a.safetensors")
    torch.save({"state_dict": net.state_dict()}, fuzz.folder / "b.pt")
    torch.save(net.state_dict(), fuzz.folder / "c.pth", _use_new_zipfile_serialization=False)
    for name in ("a.safetensors", "b.pt", "c.pth"):

        def read(folder: Path) -> None:
            source = networks.read(folder, "LeNetLike")
            source.states(source.table)

        data = {name: (fuzz.folder / name).read_bytes()}
        fuzz.bytes(f"network {name}", 60, data, read)
        fuzz.bytes(f"network {name}, header", 60, data, read, 1200)

    from published_zoos import make_model_zoo, make_small_cnn_zoo

    for name, make in (
        ("small-cnn-zoo", make_small_cnn_zoo),
        ("model-zoo-dataset", make_model_zoo),
    ):
        root = fuzz.folder / f"zoo-{name}"
        make(root)
        data = {
            p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()
        }

        def zoo(folder: Path, name=name) -> None:
            source = formats.read(name, folder)
            for _, rows in source.table.groupby("architecture"):
                source.states(rows.reset_index(drop=True))

        fuzz.bytes(name, 80, data, zoo)


def data(fuzz: Fuzz) -> None:
    """Configs, CIFAR-10, pictures in archives, meshes."""
    from PIL import Image

    from image_sources import cifar_files
    from lib.config import Images
    from lib.core.streams import Stream
    from lib.data.archive import DataError
    from lib.data.cifar import read_cifar10
    from lib.data.images import prepare
    from lib.data.meshes import load_meshes
    from lib.study import load_study

    configs = Path(__file__).parents[1] / "config"
    for name in ("tiny.yaml", "variants.yaml"):
        text = (configs / name).read_bytes()
        fuzz.bytes(name, 150, {name: text}, lambda folder, name=name: load_study(folder / name))

    root = fuzz.folder / "published"
    root.mkdir()
    batches = cifar_files(per_batch=3)
    for name, content in batches.items():
        (root / name).write_bytes(content)
    fuzz.bytes("cifar", 100, batches, read_cifar10)
    fuzz.bytes("cifar, header", 100, batches, read_cifar10, 120)
    for mode in ("w", "w:gz", "w:xz"):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode=mode) as tar:
            tar.add(root, "cifar-10-batches-py")
        archive = {"cifar.tar": packed.getvalue()}

        def unpacked(folder: Path) -> None:
            read_cifar10(folder / "cifar.tar")

        fuzz.bytes(f"cifar {mode}", 40, archive, unpacked)

    def packed_tree(files: dict[str, bytes]) -> bytes:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return packed.getvalue()

    rng, pictures = np.random.default_rng(0), {}
    for k, kind in enumerate(("png", "jpeg", "bmp", "gif", "ppm", "tiff", "webp")):
        for label in "ab":
            for number in range(4):
                buffer = io.BytesIO()
                Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).save(buffer, kind)
                pictures[f"{label}/{k}{number}.{kind}"] = buffer.getvalue()
    settings = Images(source="folder", path="x", size=8, channels=1)
    out = {split: fuzz.folder / f"{split}.h5" for split in ("train", "validation", "test")}

    def folder_of(path: Path) -> None:
        prepare(settings.model_copy(update={"path": str(path)}), Stream("data", 0), out)

    fuzz.bytes("pictures", 200, pictures, folder_of)
    tree = {"pictures.zip": packed_tree(pictures)}
    fuzz.bytes("pictures.zip", 80, tree, lambda folder: folder_of(folder / "pictures.zip"))

    def meshes(folder: Path) -> None:
        for why in load_meshes(folder).left_out.values():
            raise DataError(why)

    fuzz.bytes("meshes", 200, solids(), meshes)


GROUPS = {"store": store, "exchange": exchange, "data": data}


def main() -> None:
    """Run one group and print what came of it."""
    group, folder = sys.argv[1], Path(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    fuzz = Fuzz(folder)
    GROUPS[group](fuzz)
    print(json.dumps({"inputs": fuzz.inputs, "refused": fuzz.refused}))


if __name__ == "__main__":
    main()
