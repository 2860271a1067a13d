"""The space of shapes: warps, the loss, the arm of fields, training and what comes back."""

import pytest
import torch

from lib.config import Instances
from lib.core.repro import generator
from lib.data.sdf import Samples
from lib.embed import load_embedder
from lib.embed.arm import EmbedderError
from lib.embed.product import Embedder, make_arm
from lib.embed.shapes import field_loss
from lib.embed.warps import Warps
from lib.engine.training.fields import train_fields
from lib.nets import build_field
from lib.zoo.exchange.network import load_network
from lib.zoo.fields import extract, family_of, iou, load, with_points
from lib.zoo.store import Catalogue, write_shard
from toy_shapes import CFG, FIELD, boxes, trained_arm, zoo

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def known():
    return zoo(12, 0)


@pytest.fixture(scope="module")
def held_out():
    return zoo(4, 1)


@pytest.fixture(scope="module")
def family(known, held_out):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = trained_arm(CFG, known, held_out)
    torch.set_num_threads(threads)
    return found


def test_warps_go_there_and_back():
    warps = Warps.draw(5, 0.5, generator("warps"))
    points = torch.rand(5, 40, 3, generator=generator("points")) * 2 - 1
    there = warps.forward(points)
    assert torch.allclose(warps.back(there), points, atol=1e-5)
    assert (there - points).abs().max() > 0.05


def test_warps_keep_the_order_along_each_axis():
    warps = Warps.draw(20, 1.0, generator("warps"))
    line = torch.linspace(-1.5, 1.5, 50)[:, None].expand(20, 50, 3)
    assert (warps.forward(line).diff(dim=1) > 0).all()


def test_no_warp_changes_nothing():
    points = torch.rand(2, 10, 3)
    assert torch.allclose(Warps.draw(2, 0.0, generator("none")).forward(points), points, atol=1e-6)


def test_iou_is_the_shared_part():
    a = torch.tensor([[True, True, False, False], [False] * 4, [True] * 4])
    b = torch.tensor([[True, False, True, False], [False] * 4, [False] * 4])
    assert iou(a, b).tolist() == pytest.approx([1 / 3, 1.0, 0.0])


def test_the_loss_counts_what_is_near_the_surface():
    near, far = torch.tensor([[0.01, -0.01]]), torch.tensor([[0.9, 0.8]])
    shift = torch.full((1, 2), 0.02)
    assert field_loss(near, near, 0.1) == 0
    assert field_loss(near + shift, near, 0.1) > 100 * field_loss(far + shift, far, 0.1)
    assert field_loss(near + shift, near, 100.0) == pytest.approx((0.02 / 100) ** 2, rel=1e-3)


def test_a_warped_field_is_seen_as_the_field_of_the_warped_shape(known):
    """Stretching a box by hand and through a warp shows the encoder the same."""
    arm = make_arm(CFG.embedder, ["SIREN"], (3,), 1, FIELD)
    flat, alike = known.flat, torch.zeros(len(known.flat))
    arm.prepare({"SIREN": flat}, {"SIREN": alike}, known.near.flatten(0, 1), generator("prepare"))
    stretched = arm.family.layout.unflatten(flat.clone())
    stretched["layers.0.weight"] /= 1.25  # f(x / 1.25): everything 1.25 times as large
    by_hand = arm.observe("SIREN", arm.family.layout.flatten(stretched))
    probes = arm.probes.expand(len(flat), -1, -1)
    assert torch.allclose(arm.observe_at(flat, probes / 1.25), by_hand, atol=1e-4)


def test_held_out_shapes_come_back(family, known, held_out):
    arm, curves = family
    with torch.no_grad():
        decoded = arm.decode("SIREN", arm.encode("SIREN", held_out.flat))
        outputs = arm.families["SIREN"].run_each(decoded, held_out.uniform)[..., 0] < 0
    own = iou(outputs, held_out.inside)
    other = iou(outputs, held_out.inside.roll(1, 0))
    assert own.mean() > 0.55
    assert own.min() > 2 * other.max()
    assert max(v for _, name, v in curves.rows if name == "validation_iou") == pytest.approx(
        own.mean().item(), abs=1e-6
    )


def test_training_twice_gives_the_same_bits(family, known, held_out):
    again, _ = trained_arm(CFG, known, held_out)
    for name, value in again.state_dict().items():
        assert torch.equal(value, family[0].state_dict()[name]), name


def test_an_arm_that_sees_weights_trains_on_the_fields_as_they_are(known, held_out):
    changes = {"arm": "paper", "latent": 64, "steps": 4, "select_every": 2, "options": {}}
    cfg = CFG.model_copy(update={"embedder": CFG.embedder.changed(changes)})
    arm, curves = trained_arm(cfg, known, held_out)
    assert arm.decode("SIREN", arm.encode("SIREN", held_out.flat)).shape == held_out.flat.shape
    assert [step for step, name, _ in curves.rows if name == "validation_iou"] == [2, 4]


def test_no_fields_is_an_error(known, held_out):
    with pytest.raises(EmbedderError, match="diverged"):
        trained_arm(CFG, known.first(0), held_out)


def test_a_saved_space_encodes_and_decodes_modules(family, known, tmp_path):
    card = {"image": [3], "classes": ["distance"], "field": FIELD, "seed": 0}
    Embedder(family[0], card).save(tmp_path / "embedder.safetensors")
    loaded = load_embedder(tmp_path / "embedder.safetensors")
    state = family_of(CFG).layout.unflatten(known.flat[0])
    latent = loaded.encode(state)
    wanted = family[0].encode("SIREN", known.flat[:1])[0]
    assert torch.equal(latent, wanted)
    module, points = loaded.decode(latent), torch.rand(20, 3)
    flat = family[0].decode("SIREN", wanted[None])
    outputs = family[0].families["SIREN"].run(flat, points)[0]
    assert torch.allclose(module(points), outputs, atol=1e-5)
    with pytest.raises(EmbedderError, match="none of the architectures"):
        loaded.encode(build_field("SIREN", (8, 8), 30.0))


def test_fields_are_stored_with_their_fit_and_read_back(tmp_path):
    points, distances = boxes(5, 2)

    def train(cfg):
        names = [("stored", i) for i in range(5)]
        return train_fields(lambda: build_field("SIREN", **FIELD), names, cfg, points, distances)

    samples = Samples([f"shape-{i}" for i in range(5)], points, distances)
    instances = Instances(train=2, validation=1, test=2)
    short = CFG.training.model_copy(update={"steps": 1})
    for name, trained in (("good", train(CFG.training)), ("bad", train(short))):
        shard = extract(CFG, trained, instances, samples, samples, {"init": "independent"})
        write_shard(tmp_path / f"{name}.h5", shard)
    zoo = Catalogue.build([tmp_path / "good.h5"])
    assert zoo.frame["split"].tolist() == ["test", "test", "validation", "train", "train"]
    assert zoo.frame["shape"].tolist() == samples.names
    bad = Catalogue.build([tmp_path / "bad.h5"]).frame
    assert (zoo.frame["mse"] < bad["mse"]).all()
    assert (zoo.frame["sign_accuracy"] > bad["sign_accuracy"]).all()
    assert zoo.frame["iou"].between(0.6, 1).all()
    found = load(zoo, family_of(CFG), "test")
    assert with_points(found, [samples], [samples]).inside.equal(
        torch.from_numpy(distances[:2] < 0)
    )
    module = load_network(tmp_path / "good.h5", "SIREN-0001")
    inside = module(torch.from_numpy(points[1]))[:, 0] < 0
    share = iou(inside[None], torch.from_numpy(distances[1:2] < 0)).item()
    assert share == pytest.approx(zoo.frame["iou"][1], abs=0.01)


def test_fields_only_take_probing_of_their_own_kind(known):
    with pytest.raises(EmbedderError, match="reach"):
        make_arm(CFG.embedder.changed({"options": {"reach": 0}}), ["SIREN"], (3,), 1, FIELD)
