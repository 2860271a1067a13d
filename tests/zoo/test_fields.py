"""Fields as they are stored, with how well they fit."""

import pytest
import torch

from lib.config import Instances
from lib.core.streams import Stream
from lib.data.sdf import Samples
from lib.engine.training.fields import train_fields
from lib.nets import build_field
from lib.zoo.exchange.network import load_network
from lib.zoo.fields import extract, family_of, iou, load, with_points
from lib.zoo.store import Catalogue, write_shard
from toy_shapes import FIELD, ZOO, boxes

pytestmark = pytest.mark.usefixtures("one_thread")


def test_iou_is_the_shared_part():
    a = torch.tensor([[True, True, False, False], [False] * 4, [True] * 4])
    b = torch.tensor([[True, False, True, False], [False] * 4, [False] * 4])
    assert iou(a, b).tolist() == pytest.approx([1 / 3, 1.0, 0.0])


def test_fields_are_stored_with_their_fit_and_read_back(tmp_path):
    points, distances = boxes(5, 2)

    def train(cfg):
        streams = [Stream("stored", i) for i in range(5)]
        return train_fields(lambda: build_field("SIREN", **FIELD), streams, cfg, points, distances)

    samples = Samples([f"shape-{i}" for i in range(5)], points, distances)
    zoo_of = ZOO.model_copy(update={"instances": Instances(train=2, validation=1, test=2)})
    short = ZOO.training.model_copy(update={"steps": 1})
    for name, trained in (("good", train(ZOO.training)), ("bad", train(short))):
        shard = extract(zoo_of, trained, samples, samples, {"init": "independent"})
        write_shard(tmp_path / f"{name}.h5", shard)
    zoo = Catalogue.build([tmp_path / "good.h5"])
    assert zoo.frame["split"].tolist() == ["test", "test", "validation", "train", "train"]
    assert zoo.frame["shape"].tolist() == samples.names
    bad = Catalogue.build([tmp_path / "bad.h5"]).frame
    assert (zoo.frame["mse"] < bad["mse"]).all()
    assert (zoo.frame["sign_accuracy"] > bad["sign_accuracy"]).all()
    assert zoo.frame["iou"].between(0.6, 1).all()
    found = load(zoo, family_of(ZOO), "test", "boxes")
    assert with_points(found, [samples], [samples]).inside.equal(
        torch.from_numpy(distances[:2] < 0)
    )
    module = load_network(tmp_path / "good.h5", "SIREN-0001")
    inside = module(torch.from_numpy(points[1]))[:, 0] < 0
    share = iou(inside[None], torch.from_numpy(distances[1:2] < 0)).item()
    assert share == pytest.approx(zoo.frame["iou"][1], abs=0.01)
