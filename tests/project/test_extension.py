"""What a user adds to a study: an architecture, an embedder. One file and a line of config each."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from lib import nets
from lib.config import Embedding, Instances, Training
from lib.config.experiments import Interpolation, Novelty, Reconstruction, Retrieval
from lib.core.streams import Stream
from lib.embed import Embedder, arm, arms, load_embedder
from lib.embed.between import between
from lib.embed.objectives.classifiers import train_classifiers
from lib.embed.product import make_arm
from lib.engine.training import Engine
from lib.engine.training.shard import train_shard
from lib.experiments import interpolation, latents, novelty, reconstruction, retrieval
from lib.experiments.neighbours import Index
from lib.experiments.task import SPLITS, Task
from lib.study import parse_study
from lib.zoo import extract as zoo
from lib.zoo import population, store
from lib.zoo.store import Catalogue
from own_files import ARM, NET
from toy import CFG, CLASSES, NAMES

pytestmark = pytest.mark.usefixtures("one_thread")

FIVE = ("LeNetLike", "VanillaCNN", "WideNet", "ResNet8", "ResNet14")
COUNTS = Instances(train=3, validation=2, test=2)
SHORT = CFG.model_copy(update={"steps": 60, "select_every": 30})


@pytest.fixture(scope="module")
def own_files(tmp_path_factory):
    """The two files, as if they lay among those of `lib.nets` and `lib.embed.arms`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nets, "_registry", dict(nets._registry))
        patch.setattr(arm, "_registry", dict(arm._registry))
        for package, name, text in ((nets, "wide_net", NET), (arms, "linear", ARM)):
            folder = tmp_path_factory.mktemp(name)
            (folder / f"{name}.py").write_text(text)
            patch.setattr(package, "__path__", [*package.__path__, str(folder)])
        importlib.import_module("lib.nets.wide_net")  # what importing `lib.nets` afresh does
        yield
    for package, name in ((nets, "wide_net"), (arms, "linear")):
        sys.modules.pop(f"{package.__name__}.{name}", None)
        vars(package).pop(name, None)


@pytest.fixture(scope="module")
def five(own_files, toy, tmp_path_factory, one_thread) -> dict:
    """The zoo of the toy study with two more architectures: catalogue path and populations."""
    folder = tmp_path_factory.mktemp("five")
    training, engine = Training(epochs=14, batch_size=16, learning_rate=0.08), Engine(width=7)
    paths = [toy.catalogue.parent / f"{name}.h5" for name in NAMES]
    for name in set(FIVE) - set(NAMES):
        stream = Stream("zoo", 0, name)
        raw = train_shard(
            name, range(7), training, stream, toy.images, toy.validation, engine=engine
        )
        paths.append(folder / f"{name}.h5")
        store.write_shard(paths[-1], zoo.extract(name, raw, COUNTS, toy.images, {}))
    Catalogue.build(paths, FIVE).save(folder / "catalogue.csv")
    catalogue = Catalogue.load(folder / "catalogue.csv")
    splits = ("train", "validation", "test")
    found = {split: population.load(catalogue, FIVE, split, toy.images, "five") for split in splits}
    return {"catalogue": folder / "catalogue.csv", **found}


def fit(toy, five: dict, cfg: Embedding) -> Embedder:
    """An embedder of all five architectures."""
    torch.manual_seed(0)
    made = make_arm(cfg, FIVE, (1, 8, 8), 4)
    train_classifiers(
        made,
        train=five["train"],
        held_out=five["validation"],
        images=toy.images,
        validation=toy.validation,
        stream=Stream("five"),
        teacher=five["train"][FIVE[-1]].outputs(toy.images).mean(0),
    )
    return Embedder(made, {"image": [1, 8, 8], "classes": CLASSES, "dataset": "toy"})


def evaluate(embedder: Embedder, toy, five: dict) -> dict[str, pd.DataFrame]:
    """What the study measures of an embedder, table by table."""
    task = Task(
        architectures=FIVE,
        zoo={split: five[split] for split in SPLITS},
        images={"train": toy.images, "validation": toy.validation, "test": toy.test},
        embedders={0: embedder},
        stream=Stream("five"),
        seed=0,
    )
    asked = {
        reconstruction: Reconstruction(steps=2, batch=16),
        interpolation: Interpolation(points=5, pairs=1, pairs_within=0),
        novelty: Novelty(),
        retrieval: Retrieval(),
    }
    tables = {
        module.__name__.rpartition(".")[2]: module.run(task, cfg) for module, cfg in asked.items()
    }
    return tables | {"latent_map": latents.run(task)[0]}


def check(tables: dict[str, pd.DataFrame]) -> None:
    """Every test network and every place in between is there, with numbers that can be."""
    decoded = tables["reconstruction"].query("method == 'decoded'")
    assert decoded["network"].tolist() == [f"{name}-{i:04d}" for name in FIVE for i in range(2)]
    assert decoded["accuracy"].between(0, 1).all()
    latent = tables["interpolation"].query("method == 'latent'")
    followed = latent["pair"] == latent["pair"].iloc[0]
    assert latent.loc[~followed, "gamma"].unique().tolist() == [1 / 4, 2 / 4, 3 / 4]
    assert set(latent.loc[followed, "gamma"]) == {0, 1 / 4, 2 / 4, 3 / 4, 1}
    assert set(latent["pair"]) == {
        f"LeNetLike-{i:04d}:ResNet14-{j:04d}" for i in range(2) for j in range(2)
    }
    kinds = tables["novelty"].groupby("kind").size()
    assert kinds["decoded_test"] == 10 and kinds["interpolated"] == 3 * 2
    assert tables["retrieval"].groupby("method").size().eq(10).all()
    assert len(tables["latent_map"]) == 5 * 7


def test_the_documentation_shows_the_files_that_are_tested():
    shown = next((Path(__file__).parents[2] / "docs").rglob("extend.md")).read_text()
    assert NET.strip() in shown and ARM.strip() in shown


def test_the_inner_architectures_of_five_lie_at_quarters():
    assert between(5) == [1 / 4, 2 / 4, 3 / 4]


def test_a_fifth_architecture_takes_a_file_and_a_name_in_the_config(toy, five, tmp_path):
    study = parse_study({"zoos": {"mine": {"data": "digits", "architectures": list(FIVE)}}})
    assert (
        study.zoos["mine"].architectures == FIVE
        and nets.module_of("WideNet") == "lib.nets.wide_net"
    )
    embedder = fit(toy, five, CFG)
    tables = evaluate(embedder, toy, five)
    check(tables)
    decoded = tables["reconstruction"].query("method == 'decoded'")
    assert (decoded["predicted_architecture"] == decoded["architecture"]).all()
    own = decoded[decoded["architecture"] == "WideNet"]
    assert own["accuracy"].mean() > own["target_accuracy"].mean() - 0.1

    embedder.save(tmp_path / "five.safetensors")
    embedder = load_embedder(tmp_path / "five.safetensors")
    assert embedder.architectures == FIVE
    network = embedder.decode(embedder.encode("WideNet-0001", five["catalogue"]))
    assert network.architecture == "WideNet" and network(toy.test.x).shape == (64, 4)
    near = Index.of_networks(embedder, five["catalogue"], ["WideNet"], "train")
    assert near.names == [f"WideNet-{i:04d}" for i in range(4, 7)]


def test_an_own_embedder_takes_a_file_and_a_line_and_runs_through_the_evaluation(
    toy, five, tmp_path
):
    space = {"zoo": "digits", "embedder": {"arm": "linear"}}
    assert parse_study({"spaces": {"mine": space}}).spaces["mine"].embedder.arm == "linear"
    embedder = fit(toy, five, SHORT.model_copy(update={"arm": "linear"}))
    check(evaluate(embedder, toy, five))
    embedder.save(tmp_path / "own.safetensors")
    embedder = load_embedder(tmp_path / "own.safetensors")
    assert type(embedder.arm).__name__ == "Linear" and embedder.card["embedder"]["arm"] == "linear"
    # Fifteen training networks span fourteen components: they come back as they were.
    for name, found in five["train"].items():
        with torch.no_grad():
            back = embedder.arm.decode(name, embedder.arm.encode(name, found.flat))
        assert torch.allclose(back, found.flat, atol=1e-3)
