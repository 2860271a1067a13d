"""The same study gives the same results to the last bit, however its work is cut up."""

import re

import numpy as np
from safetensors.numpy import load_file, save_file

from lib.report.digests import content_digest

ARTEFACTS = {
    "images/train.h5",
    "images/validation.h5",
    "images/test.h5",
    "weights/LeNetLike",
    "weights/VanillaCNN",
    "weights/ResNet8",
    "weights/ResNet14",
    "weights/catalogue.csv",
    "multiarch/teacher.safetensors",
    "multiarch/embedder/seed_0/embedder.safetensors",
    "multiarch/embedder/seed_0/losses.csv",
    "multiarch/latents.safetensors",
    "multiarch/latent_map.csv",
    "multiarch/preps.h5",
    "multiarch/reconstruction.csv",
    "multiarch/interpolation.csv",
    "multiarch/latent_optimization.csv",
    "multiarch/novelty.csv",
    "multiarch/retrieval.csv",
    "multiarch/unseen.csv",
    "multiarch/unseen_finetune.csv",
    "multiarch/unseen/VanillaCNN+ResNet8/seed_0/embedder.safetensors",
    "multiarch/unseen/VanillaCNN+ResNet8/seed_0/losses.csv",
    "multiarch_report.html",
    "singlearch/weights/ResNet8",
    "singlearch/weights/catalogue.csv",
    "singlearch/embedder/seed_0/embedder.safetensors",
    "singlearch/embedder/seed_0/losses.csv",
    "singlearch/latents.safetensors",
    "singlearch/latent_map.csv",
    "singlearch/reconstruction.csv",
    "singlearch/interpolation.csv",
    "singlearch/latent_optimization.csv",
    "singlearch/property_prediction.csv",
    "singlearch/sampling.csv",
    "singlearch/novelty.csv",
    "singlearch/arithmetic.csv",
    "singlearch_report.html",
    "shapes/shapes.csv",
    "shapes/left_out.csv",
    "shapes/weights/SIREN",
    "shapes/weights/catalogue.csv",
    "shapes/embedder/seed_0/embedder.safetensors",
    "shapes/embedder/seed_0/losses.csv",
    "shapes/latent_map.csv",
    "shapes/reconstruction.csv",
    "shapes/interpolation.csv",
    "shapes/completion.csv",
    "shapes/sampling.csv",
    "shapes_report.html",
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
    inner = {name for name in made if re.search(r"(zoo|weights|samples)/.*(shard|uniform)_", name)}
    assert made - inner == {name for name in ARTEFACTS if "." in name}


def test_equal_digests_with_other_cores_and_other_shards(study, empty):
    sizes = ("zoo={shard_size: 20}", "singlearch={shard_size: 20}", "shapes={shard_size: 3}")
    ended = empty.run("--cores", "1", "--config", *sizes)
    assert ended.code == 0, ended.text[-5000:]
    assert ended.jobs["train_shard"] == 4
    assert len(list(study.results.glob("weights/*/shard_*.h5"))) == 8
    assert empty.digests == study.digests


def test_the_cores_a_job_is_given_do_not_change_an_embedder_of_two_threads(copied):
    losses = "results/tiny/multiarch/embedder/seed_0/losses.csv"
    found = []
    for cores in ("1", "2"):
        settings = ["--config", "embedder={threads: 2, steps: 6}"]
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
