"""Evaluation: what is measured of decoded networks, the controls beside them, the teacher."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from lib.config import Controls, Teacher, Training
from lib.data.images import ImageSplit
from lib.embed import losses
from lib.embed.arm import EmbedderError
from lib.embed.fresh import fresh_networks
from lib.embed.teacher import teacher_logits
from lib.engine import ensemble
from lib.evaluate import controls
from lib.evaluate.reconstruction import (
    COLUMNS,
    agreement_other,
    control_rows,
    decoded_rows,
    rows,
    table,
)
from lib.zoo import population
from lib.zoo.population import Population
from lib.zoo.store import Catalogue
from toy import CFG, CLASSES, NAMES

CONTROLS = Controls(noise=0.1, distill_rate=0.01, band=5)

pytestmark = pytest.mark.usefixtures("one_thread")


def said(*answers: str) -> torch.Tensor:
    """Logits [n, images, 4] of networks that answer so, one letter for each image."""
    return torch.stack(
        [F.one_hot(torch.tensor(["abcd".index(a) for a in one]), 4).float() for one in answers]
    )


def pick(found: Population, index: list[int]) -> Population:
    """Some networks of a population."""
    frame = found.frame.iloc[index].reset_index(drop=True)
    return Population(found.family, frame, found.flat[index])


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


def test_rows_hold_what_was_measured(toy):
    pair = toy.zoo["test"]["LeNetLike"]
    images = ImageSplit(torch.zeros(4, 1, 8, 8), LABELS, CLASSES, "toy", "")
    targets, outputs = said("aaaa", "aabb"), said("aaab", "aabb")
    made = table(rows(pair, targets, outputs, images, 5, "decoded", ["LeNetLike", "x"], "our", 3))
    assert tuple(made.columns) == COLUMNS
    assert made["network"].tolist() == ["LeNetLike-0000", "LeNetLike-0001"]
    assert made["target_accuracy"].tolist() == [1, 0.5]
    assert made["accuracy"].tolist() == [0.75, 0.5]
    assert made["agreement"].tolist() == [0.75, 1]
    assert made["agreement_other"].tolist() == [0.75, 0.5]
    assert made["predicted_architecture"].tolist() == ["LeNetLike", "x"]
    assert set(made["embedder"]) == {"our"} and set(made["seed"]) == {3}
    control = table(rows(pair, targets, outputs, images, 5, "noise"))
    assert set(control["predicted_architecture"]) == {"LeNetLike"}
    assert set(control["embedder"]) == {"none"}


# Decoded networks


def decoded(toy):
    return table(decoded_rows(toy.embedder, 2, toy.zoo["train"], toy.zoo["test"], toy.test, 5))


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


# Controls


def test_a_network_that_was_trained_on_finds_itself(toy):
    for train in toy.zoo["train"].values():
        order = [2, 0, 1]
        assert controls.nearest_weights(train, train.flat[order]).equal(train.flat[order])
        known = train.outputs(toy.images)
        found = controls.nearest_agreement(train, known, known[order])
        assert found.equal(train.flat[order])


def test_the_nearest_weights_of_a_worked_example(toy):
    train = pick(toy.zoo["train"]["LeNetLike"], [0, 1, 2])
    flat = torch.zeros(3, train.family.layout.size)
    flat[:, 0] = torch.tensor([0.0, 10.0, 20.0])
    train = Population(train.family, train.frame, flat)
    asked = torch.zeros(3, flat.shape[1])
    asked[:, 0] = torch.tensor([14.0, -3.0, 16.0])
    assert controls.nearest_weights(train, asked)[:, 0].tolist() == [10, 0, 20]


def test_the_nearest_in_agreement_of_a_worked_example(toy):
    train = toy.zoo["train"]["LeNetLike"]
    known = said("aaaa", "aabb", "aabb")
    known[2] *= 5  # as `aabb`, but surer
    found = controls.nearest_agreement(train, known, torch.cat([said("aaab"), 4 * said("aabb")]))
    # `aaab` agrees on three images with all of them: the outputs decide. So they do for the second.
    wanted = [losses.distillation(known, said("aaab"), 4.0).argmin().item(), 2]
    assert found.equal(train.flat[wanted])
    closer = controls.nearest_agreement(train, known, said("aabb"))
    assert closer.equal(train.flat[[1]])


def test_noise_around_training_networks_has_the_level_asked_for(toy):
    train = toy.zoo["train"]["ResNet8"]
    found = controls.noisy(train, 40, 0.1, ("noise", 1))
    assert found.equal(controls.noisy(train, 40, 0.1, ("noise", 1)))
    assert not found.equal(controls.noisy(train, 40, 0.1, ("noise", 2)))
    change = found[:, None] - train.flat[None]
    near = change.abs().sum(-1).argmin(1)
    assert set(near.tolist()) == {0, 1, 2}
    change = change[torch.arange(40), near]
    for entry in train.family.layout.entries:
        place = slice(entry.offset, entry.offset + entry.size)
        wanted = 0.1 * train.flat[:, place].std()
        assert change[:, place].std().item() == pytest.approx(wanted.item(), rel=0.2)
    one = controls.noisy(pick(train, [0]), 3, 0.1, ("noise", 1))
    assert one.isfinite().all() and not one[0].equal(one[1])


def test_distillation_from_scratch_learns(toy):
    family, y = toy.zoo["train"]["LeNetLike"].family, toy.images.y
    seen = []

    def loss(run, rng):
        chosen = torch.randint(len(y), (32,), generator=rng)
        return losses.labels(run(toy.images.x[chosen]), y[chosen])

    def distill(count=2, names=("a", 1)):
        return controls.distill(
            family,
            fresh_networks("LeNetLike", toy.images, count, names),
            names,
            60,
            0.01,
            loss,
            25,
            lambda step, flat: seen.append((step, flat.clone())),
        )

    made = distill()
    assert [step for step, _ in seen] == [0, 25, 50, 60] and seen[-1][1].equal(made)
    before, after = (
        ensemble.accuracy(family.predict(flat, toy.images.x), y).mean()
        for flat in (seen[0][1], made)
    )
    assert after > 0.8 > before and made.shape == (2, family.layout.size)
    assert not made.requires_grad and not made[0].equal(made[1])
    assert distill().equal(made) and not distill(names=("a", 2)).equal(made)


@pytest.fixture(scope="module")
def controlled(toy, one_thread):
    cfg = CFG.model_copy(update={"steps": 90})
    zoo = toy.zoo
    return table(control_rows(CONTROLS, 7, cfg, zoo["train"], zoo["test"], toy.images, toy.test))


def test_every_control_has_a_row_for_every_test_network(toy, controlled):
    counts = controlled.groupby(["method", "architecture"]).size().unstack()
    assert set(counts.index) == {
        "constant", "nearest_weights", "nearest_agreement", "noise", "mean_weights", "distilled",
    }  # fmt: skip
    assert set(counts.columns) == set(NAMES) and (counts == 2).all().all()
    assert (controlled["predicted_architecture"] == controlled["architecture"]).all()
    assert set(controlled["seed"]) == {7} and set(controlled["embedder"]) == {"none"}
    for name in ("target_accuracy", "accuracy", "agreement", "agreement_other"):
        assert controlled[name].between(0, 1).all()


def test_controls_are_the_networks_they_say(toy, controlled):
    for name in NAMES:
        train, test = toy.zoo["train"][name], toy.zoo["test"][name]
        these = controlled[controlled["architecture"] == name].groupby("method")["accuracy"]
        for method, flat in (
            ("constant", train.best()[None]),
            ("mean_weights", train.flat.mean(0, keepdim=True)),
            ("nearest_weights", controls.nearest_weights(train, test.flat)),
        ):
            outputs = train.family.predict(flat, toy.test.x)
            wanted = ensemble.accuracy(outputs, toy.test.y).expand(2)
            assert these.get_group(method).tolist() == pytest.approx(wanted.tolist())
    distilled = controlled[controlled["method"] == "distilled"]["accuracy"].mean()
    assert distilled > 0.4  # chance is 0.25


# Populations and the teacher


def test_a_population_is_the_healthy_networks_of_a_split(toy):
    catalogue = Catalogue.load(toy.catalogue)
    catalogue.frame.loc[catalogue.frame["network"] == "LeNetLike-0005", "status"] = "diverged"
    found = population.load(catalogue, NAMES, "train", toy.images)
    assert found["LeNetLike"].names == ["LeNetLike-0004", "LeNetLike-0006"]
    assert population.flats(found)["LeNetLike"].equal(toy.networks["LeNetLike"][[0, 2]])
    best = found["VanillaCNN"]
    assert best.best().equal(best.flat[best.frame["validation_accuracy"].argmax()])
    assert list(found) == list(NAMES)
    catalogue.frame["status"] = "diverged"
    with pytest.raises(EmbedderError, match="no test network of ResNet8 is left, all have diverge"):
        population.load(catalogue, ["ResNet8"], "test", toy.images)


def test_the_teacher_is_the_mean_of_the_deepest_training_networks(toy):
    catalogue = Catalogue.load(toy.catalogue)
    found = teacher_logits(Teacher(), 0, catalogue, NAMES, toy.images, toy.validation)
    assert torch.allclose(found, toy.teacher) and found.shape == (96, 4)


def test_a_teacher_of_another_architecture_is_trained(toy):
    training = Training(epochs=2, batch_size=16, learning_rate=0.05)
    cfg = Teacher(architecture="ResNet14", networks=2, training=training)
    found = teacher_logits(cfg, 3, None, NAMES, toy.images, toy.validation)
    assert found.equal(teacher_logits(cfg, 3, None, NAMES, toy.images, toy.validation))
    assert found.shape == (96, 4) and found.isfinite().all()
    wild = training.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(EmbedderError, match=r"every teacher network \(ResNet14\) has diverged"):
        teacher_logits(cfg.model_copy(update={"training": wild}), 3, None, NAMES, toy.images,
                       toy.validation)  # fmt: skip
