"""The whole training of an embedder, as its job does it."""

from __future__ import annotations

import pytest

import toy_shapes
from lib.config import Embedding, LossWeights
from lib.config.embedding import uses_teacher
from lib.core.streams import Stream
from lib.data.sdf import read_samples, write_samples
from lib.embed.arm import EmbedderError
from lib.embed.job import train_embedder, train_field_embedder
from lib.engine.training.fields import train_fields
from lib.nets import build_field
from lib.zoo.fields import extract, shape_name
from lib.zoo.store import Catalogue, write_shard
from toy import CFG, NAMES

pytestmark = pytest.mark.usefixtures("one_thread")

SHORT = CFG.model_copy(update={"steps": 4, "select_every": 2})
ALONE = LossWeights(own=1, teacher=0, label=0, interpolation=0)


def trained(toy, cfg: Embedding, architectures=NAMES, **given):
    arguments = {
        "space": "mine",
        "zoo": "toy",
        "catalogue": Catalogue.load(toy.catalogue),
        "images": toy.images,
        "validation": toy.validation,
        "stream": Stream("space", 0, "mine", "embedder", 3),
        "seed": 3,
        "teacher": toy.teacher,
    }
    return train_embedder(cfg, architectures=architectures, **arguments | given)


def same(one, other) -> bool:
    states = one.arm.state_dict(), other.arm.state_dict()
    return all(value.equal(states[1][name]) for name, value in states[0].items())


def test_an_embedder_has_a_card_and_depends_on_its_stream_alone(toy):
    (embedder, curves), (again, _) = trained(toy, SHORT), trained(toy, SHORT)
    assert same(embedder, again) and embedder.architectures == NAMES
    assert embedder.card["seed"] == 3 and embedder.card["unseen"] == []
    assert {name for _, name, _ in curves.rows} >= {"own", "teacher", "validation_agreement"}
    assert not same(embedder, trained(toy, SHORT, stream=Stream("other"))[0])


def test_it_is_given_as_many_networks_as_the_space_says(toy):
    few, _ = trained(toy, SHORT, trained_on=2)
    assert not same(few, trained(toy, SHORT)[0])


def test_an_architecture_left_out_is_known_by_fresh_networks_alone(toy):
    catalogue = Catalogue.load(toy.catalogue)
    catalogue.frame = catalogue.frame[catalogue.frame["architecture"] != "VanillaCNN"]
    embedder, curves = trained(toy, SHORT, catalogue=catalogue, left_out=["VanillaCNN"], fresh=2)
    assert embedder.card["unseen"] == ["VanillaCNN"] and embedder.architectures == NAMES
    latent = embedder.encode(catalogue.state_dict("ResNet8-0000"))
    assert embedder.decode(latent, "VanillaCNN")(toy.test.x).isfinite().all()


def test_one_architecture_takes_no_teacher(toy):
    cfg = SHORT.model_copy(update={"weights": ALONE, "select_by": "error"})
    embedder, curves = trained(toy, cfg, NAMES[:1], teacher=None)
    assert embedder.architectures == NAMES[:1]
    found = {name for _, name, _ in curves.rows}
    assert found >= {"own", "validation_error", "selected"}
    assert not found & {"teacher", "label", "architecture", "interpolation"}
    assert all(value <= 0 for _, name, value in curves.rows if name == "selected")


@pytest.mark.parametrize(
    ("weights", "one", "two", "three"),
    [
        ({}, True, True, True),
        ({"teacher": 0}, False, False, True),
        ({"teacher": 0, "interpolation_teacher": 0}, False, False, False),
        ({"teacher": 0, "interpolation": 0}, False, False, False),
    ],
)
def test_a_teacher_is_needed_where_a_weight_asks_for_it(toy, weights, one, two, three):
    cfg = SHORT.model_copy(update={"weights": LossWeights(**weights)})
    for count, wanted in ((1, one), (2, two), (3, three)):
        assert uses_teacher(cfg, count) == wanted
        if wanted:
            with pytest.raises(EmbedderError, match="spaces.mine.embedder.weights ask for a teach"):
                trained(toy, cfg, NAMES[:count], teacher=None)
        else:
            trained(toy, cfg, NAMES[:count], teacher=None)


def test_nothing_to_learn_is_an_error(toy):
    nothing = LossWeights(**dict.fromkeys(LossWeights.model_fields, 0))
    with pytest.raises(EmbedderError, match="spaces.mine.embedder.weights are all 0"):
        trained(toy, SHORT.model_copy(update={"weights": nothing}))
    apart = LossWeights(**dict.fromkeys(LossWeights.model_fields, 0) | {"interpolation": 1})
    trained(toy, SHORT.model_copy(update={"weights": apart, "draw": "mixed", "networks": 1}))


def test_messages_say_where_the_embedder_is_configured(toy):
    with pytest.raises(EmbedderError, match="spaces.mine.embedder.arm `readout` holds one arch"):
        trained(toy, SHORT.model_copy(update={"arm": "readout"}))
    with pytest.raises(EmbedderError, match="spaces.mine.embedder.options of arm `transformer`"):
        trained(toy, SHORT.model_copy(update={"arm": "transformer", "options": {"depht": 1}}))


def test_an_embedder_of_fields_is_trained_from_files(tmp_path):
    points, distances = toy_shapes.boxes(8, 2)
    instances = toy_shapes.ZOO.instances.model_copy(update={"train": 4, "validation": 2, "test": 2})
    zoo = toy_shapes.ZOO.model_copy(update={"instances": instances})
    raw = train_fields(
        lambda: build_field("SIREN", **toy_shapes.FIELD),
        [Stream("shapes", 0, "boxes", "SIREN", i) for i in range(8)],
        zoo.training.model_copy(update={"steps": 20}),
        points,
        distances,
    )
    rows = [(shape_name(i), points[i], distances[i]) for i in range(8)]
    write_samples(tmp_path / "points.h5", rows, {})
    samples = read_samples(tmp_path / "points.h5")
    write_shard(tmp_path / "boxes.h5", extract(zoo, raw, samples, samples, {}))
    space = toy_shapes.CFG.model_copy(
        update={"embedder": toy_shapes.CFG.embedder.changed({"steps": 4, "select_every": 2})}
    )
    embedder, curves = train_field_embedder(
        space,
        zoo,
        space="mine",
        catalogue=Catalogue.build([tmp_path / "boxes.h5"]),
        near=[tmp_path / "points.h5"],
        uniform=[tmp_path / "points.h5"],
        stream=Stream("space", 0, "mine", "embedder", 0),
        seed=0,
    )
    assert embedder.card["field"] == {"widths": (16, 16), "omega": 10.0}
    assert [step for step, name, _ in curves.rows if name == "validation_iou"] == [2, 4]
