"""Architectures never seen: what may be known of them, the tables, and what the report says."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from lib.config import Controls, Training, Unseen
from lib.embed.fresh import fresh_networks
from lib.embed.product import Embedder
from lib.engine import ensemble
from lib.engine.family import Family
from lib.engine.training import Engine
from lib.evaluate import finetune, unseen
from lib.evaluate.statistics import bootstrap_interval, bootstrap_pairs
from lib.report.multiarch import multiarch_report
from lib.report.unseen_summary import measure, sentences, verdicts
from lib.study import ConfigError, parse_study
from lib.zoo import population
from lib.zoo.store import Catalogue, CatalogueError
from report_fixture import ARCHITECTURES, RUN, write_study
from toy import CFG, NAMES

LEFT, ENDS = "VanillaCNN", ("LeNetLike", "ResNet8")
UNSEEN = Unseen(fresh=2, distilled=2, finetuned=2, finetune_rate=0.02, scratch_epochs=(1, 12))
ENGINE = Engine("compiled")

pytestmark = pytest.mark.usefixtures("one_thread")


# --- which sets can be left out


def test_by_default_all_architectures_between_the_extremes_are_left_out():
    assert parse_study({}).left_out == (("VanillaCNN", "ResNet8"),)
    assert parse_study({"architectures": ["LeNetLike", "ResNet8"]}).left_out == ()
    assert parse_study({"unseen": {"left_out": []}}).left_out == ()
    several = [["ResNet8", "VanillaCNN"], ["ResNet8"]]
    found = parse_study({"unseen": {"left_out": several}}).left_out
    assert found == (("VanillaCNN", "ResNet8"), ("ResNet8",)), "each set in class order"


@pytest.mark.parametrize(
    "wrong, said",
    [
        ([["ResNet14"]], "does not lie between the extremes"),
        ([["LeNetLike", "ResNet8"]], "LeNetLike, which does not lie between"),
        ([["Lenet"]], "must be one of VanillaCNN, ResNet8"),
        ([[]], "expected different names"),
        ([["ResNet8", "ResNet8"]], "expected different names"),
        ([["VanillaCNN", "ResNet8"], ["ResNet8", "VanillaCNN"]], "same set twice"),
    ],
)
def test_a_set_that_cannot_be_left_out_is_refused(wrong, said):
    with pytest.raises(ConfigError, match=said):
        parse_study({"unseen": {"left_out": wrong}})


# --- what an embedder knows of an architecture it never saw


def test_fresh_networks_are_initialised_and_fused_like_any_other(toy):
    flat = fresh_networks("ResNet8", toy.images, 2, ("a",))
    assert flat.equal(fresh_networks("ResNet8", toy.images, 2, ("a",)))
    assert flat[:1].equal(fresh_networks("ResNet8", toy.images, 1, ("a",)))
    assert not flat[0].equal(flat[1])
    family = Family.of("ResNet8", 1, 8, 4)
    state = family.layout.unflatten(flat)
    assert all((part == 0).all() for name, part in state.items() if name == "conv.bias")


def test_calibrated_networks_have_the_statistics_of_a_first_pass(toy):
    flat = fresh_networks("ResNet8", toy.images, 1, ("a",), calibrated=True)
    family = Family.of("ResNet8", 1, 8, 4)
    with torch.no_grad():
        family.module.load_state_dict(
            {name: part[0] for name, part in family.layout.unflatten(flat).items()}
        )
        seen = family.module.conv(toy.images.x)
    count = seen.numel() / seen.shape[1]
    torch.testing.assert_close(seen.mean((0, 2, 3)), torch.zeros(8), atol=1e-4, rtol=0)
    wanted = torch.full((8,), 1 - 1 / count)  # running variances are unbiased ones
    torch.testing.assert_close(seen.var((0, 2, 3), correction=0), wanted, atol=1e-3, rtol=0)
    plain = fresh_networks("VanillaCNN", toy.images, 1, ("a",))
    assert plain.equal(fresh_networks("VanillaCNN", toy.images, 1, ("a",), calibrated=True))


@pytest.fixture(scope="module")
def trained(toy, one_thread):
    """An embedder that was given nothing of the middle architecture but fresh networks."""
    torch.manual_seed(0)
    from lib.embed import multiarch
    from lib.embed.product import make_arm

    # The catalogue of a job that is given the shards of the seen architectures alone.
    shards = [toy.catalogue.parent / f"{name}.h5" for name in ENDS]
    catalogue = Catalogue.build(shards, ENDS)
    with pytest.raises(CatalogueError, match=LEFT):
        population.load(catalogue, [LEFT], "train", toy.images)
    zoo = {
        split: population.load(catalogue, ENDS, split, toy.images)
        for split in ("train", "validation")
    }
    arm = make_arm(CFG.model_copy(update={"steps": 200}), NAMES, (1, 8, 8), 4)
    fresh = {LEFT: fresh_networks(LEFT, toy.images, 2, ("fresh",), calibrated=True)}
    start = {}
    prepare = arm.prepare

    def kept(networks, *others):
        prepare(networks, *others)
        start.update({name: value.clone() for name, value in arm.state_dict().items()})

    arm.prepare = kept
    multiarch.train(
        arm,
        ("toy", 0),
        population.flats(zoo["train"]),
        {name: found.scores for name, found in zoo["train"].items()},
        population.flats(zoo["validation"]),
        toy.images,
        toy.validation,
        toy.teacher,
        fresh,
    )
    card = {"image": [1, 8, 8], "classes": toy.images.classes}
    return Embedder(arm, card), start, fresh[LEFT]


def test_the_decoder_starts_from_fresh_networks_and_takes_their_scale(trained):
    _, start, fresh = trained
    family = Family.of(LEFT, 1, 8, 4)
    scale = start[f"scale.{LEFT}"]
    for entry in family.layout.entries:
        place = slice(entry.offset, entry.offset + entry.size)
        assert scale[place].unique().numel() == 1
        assert scale[place][0].item() == pytest.approx(fresh[:, place].std().item(), rel=1e-5)
    torch.testing.assert_close(start[f"base.{LEFT}"] * scale, fresh[0])


def test_what_was_never_seen_is_generated_and_works(trained, toy):
    table = unseen.table(unseen.generated_rows(trained[0], [LEFT], 3, toy.zoo, toy.test))
    made = table[table["method"] == "generated"]
    assert list(made["pair"]) == [
        f"LeNetLike-{i:04d}:ResNet8-{j:04d}" for i in (0, 1) for j in (0, 1)
    ]
    assert (made["gamma"] == 0.5).all() and set(table["seed"]) == {3}
    assert set(table["left_out"]) == set(table["architecture"]) == {LEFT}
    assert (made["predicted_architecture"] == LEFT).all() and (made["accuracy"] > 0.6).all()
    constant = table[table["method"] == "constant"]
    assert list(constant["pair"]) == ["mean"] and list(constant["agreement_other"]) == [1.0]


def test_the_space_that_saw_all_is_asked_at_the_same_points(trained, toy):
    rows = unseen.generated_rows(toy.embedder, [LEFT], 0, toy.zoo, toy.test, "all_four")
    table, made = (
        unseen.table(rows),
        unseen.table(unseen.generated_rows(trained[0], [LEFT], 0, toy.zoo, toy.test)),
    )
    keys = ["pair", "gamma", "architecture"]
    wanted = made.loc[made["method"] == "generated", keys]
    pd.testing.assert_frame_equal(table[keys], wanted)
    assert set(table["method"]) == {"all_four"}


def test_a_latent_decodes_as_what_is_predicted_for_it(toy):
    """Accuracy and prediction are those of the network that a user would be handed."""
    table = unseen.table(unseen.generated_rows(toy.embedder, [LEFT], 0, toy.zoo, toy.test))
    ends = [toy.zoo["test"][name] for name in ENDS]
    first, last = (toy.embedder.arm.encode(one.family.architecture, one.flat) for one in ends)
    for row, (i, j) in zip(table.itertuples(), [(0, 0), (0, 1), (1, 0), (1, 1)], strict=False):
        network = toy.embedder.decode(0.5 * first[i] + 0.5 * last[j])
        assert row.predicted_architecture == network.architecture
        accuracy = ensemble.accuracy(network(toy.test.x), toy.test.y).item()
        assert row.accuracy == pytest.approx(accuracy)


@pytest.mark.parametrize(
    "answers, wanted",
    [
        ([[0, 1, 2], [0, 1, 2], [0, 1, 0]], [5 / 6, 5 / 6, 4 / 6]),
        ([[0, 1], [1, 0]], [0, 0]),
        ([[3, 1]], [1]),
    ],
)
def test_agreement_among_networks(answers, wanted):
    assert unseen.agreement_among(torch.tensor(answers)).tolist() == pytest.approx(wanted)


def test_controls_are_networks_of_the_architecture_that_know_no_trained_one(toy):
    family = toy.zoo["test"][LEFT].family
    cfg = CFG.model_copy(update={"steps": 150})
    made = unseen.controls_of(family, UNSEEN, Controls(), cfg, 0, toy.images, toy.teacher)
    table = unseen.table(unseen.control_rows([LEFT], 0, {LEFT: made}, toy.zoo["test"], toy.test))
    assert list(table["method"]) == ["trained"] * 2 + ["initialised"] * 2 + ["distilled"] * 2
    assert table["gamma"].isna().all() and (table["predicted_architecture"] == LEFT).all()
    means = table.groupby("method")["accuracy"].mean()
    assert means["initialised"] < 0.5 < means["distilled"]
    trained = toy.zoo["test"][LEFT]
    wanted = ensemble.accuracy(trained.outputs(toy.test), toy.test.y).tolist()
    assert list(table["pair"][:2]) == trained.names
    assert table["accuracy"][:2].tolist() == pytest.approx(wanted)


# --- further training


def test_fine_tuning_and_training_from_scratch_are_in_one_table(trained, toy):
    training = Training(batch_size=16, learning_rate=0.08)
    family = toy.zoo["test"][LEFT].family
    arguments = toy.images, toy.validation, ENGINE
    scratch = {LEFT: finetune.from_scratch(family, UNSEEN, training, 0, *arguments)}
    arguments = UNSEEN, training, toy.zoo["test"], toy.images, toy.test, ENGINE
    rows = finetune.finetuned_rows(trained[0], [LEFT], 0, *arguments)
    rows += finetune.scratch_rows([LEFT], 0, scratch, {LEFT: family}, toy.images, toy.test)
    table = finetune.table(rows)
    counts = table.groupby(["method", "epochs"], sort=False).size()
    assert counts.to_dict() == {
        ("generated", 0): 2,
        ("finetuned", 1): 2,
        ("scratch", 1): 2,
        ("scratch", 12): 2,
    }
    assert list(table["network"][:2]) == [f"LeNetLike-{i:04d}:ResNet8-{i:04d}" for i in (0, 1)]
    means = table.groupby(["method", "epochs"])[["train_accuracy", "accuracy"]].mean()
    assert (means.loc[("finetuned", 1)] > means.loc[("scratch", 1)]).all()
    assert (means.loc[("scratch", 12)] > means.loc[("scratch", 1)]).all()


# --- intervals


def test_the_interval_over_pairs_counts_networks_not_pairs():
    random = np.random.default_rng(0)
    first, last = random.normal(0, 1, 10), random.normal(0, 1, 10)
    names = [(f"a{i}", f"b{j}", first[i] + last[j]) for i in range(10) for j in range(10)]
    mean, low, high = bootstrap_pairs(*zip(*names, strict=True), "test")
    assert mean == pytest.approx(first.mean() + last.mean()) and low < mean < high
    error = math.sqrt(first.var(ddof=1) / 10 + last.var(ddof=1) / 10)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.15)
    _, narrow, wide = bootstrap_interval([value for *_, value in names], "test")
    assert high - low > 1.5 * (wide - narrow)


def test_one_network_on_a_side_has_no_interval():
    mean, low, high = bootstrap_pairs(["a", "a"], ["b", "c"], [0.2, 0.4])
    assert mean == pytest.approx(0.3) and math.isnan(low) and math.isnan(high)


# --- the report


@pytest.fixture
def files(tmp_path):
    return write_study(tmp_path / "results", instances=(4, 2, 3), pairs=2, points=13)


def test_what_the_page_says_follows_from_the_table(files):
    frame = pd.read_csv(files.unseen)
    found = {(one.architecture, one.method): one for one in measure(frame)}
    made = found["VanillaCNN", "generated"]
    wanted = frame[(frame["architecture"] == "VanillaCNN") & (frame["method"] == "generated")]
    assert made.accuracy == pytest.approx(wanted["accuracy"].mean())
    assert made.right == 1 and len(made.rows) == 9
    assert made.bounds[0] < made.accuracy < made.bounds[1]
    assert [verdict.state for verdict in verdicts(frame)] == ["reached", "reached"]
    text = " ".join(sentences(measure(frame)))
    assert "100.0\u00a0% of 9 pairs" in text and "differ less" in text
    wrong = frame["method"].eq("generated") & frame["architecture"].eq("ResNet8")
    frame.loc[wrong, "predicted_architecture"] = "ResNet14"
    frame.loc[wrong, "accuracy"] -= 0.05
    assert [verdict.state for verdict in verdicts(frame)] == ["short", "short"]


def test_seeds_are_averaged_before_networks_are_counted(files):
    frame = pd.read_csv(files.unseen)
    twice = pd.concat([frame, frame.assign(seed=1, accuracy=frame["accuracy"] - 0.02)])
    one, two = measure(frame)[0], measure(twice)[0]
    assert len(one.rows) == len(two.rows)
    assert two.accuracy == pytest.approx(one.accuracy - 0.01)
    assert np.subtract(*two.bounds) == pytest.approx(np.subtract(*one.bounds), rel=0.2)


def test_a_study_that_leaves_nothing_out_has_no_such_section(files):
    from dataclasses import replace

    page = multiarch_report(files, ARCHITECTURES, RUN, files.catalogue.parents[1])
    assert 'id="unseen"' in page and "Architectures it never saw" in page
    none = replace(files, unseen=None, unseen_finetune=None)
    page = multiarch_report(none, ARCHITECTURES, RUN, files.catalogue.parents[1])
    assert 'id="unseen"' not in page and "#unseen" not in page
