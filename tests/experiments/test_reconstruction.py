"""What comes back of held-out networks, of any number of architectures, and the controls."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest
import torch

import graded
from answers import said
from lib.config.embedding import Embedding
from lib.config.experiments import Reconstruction
from lib.config.spaces import Controls
from lib.core.streams import Stream
from lib.data.images import ImageSplit
from lib.embed.product import Embedder, make_arm
from lib.engine import ensemble
from lib.experiments import controls, reconstruction
from lib.experiments.columns import CLASSIFIERS
from lib.experiments.reconstruction import Comparison, agreement_other
from tasks import task
from toy import CFG, CLASSES, NAMES

CONTROLS = Controls(noise=0.1, distill_rate=0.01, band=5)
ASKED = Reconstruction(steps=60, batch=16)
OWN = {"decoded", "mean_latent", "refined"}
MADE = {
    "constant", "nearest_weights", "nearest_agreement", "readout", "pca", "noise", "mean_weights",
    "distilled",
}  # fmt: skip

pytestmark = pytest.mark.usefixtures("one_thread")

# Agreement with others

LABELS = torch.tensor([0, 0, 0, 0])
TARGETS = said("aaaa", "aaab", "aabb", "bbbb")  # accuracies 1, 0.75, 0.5, 0


@pytest.mark.parametrize(
    ("band", "wanted"),
    [
        # Network 2 is as far from network 1 as from none other; network 1 lies 0.25 from both.
        (1, [0.75, 0.75, 0.75, 0.5]),
        (2, [(0.75 + 0.5) / 2, (0.75 + 0.75) / 2, (0.75 + 0.5) / 2, (0.5 + 0.25) / 2]),
        (3, [1.25 / 3, 1.75 / 3, 1.75 / 3, 0.75 / 3]),
        (99, [1.25 / 3, 1.75 / 3, 1.75 / 3, 0.75 / 3]),
    ],
)
def test_agreement_with_others_of_the_same_accuracy_band(band, wanted):
    assert agreement_other(TARGETS, TARGETS, LABELS, band).tolist() == pytest.approx(wanted)


def test_agreement_with_others_is_of_what_was_decoded_not_of_the_target():
    outputs = said("bbbb", "bbbb", "bbbb", "aaaa")
    wanted = [1 / 4, 0, 1 / 4, 1 / 2]  # with targets 1, 0, 1, 2
    assert agreement_other(outputs, TARGETS, LABELS, 1).tolist() == pytest.approx(wanted)


def test_a_network_alone_has_no_others():
    assert math.isnan(agreement_other(TARGETS[:1], TARGETS[:1], LABELS, 5).item())


# Rows


def comparison(toy, name: str = "LeNetLike") -> Comparison:
    return Comparison(
        train=toy.zoo["train"][name],
        test=toy.zoo["test"][name],
        known=toy.images,
        images=toy.test,
        stream=Stream("test"),
        seed=7,
        band=5,
    )


def test_rows_hold_what_was_measured(toy):
    images = ImageSplit(torch.zeros(4, 1, 8, 8), LABELS, CLASSES, "toy", "")
    one = replace(comparison(toy), images=images)
    one.__dict__["targets"] = said("aaaa", "aabb")
    columns = {"predicted_architecture": ["LeNetLike", "x"], "embedder": "our", "seed": 3}
    made = pd.DataFrame(one.rows("decoded", said("aaab", "aabb"), **columns))
    assert made["network"].tolist() == ["LeNetLike-0000", "LeNetLike-0001"]
    assert made["target_accuracy"].tolist() == [1, 0.5]
    assert made["accuracy"].tolist() == [0.75, 0.5]
    assert made["agreement"].tolist() == [0.75, 1]
    assert made["agreement_other"].tolist() == [0.75, 0.5]
    assert made["predicted_architecture"].tolist() == ["LeNetLike", "x"]
    assert set(made["embedder"]) == {"our"} and set(made["seed"]) == {3}
    control = pd.DataFrame(one.rows("noise", said("aaab", "aabb")))
    assert set(control["predicted_architecture"]) == {"LeNetLike"}
    assert set(control["embedder"]) == {"none"} and set(control["seed"]) == {7}


# Decoded networks


def decoded(toy) -> pd.DataFrame:
    made = [comparison(toy, name) for name in NAMES]
    rows = [one.decoded(toy.embedder, 2) + one.mean_latent(toy.embedder, 2) for one in made]
    return pd.DataFrame(sum(rows, []))


def test_decoded_networks_run_as_the_predicted_architecture(toy):
    found = decoded(toy)
    assert len(found) == 2 * 2 * 3 and set(found["embedder"]) == {CFG.arm}
    assert set(found["method"]) == {"decoded", "mean_latent"} and set(found["seed"]) == {2}
    for _, row in found[found["method"] == "decoded"].iterrows():
        module = toy.embedder.decode(toy.embedder.encode(row["network"], toy.catalogue))
        target = toy.unfused(row["architecture"], int(row["network"][-4:]))
        with torch.no_grad():
            outputs, wanted = module(toy.test.x), target(toy.test.x)
        assert row["predicted_architecture"] == module.architecture
        assert row["accuracy"] == pytest.approx(ensemble.accuracy(outputs, toy.test.y).item())
        assert row["target_accuracy"] == pytest.approx(ensemble.accuracy(wanted, toy.test.y).item())
        assert row["agreement"] == pytest.approx(ensemble.agreement(outputs, wanted).item())
    own, other = found["agreement"].mean(), found["agreement_other"].mean()
    assert 0 <= other <= 1 and 0 <= own <= 1


def test_a_wrong_prediction_is_run_as_predicted_and_says_so(toy, monkeypatch):
    arm, right = toy.embedder.arm, decoded(toy)
    swapped = torch.eye(3)[[1, 0, 2]]
    names = {"LeNetLike": "VanillaCNN", "VanillaCNN": "LeNetLike", "ResNet8": "ResNet8"}
    classify = arm.classify
    monkeypatch.setattr(arm, "classify", lambda latent: classify(latent) @ swapped)
    found = decoded(toy)
    with torch.no_grad():
        latents = arm.encode("LeNetLike", toy.zoo["test"]["LeNetLike"].flat)
        wanted = [names[toy.embedder.architectures[k]] for k in classify(latents).argmax(-1)]
        monkeypatch.undo()
        predicted = [toy.embedder.decode(z, name) for z, name in zip(latents, wanted, strict=True)]
        accuracies = [ensemble.accuracy(net(toy.test.x), toy.test.y).item() for net in predicted]
    these = found[(found["architecture"] == "LeNetLike") & (found["method"] == "decoded")]
    assert these["predicted_architecture"].tolist() == wanted
    assert these["accuracy"].tolist() == pytest.approx(accuracies)
    same = found["method"] == "mean_latent"
    assert found[same].equals(right[same])


def test_the_mean_latent_is_one_network_for_all(toy):
    found = decoded(toy)
    mean = found[found["method"] == "mean_latent"]
    assert mean.groupby("architecture")["accuracy"].nunique().eq(1).all()
    assert (mean["predicted_architecture"] == mean["architecture"]).all()


# The table


@pytest.fixture(scope="module")
def found(toy, one_thread) -> pd.DataFrame:
    return reconstruction.run(task(toy, "reconstruction", controls=CONTROLS), ASKED)


def test_every_method_has_a_row_for_every_test_network(toy, found):
    columns = CLASSIFIERS["reconstruction"]
    assert tuple(found.columns[: len(columns)]) == columns and "epochs" in found
    counts = found.groupby(["method", "architecture"]).size().unstack()
    assert set(counts.index) == OWN | MADE
    assert set(counts.columns) == set(NAMES) and (counts == 2).all().all()
    own, control = (found[found["method"].isin(some)] for some in (OWN, MADE))
    assert set(own["seed"]) == {3} and set(own["embedder"]) == {CFG.arm}
    assert set(control["seed"]) == {0} and set(control["embedder"]) == {"none"}
    assert (control["predicted_architecture"] == control["architecture"]).all()
    for name in ("target_accuracy", "accuracy", "agreement", "agreement_other"):
        assert found[name].between(0, 1).all()
    for name, population in toy.zoo["test"].items():
        kept = own.loc[own["architecture"] == name, "compression"]
        assert set(kept) == {population.flat.shape[1] / CFG.latent}
    assert set(own["latent"]) == {CFG.latent} and control["compression"].isna().all()


def test_controls_are_the_networks_they_say(toy, found):
    for name in NAMES:
        train, test = toy.zoo["train"][name], toy.zoo["test"][name]
        these = found[found["architecture"] == name].groupby("method")["accuracy"]
        for method, flat in (
            ("constant", train.best()[None]),
            ("mean_weights", train.flat.mean(0, keepdim=True)),
            ("nearest_weights", controls.nearest_weights(train, test.flat)),
        ):
            outputs = train.family.predict(flat, toy.test.x)
            wanted = ensemble.accuracy(outputs, toy.test.y).expand(2)
            assert these.get_group(method).tolist() == pytest.approx(wanted.tolist())
    distilled = found[found["method"] == "distilled"]["accuracy"].mean()
    assert distilled > 0.4  # chance is 0.25


def test_a_space_of_one_architecture_has_the_same_table(toy):
    cfg = Embedding(
        arm="readout", latent=140, probes=48, temperature=0.5, temperature_unit="spread"
    )
    torch.manual_seed(0)
    arm, zoo = make_arm(cfg, [graded.NAME], (1, 8, 8), 4), graded.zoo(toy)
    known = {graded.NAME: zoo["train"].flat}, {graded.NAME: zoo["train"].scores}
    arm.prepare(*known, toy.images.x, Stream("prepare").torch())
    one = task(toy, "reconstruction", {split: {graded.NAME: p} for split, p in zoo.items()})
    one = replace(one, embedders={7: Embedder(arm, {})})
    table = reconstruction.run(one, Reconstruction(steps=3, batch=8))
    names = table.groupby("method")["network"].apply(list)
    assert names.map(lambda found: found == zoo["test"].names).all()
    assert set(table["method"]) == OWN | MADE
    own = table[table["embedder"] == "readout"]
    assert set(own["seed"]) == {7} and set(own["method"]) == OWN
    assert set(own["compression"]) == {zoo["test"].flat.shape[1] / cfg.latent}
    assert (table.groupby("network")["target_accuracy"].nunique() == 1).all()
    assert table["epochs"].tolist() == zoo["test"].frame["epochs"].tolist() * len(OWN | MADE)
