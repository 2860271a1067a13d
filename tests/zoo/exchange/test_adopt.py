"""An imported zoo in a study: the same networks under the study's numbers, ready to be embedded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import lib
from lib.config import ConfigError, Instances
from lib.data.images import ImageSplit
from lib.study import parse_study
from lib.zoo import population, store
from lib.zoo.exchange import folder
from lib.zoo.exchange.adopt import adopt
from lib.zoo.exchange.importing import write_zoo
from lib.zoo.exchange.opening import ExchangeError, healthy
from lib.zoo.store import Catalogue, CatalogueError

pytestmark = pytest.mark.usefixtures("one_thread")
COUNTS = Instances(train=2, validation=1, test=2)


@pytest.fixture(scope="module")
def zoos(toy, tmp_path_factory):
    """Seven LeNets and seven ResNets of others, imported from folders of state dicts."""
    found = {}
    for name in ("LeNetLike", "ResNet8"):
        there = tmp_path_factory.mktemp(name)
        for i in range(7):
            torch.save(toy.unfused(name, i).state_dict(), there / f"theirs-{i}.pt")
        found[name] = there / "zoo"
        write_zoo(folder.read(there, name), found[name], (0.25, 0.3))
    return found


@pytest.fixture(scope="module")
def adopted(toy, zoos, tmp_path_factory) -> Catalogue:
    """The study's catalogue of both, with its own cut into shards."""
    there, paths = tmp_path_factory.mktemp("study"), []
    for name, zoo in zoos.items():
        for instances in (range(0, 3), range(3, 5)):
            shard = adopt(zoo, name, COUNTS, instances, toy.validation, {"dataset": "toy"})
            paths.append(there / name / f"shard_{instances.start}.h5")
            store.write_shard(paths[-1], shard)
            assert store.verify(paths[-1]) == []
    return Catalogue.build(paths)


def test_networks_get_the_studys_numbers_and_keep_their_weights(zoos, adopted):
    for name, zoo in zoos.items():
        rows, theirs = adopted.select(name), Catalogue.load(zoo / "catalogue.csv")
        assert rows["network"].tolist() == [f"{name}-000{i}" for i in range(5)]
        assert rows["split"].tolist() == ["test", "test", "validation", "train", "train"]
        original = theirs.frame.set_index("network", drop=False).loc[rows["source_network"]]
        assert original["split"].tolist() == rows["split"].tolist()
        assert np.array_equal(theirs.weights(original), adopted.weights(rows))


def test_validation_is_measured_on_the_studys_images(toy, adopted):
    for row in adopted.frame.itertuples():
        module = toy.unfused(row.architecture, int(row.source_network[-1]))
        with torch.no_grad():
            logits = module(toy.validation.x)
        right = (logits.argmax(1) == toy.validation.y).float().mean().item()
        assert row.validation_accuracy == pytest.approx(right)
        loss = torch.nn.functional.cross_entropy(logits, toy.validation.y).item()
        assert row.validation_loss == pytest.approx(loss, rel=1e-4)


def test_they_can_be_embedded(toy, adopted):
    for split in ("train", "validation", "test"):
        found = population.load(adopted, ["LeNetLike", "ResNet8"], split, toy.images, "mine")
        for name, networks in found.items():
            assert len(networks.flat) == getattr(COUNTS, split)
            assert networks.scores.isfinite().all()
            for network in networks.names:
                latent = toy.embedder.encode(network, adopted)
                assert toy.embedder.predict(latent) == name


def test_where_they_come_from_is_said(zoos, adopted):
    header = store.read_header(adopted.root / adopted.select("ResNet8")["shard"].iloc[0])
    assert header.provenance["dataset"] == "toy"
    assert header.provenance["imported"]["provenance"]["format"] == "folder"
    assert len(header.provenance["imported"]["shards"]["shard_000.h5"]) == 64


def test_a_study_names_imported_zoos_by_architectures_it_has(zoos):
    path = str(zoos["ResNet8"])

    def zoo(imported):
        block = {"data": "digits", "architectures": ["LeNetLike", "ResNet8"], "imported": imported}
        return parse_study({"zoos": {"mine": block}}).zoos["mine"]

    assert zoo({"ResNet8": path}).source_of("ResNet8") == path
    with pytest.raises(ConfigError, match="zoos.mine.*VGG"):
        zoo({"VGG": path})


def test_a_zoo_that_does_not_suit_the_study_is_one_clear_error(toy, zoos):
    zoo = zoos["ResNet8"]
    many = Instances(train=9, validation=1, test=1)
    with pytest.raises(
        ExchangeError,
        match="has 3 healthy train networks of ResNet8, the study asks for 9: .* zoos.mine.inst",
    ):
        adopt(zoo, "ResNet8", many, range(11), toy.validation, {}, where="zoos.mine")
    with pytest.raises(CatalogueError, match="no architecture 'LeNetLike'"):
        adopt(zoo, "LeNetLike", COUNTS, range(5), toy.validation, {})
    x = torch.zeros(2, 1, 8, 8)
    other = ImageSplit(x, torch.zeros(2, dtype=torch.long), tuple("abcde"), "other", "")
    with pytest.raises(
        ExchangeError, match="for 1x8x8 and 4 classes, the study's images are 1x8x8 "
    ):
        adopt(zoo, "ResNet8", COUNTS, range(5), other, {})


def test_all_healthy_networks_are_counted_without_torch(toy, zoos):
    assert healthy(zoos["ResNet8"]) == {"ResNet8": {"train": 3, "validation": 2, "test": 2}}
    whole = healthy(toy.catalogue)
    assert list(whole) == ["LeNetLike", "VanillaCNN", "ResNet8"]
    assert all(counts == {"train": 3, "validation": 2, "test": 2} for counts in whole.values())
    code = "import sys, lib.zoo.exchange.opening; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(lib.__file__).parents[1])
