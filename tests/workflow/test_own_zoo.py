"""Networks and images of one's own, a config of ten lines, no code: a zoo, a space and its page."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_digits

from lib import nets
from lib.zoo.store import Catalogue

CONFIG = """\
name: mine
results: results/mine
data:
  pictures: {kind: images, source: folder, path: pictures}
zoos:
  mine: {data: pictures, imported: networks}
spaces:
  mine:
    zoo: mine
    embedder: {latent: 32, probes: 20, steps: 4, networks: 4, batch_size: 16, select_every: 2}
"""
NETWORKS = 20


@pytest.fixture(scope="module")
def own(tmp_path_factory, source, run):
    """A folder with pictures by class, networks of one's own imported, and the config."""
    folder = tmp_path_factory.mktemp("own")
    digits = load_digits()
    for number, (picture, label) in enumerate(
        zip(digits.images[:300], digits.target, strict=False)
    ):
        path = folder / f"pictures/{label}/{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((picture * 15).astype(np.uint8)).save(path)
    (folder / "files").mkdir()
    for number in range(NETWORKS):
        torch.manual_seed(number)
        module = nets.build("LeNetLike", 1, 8, 10)
        state = {name: 0.5 * (number + 1) * value for name, value in module.state_dict().items()}
        save_file(state, folder / f"files/net_{number:02d}.safetensors")
    ended = run(
        [
            *(sys.executable, "-m", "lib", "import", "folder", "files"),
            *("--architecture", "LeNetLike", "--out", "networks"),
        ],
        folder,
    )
    assert ended.code == 0, ended.text
    (folder / "mine.yaml").write_text(CONFIG)
    return folder


@pytest.fixture(scope="module")
def run():
    from places import run

    return run


def test_a_zoo_of_ones_own_has_a_page_with_every_experiment(own, source, run):
    assert len(CONFIG.splitlines()) <= 10
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "mine.yaml"]
    command += ["--snakefile", str(source / "Snakefile"), "--directory", "."]
    quick = {
        "reconstruction": {"steps": 3, "batch": 8},
        "interpolation": {"points": 3, "pairs_within": 1},
        "latent_optimization": {"steps": 2, "every": 2, "starts": 1, "batch": 8},
        "sampling": {"samples": 2, "finetuned": 1, "epochs": [1]},
    }
    every = {name: {} for name in ("property_prediction", "novelty", "retrieval", "arithmetic")}
    spaces = json.dumps({"mine": {"experiments": quick | every}})
    ended = run([*command, "--config", f"spaces={spaces}"], own)
    assert ended.code == 0, ended.text[-5000:]
    assert "train_shard" not in ended.jobs and ended.jobs["adopt_shard"] == 1
    results = own / "results/mine"
    catalogue = Catalogue.load(results / "zoos/mine/catalogue.csv")
    assert len(catalogue.frame) == NETWORKS
    page = (results / "mine_report.html").read_text()
    for name in [*quick, *every]:
        assert (results / f"mine/{name}.csv").stat().st_size
        assert f'id="{name}"' in page, name
    assert "mine_report.html" in (results / "report.html").read_text()
