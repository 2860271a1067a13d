"""Embedders of fields: the loss, training, and what comes back."""

import pytest
import torch

from lib.embed import load_embedder
from lib.embed.arm import EmbedderError
from lib.embed.objectives.fields import field_loss
from lib.embed.product import Embedder
from lib.nets import build_field
from lib.zoo.fields import family_of, iou
from toy_shapes import CFG, FIELD, ZOO, trained_arm, zoo

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


def test_the_loss_counts_what_is_near_the_surface():
    near, far = torch.tensor([[0.01, -0.01]]), torch.tensor([[0.9, 0.8]])
    shift = torch.full((1, 2), 0.02)
    assert field_loss(near, near, 0.1) == 0
    assert field_loss(near + shift, near, 0.1) > 100 * field_loss(far + shift, far, 0.1)
    assert field_loss(near + shift, near, 100.0) == pytest.approx((0.02 / 100) ** 2, rel=1e-3)


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
    state = family_of(ZOO).layout.unflatten(known.flat[0])
    latent = loaded.encode(state)
    wanted = family[0].encode("SIREN", known.flat[:1])[0]
    assert torch.equal(latent, wanted)
    module, points = loaded.decode(latent), torch.rand(20, 3)
    flat = family[0].decode("SIREN", wanted[None])
    outputs = family[0].families["SIREN"].run(flat, points)[0]
    assert torch.allclose(module(points), outputs, atol=1e-5)
    with pytest.raises(EmbedderError, match="none of the architectures"):
        loaded.encode(build_field("SIREN", (8, 8), 30.0))
