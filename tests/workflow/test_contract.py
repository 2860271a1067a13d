"""What the tiny study leaves behind: tables with their columns and rows, shards, an embedder."""

import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from lib.report.digests import content_digest
from lib.study import load_study
from lib.zoo.store import Catalogue
from own_files import ARM, NET

# Literal: others rely on these names (docs/index.md).
COLUMNS = {
    "reconstruction": "network architecture method predicted_architecture target_accuracy accuracy "
    "agreement agreement_other embedder seed",
    "interpolation": "pair ends method gamma predicted_architecture accuracy seed",
    "latent_optimization": "architecture method step validation_accuracy test_accuracy start "
    "start_from seed",
    "novelty": "network architecture kind band accuracy nearest_weights weight_distance "
    "nearest_outputs agreement error_overlap aligned_distance seed",
    "retrieval": "network architecture method neighbours precision_architecture "
    "chance_architecture precision_band chance_band precision_band_within chance_band_within "
    "agreement_within chance_agreement_within seed",
    "unseen": "left_out pair gamma architecture predicted_architecture accuracy method seed "
    "agreement_other",
    "unseen_finetune": "left_out architecture method epochs network train_accuracy accuracy seed",
    "latent_map": "network architecture split validation_accuracy predicted_architecture x y seed",
    "embedder/seed_0/losses": "step name value",
}
ARCHITECTURES = ("LeNetLike", "VanillaCNN", "ResNet8", "ResNet14")
CONTROLS = {
    "mean_latent",
    "refined",
    "readout",
    "pca",
    "constant",
    "nearest_weights",
    "nearest_agreement",
    "noise",
    "mean_weights",
    "distilled",
}


@pytest.fixture(scope="module")
def cfg(source):
    return load_study(source / "config/tiny.yaml")


@pytest.fixture(scope="module")
def asked(cfg):
    return cfg.spaces["multiarch"].experiments


@pytest.fixture(scope="module")
def tables(study):
    return {name: pd.read_csv(study.results / f"multiarch/{name}.csv") for name in COLUMNS}


@pytest.fixture(scope="module")
def catalogue(study):
    return Catalogue.load(study.results / "zoos/digits/catalogue.csv")


@pytest.mark.parametrize("name", COLUMNS)
def test_each_table_has_its_columns_and_shares_between_0_and_1(tables, name):
    table = tables[name]
    assert set(COLUMNS[name].split()) <= set(table.columns) and len(table)
    shares = [column for column in table if "accuracy" in column or "agreement" in column]
    for column in shares:
        assert table[column].dropna().between(0, 1).all(), column
        assert column == "test_accuracy" or table[column].notna().all(), column


def test_each_test_network_is_compared_with_each_control(tables, cfg, catalogue):
    table = tables["reconstruction"]
    assert set(table["method"]) >= {"decoded", *CONTROLS}
    wanted = catalogue.select(split="test")["network"].tolist()
    assert len(wanted) == len(ARCHITECTURES) * cfg.zoos["digits"].instances.test
    for method, rows in table.groupby("method"):
        assert rows["network"].tolist() == wanted, method
        assert (rows["seed"] == 0).all()
    assert set(table["predicted_architecture"]) <= set(ARCHITECTURES)
    targets = table.groupby("network")["target_accuracy"].nunique()
    assert (targets == 1).all(), "one target per network, whatever it is compared with"
    constant = table[table["method"] == "constant"]
    assert (constant.groupby("architecture")["accuracy"].nunique() == 1).all()


def test_each_pair_is_interpolated_with_its_controls(tables, cfg, asked):
    table = tables["interpolation"]
    assert set(table["method"]) == {"latent", "weights", "constant"}
    count = cfg.zoos["digits"].instances.test
    pairs = {
        f"{ARCHITECTURES[0]}-{i:04d}:{ARCHITECTURES[-1]}-{j:04d}"
        for i in range(count)
        for j in range(count)
    }
    assert set(table["pair"]) == pairs
    lengths = []
    for (_, method), rows in table.groupby(["pair", "method"]):
        gammas = rows["gamma"].to_numpy()
        for mark in (1 / 3, 2 / 3):
            assert np.isclose(gammas, mark).sum() == 1, (method, mark)
        lengths.append(len(gammas))
    curves = min(asked.interpolation.pairs, count) * 3
    assert sorted(lengths) == [2] * (len(lengths) - curves) + [asked.interpolation.points] * curves
    assert table["gamma"].min() == 0 and table["gamma"].max() == 1


def test_each_architecture_is_optimised_towards_with_its_controls(tables, cfg, asked):
    table, explore = tables["latent_optimization"], asked.latent_optimization
    steps = list(range(0, explore.steps + 1, explore.every))
    assert set(table["architecture"]) == set(ARCHITECTURES)
    for (_, method), rows in table.groupby(["architecture", "method"]):
        if method == "best_of_zoo":
            assert rows["step"].tolist() == [0] and rows["test_accuracy"].notna().all()
            continue
        assert method in ("latent", "weights", "distilled")
        assert rows["start"].nunique() == explore.starts
        for _, run in rows.groupby("start"):
            assert sorted(run["step"]) == steps
            chosen = run["test_accuracy"].notna().sum()
            assert chosen == 1 or (method == "latent" and chosen == 0)
    assert set(table["method"]) == {"latent", "weights", "distilled", "best_of_zoo"}


def test_decoded_networks_stand_beside_what_is_new_and_what_is_a_copy(tables, cfg, catalogue):
    table, numbers = tables["novelty"], cfg.zoos["digits"].instances
    counts = {name: len(rows) for name, rows in table.groupby("kind")}
    every, between = len(ARCHITECTURES), len(ARCHITECTURES) - 2
    train, test = every * numbers.train, every * numbers.test
    assert counts == {
        "training": train,
        "decoded_training": train,
        "held_out": test,
        "decoded_test": test,
        "noise": every * min(numbers.train, numbers.test),
        "midpoint": every * (numbers.test - 1),
        "interpolated": between * numbers.test,
    }
    known = set(catalogue.select(split="train")["network"])
    assert set(table["nearest_weights"]) | set(table["nearest_outputs"]) <= known
    own = table[table["kind"] == "training"]
    assert (own["network"] != own["nearest_weights"]).all()
    distance = table.groupby("kind")["weight_distance"].mean()
    assert distance["noise"] < distance["held_out"]


def test_each_test_network_is_looked_for_by_each_method(tables, cfg, catalogue):
    table = tables["retrieval"]
    wanted = catalogue.select(split="test")["network"].tolist()
    assert set(table["method"]) == {"latent", "weights", "outputs"}
    for _, rows in table.groupby("method"):
        assert rows["network"].tolist() == wanted
    shares = table.filter(regex="precision|chance")
    assert ((shares >= 0) & (shares <= 1)).all(axis=None)
    assert set(table["neighbours"]) == {
        min(10, len(ARCHITECTURES) * cfg.zoos["digits"].instances.train)
    }


def test_what_was_left_out_is_generated_for_each_pair_beside_its_controls(
    tables, cfg, catalogue, asked
):
    table, tests = tables["unseen"], cfg.zoos["digits"].instances.test
    (left_out,) = cfg.spaces["multiarch"].left_out
    assert set(table["left_out"]) == {"+".join(left_out)} and set(table["seed"]) == {0}
    assert list(dict.fromkeys(table["architecture"])) == list(left_out)
    counts = {"constant": 1, "trained": tests, "initialised": asked.unseen.fresh}
    counts |= {"distilled": asked.unseen.distilled}
    counts |= dict.fromkeys(("generated", "all_four"), tests**2)
    for (name, method), rows in table.groupby(["architecture", "method"]):
        assert len(rows) == rows["pair"].nunique() == counts[method]
        due = ARCHITECTURES.index(name) / (len(ARCHITECTURES) - 1)
        if method in ("generated", "all_four", "constant"):
            assert np.allclose(rows["gamma"], due)
        else:
            assert rows["gamma"].isna().all() and (rows["predicted_architecture"] == name).all()
    assert set(table["method"]) == set(counts)
    pairs = table.loc[table["method"] == "generated", "pair"].str.split(":", expand=True)
    for side, name in enumerate((ARCHITECTURES[0], ARCHITECTURES[-1])):
        assert set(pairs[side]) == set(catalogue.select(name, "test")["network"])


def test_generated_networks_are_trained_further_beside_others_from_scratch(tables, cfg, asked):
    table, networks = tables["unseen_finetune"], asked.unseen_finetune.finetuned
    found = table.groupby(["architecture", "method", "epochs"]).size().to_dict()
    kinds = [("generated", 0), ("finetuned", 1)]
    kinds += [("scratch", epochs) for epochs in asked.unseen_finetune.scratch_epochs]
    assert found == {
        (name, *kind): networks for name in cfg.spaces["multiarch"].left_out[0] for kind in kinds
    }


def test_an_embedder_reads_no_network_of_what_it_leaves_out(copied, cfg):
    """It comes out the same where there are none, nor any list of them."""
    zoo, wanted = copied.results / "zoos/digits", copied.digests
    (zoo / "catalogue.csv").unlink()
    (left_out,) = cfg.spaces["multiarch"].left_out
    for name in left_out:
        shutil.rmtree(zoo / name)
    made = f"multiarch/unseen/{'+'.join(left_out)}/seed_0/embedder.safetensors"
    (copied.results / made).unlink()
    ended = copied.run(f"results/tiny/{made}", "--cores", "1", "--allowed-rules", "unseen_embedder")
    assert ended.code == 0, ended.text[-3000:]
    assert ended.jobs == {"unseen_embedder": 1}
    assert content_digest(copied.results / made) == wanted[made]


def test_each_network_is_on_the_map(tables, catalogue):
    table = tables["latent_map"]
    assert sorted(table["network"]) == sorted(catalogue.select()["network"])
    assert np.isfinite(table[["x", "y"]].to_numpy()).all()


def test_the_loss_curves_reach_the_last_step(tables, cfg):
    losses = tables["embedder/seed_0/losses"]
    assert losses["step"].max() == cfg.spaces["multiarch"].embedder.steps
    assert np.isfinite(losses["value"]).all()


def test_the_catalogue_lists_each_network_once(catalogue, cfg):
    frame = catalogue.frame
    numbers = cfg.zoos["digits"].instances
    for name in ARCHITECTURES:
        rows = frame[frame["architecture"] == name]
        assert rows["instance"].tolist() == list(range(numbers.total))
        assert rows["split"].value_counts().to_dict() == {
            "train": numbers.train,
            "validation": numbers.validation,
            "test": numbers.test,
        }
        assert np.isfinite(catalogue.weights(catalogue.select(name))).all()
    assert len(frame) == numbers.total * len(ARCHITECTURES)
    assert frame["seed"].is_unique
    assert (frame["validation_accuracy"] > 0.2).all(), "trained, even if briefly"


def elsewhere(*arguments):
    """Run a command of lib from outside the project, as a user of the results would."""
    ended = subprocess.run(
        [sys.executable, *arguments], cwd="/tmp", capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_shards_verify(study):
    shards = sorted(map(str, study.results.glob("zoos/digits/*/shard_*.h5")))
    assert len(shards) == 8
    lines = elsewhere("-m", "lib.zoo.store", "verify", *shards).splitlines()
    assert len(lines) == 8 and all(": ok (" in line for line in lines)


USE = """
import sys
import torch
from lib.embed import load_embedder

embedder = load_embedder(sys.argv[1])
latent = embedder.encode("ResNet8-0001", sys.argv[2])
network = embedder.decode(latent)
again = embedder.encode(network)
assert latent.shape == again.shape == (32,) and not network.training
assert embedder.decode(latent, "VanillaCNN").architecture == "VanillaCNN"
assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
print(network.architecture)
"""


def test_the_embedder_works_outside_the_project(study, cfg):
    embedder = study.results / "multiarch/embedder/seed_0/embedder.safetensors"
    catalogue = study.results / "zoos/digits/catalogue.csv"
    assert elsewhere("-c", USE, str(embedder), str(catalogue)).strip() in ARCHITECTURES


def test_the_command_line_finds_neighbours(study):
    embedder = study.results / "multiarch/embedder/seed_0/embedder.safetensors"
    catalogue = study.results / "zoos/digits/catalogue.csv"
    command = ["-m", "lib", "neighbours", str(embedder), "ResNet8-0001", "-k", "3"]
    head, *lines = elsewhere(*command, "--catalogue", str(catalogue)).splitlines()
    assert head.startswith("network\tdistance") and len(lines) == 3
    assert not any(line.startswith("ResNet8-0001\t") for line in lines)


@pytest.fixture
def own_files(source):
    """An architecture and an embedder of one's own in the project, for the length of a test."""
    lib = source / "workflow/lib"
    files = {lib / "nets/wide_net.py": NET, lib / "embed/arms/linear.py": ARM}
    for path, text in files.items():
        path.write_text(text)
    yield
    for path in files:
        path.unlink()


def test_an_architecture_of_ones_own_joins_a_finished_study(study, own_files):
    names = "zoos={digits: {architectures: [LeNetLike, VanillaCNN, WideNet, ResNet8, ResNet14]}}"
    ended = study.run("--dry-run", "--config", names)
    assert ended.code == 0, ended.text
    assert ended.jobs["train_shard"] == ended.jobs["extract_shard"] == 2, "its own networks only"
    assert ended.jobs["train_embedder"] == 1
    # The teacher of the space of one architecture is listed in the same zoo.
    assert ended.jobs["space_report"] == 2
    assert "prepare_images" not in ended.jobs


def test_an_embedder_of_ones_own_takes_the_networks_that_are_there(study, own_files):
    ended = study.run("--dry-run", "--config", "spaces={multiarch: {embedder: {arm: linear}}}")
    assert ended.code == 0, ended.text
    assert ended.jobs["train_embedder"] == 1 and ended.jobs["experiment"] == 7
    assert not {"train_shard", "extract_shard", "catalogue", "teacher"} & set(ended.jobs)
