"""The same study gives the same results to the last bit, however its work is cut up."""

import json
import re

import numpy as np
from safetensors.numpy import load_file, save_file

from lib.report.digests import content_digest

EXPERIMENTS = {
    "multiarch": "reconstruction interpolation latent_optimization unseen unseen_finetune novelty "
    "retrieval",
    "singlearch": "reconstruction interpolation latent_optimization property_prediction sampling "
    "novelty retrieval arithmetic",
    "shapes": "reconstruction interpolation completion sampling",
}
SPACES = tuple(EXPERIMENTS)
ARTEFACTS = {
    *(f"data/digits/{split}.h5" for split in ("train", "validation", "test")),
    *(f"zoos/digits/{name}" for name in ("LeNetLike", "VanillaCNN", "ResNet8", "ResNet14")),
    "zoos/performance/ResNet8",
    "zoos/chairs/SIREN",
    *(f"zoos/{name}/catalogue.csv" for name in ("digits", "performance", "chairs")),
    "zoos/chairs/shapes.csv",
    "zoos/chairs/left_out.csv",
    *(f"{space}/embedder/seed_0/embedder.safetensors" for space in SPACES),
    *(f"{space}/embedder/seed_0/losses.csv" for space in SPACES),
    *(f"{space}/latent_map.csv" for space in SPACES),
    *(f"{space}/{name}.csv" for space, names in EXPERIMENTS.items() for name in names.split()),
    *(f"{space}_report.html" for space in SPACES),
    *(f"{space}/latents.safetensors" for space in ("multiarch", "singlearch")),
    *(f"{space}/teacher.safetensors" for space in ("multiarch", "singlearch")),
    *(f"{space}/preps.h5" for space in ("multiarch", "singlearch")),
    "multiarch/unseen/VanillaCNN+ResNet8/seed_0/embedder.safetensors",
    "multiarch/unseen/VanillaCNN+ResNet8/seed_0/losses.csv",
    "report.html",
}


def test_every_artefact_has_a_digest(study):
    assert set(study.digests) == ARTEFACTS
    made = {
        path.relative_to(study.results).as_posix()
        for path in study.results.rglob("*")
        if path.is_file() and path.suffix in (".h5", ".csv", ".safetensors", ".html")
    }
    # Shards and samples are parts of zoos, and those have a digest each.
    inner = {name for name in made if re.search(r"zoos/.*(raw|shard|near|uniform)_", name)}
    assert made - inner == {name for name in ARTEFACTS if "." in name}


def test_equal_digests_with_other_cores_and_other_shards(study, empty):
    sizes = {"digits": 20, "performance": 20, "chairs": 3}
    zoos = {name: {"shard_size": size} for name, size in sizes.items()}
    ended = empty.run("--cores", "1", "--config", f"zoos={json.dumps(zoos)}")
    assert ended.code == 0, ended.text[-5000:]
    assert ended.jobs["train_shard"] == 5
    assert len(list(study.results.glob("zoos/digits/*/shard_*.h5"))) == 8
    assert empty.digests == study.digests


def test_the_cores_a_job_is_given_do_not_change_an_embedder_of_two_threads(copied):
    losses = "results/tiny/multiarch/embedder/seed_0/losses.csv"
    found = []
    for cores in ("1", "2"):
        settings = ["--config", "spaces={multiarch: {embedder: {threads: 2, steps: 6}}}"]
        ended = copied.run(losses, "--cores", cores, "--forcerun", "train_embedder", *settings)
        assert ended.code == 0, ended.text[-5000:]
        folder = copied.results / "multiarch/embedder/seed_0"
        found.append(
            [content_digest(folder / "embedder.safetensors"), (folder / "losses.csv").read_text()]
        )
    assert found[0] == found[1]


def test_one_changed_weight_is_another_digest(copied):
    path = copied.results / "multiarch/embedder/seed_0/embedder.safetensors"
    name = "multiarch/embedder/seed_0/embedder.safetensors"
    assert content_digest(path) == copied.digests[name]
    state = load_file(path)
    value = state["reader.weight"]
    value[0, 0] = np.nextafter(value[0, 0], np.float32(9))
    save_file(state, path)
    assert content_digest(path) != copied.digests[name]
