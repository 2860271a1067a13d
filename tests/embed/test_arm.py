"""An embedder of one's own."""

from __future__ import annotations

import sys

import pytest
import torch

from lib.embed import Embedder, arm, arms, load_embedder
from lib.embed.arm import EmbedderError, find_arm
from lib.study import parse_study
from toy import CFG

PAIR = ("LeNetLike", "VanillaCNN")
SHORT = CFG.model_copy(update={"steps": 6, "select_every": 3, "networks": 2})
PCA_ARM = '''
import torch
from torch import nn
from lib.embed.arm import Arm, arm


@arm("pca")
class Pca(Arm):
    """Linear: principal components of the weights; only the head learns."""

    def __init__(self, families, cfg, image, classes):
        super().__init__(families, cfg, image, classes)
        self.head = nn.Linear(cfg.latent, len(families))
        for name, family in families.items():
            self.register_buffer(f"mean_{name}", torch.zeros(family.layout.size))
            self.register_buffer(f"axes_{name}", torch.zeros(cfg.latent, family.layout.size))
        self.register_buffer("places", torch.randn(len(families), cfg.latent))

    def parts(self, name):
        place = self.places[list(self.families).index(name)]
        return getattr(self, f"mean_{name}"), getattr(self, f"axes_{name}"), place

    def prepare(self, networks, scores, x, rng):
        for name, flat in networks.items():
            mean, axes, _ = self.parts(name)
            mean.copy_(flat.mean(0))
            found = torch.linalg.svd(flat - mean, full_matrices=False).Vh
            axes[: len(found)].copy_(found[: len(axes)])

    def observe(self, architecture, flat):
        mean, axes, _ = self.parts(architecture)
        return (flat - mean) @ axes.T

    def embed(self, architecture, seen):
        return self.parts(architecture)[2] + seen

    def classify(self, latent):
        return self.head(latent)

    def decode(self, architecture, latent):
        mean, axes, place = self.parts(architecture)
        return mean + (latent - place) @ axes
'''

pytestmark = pytest.mark.usefixtures("one_thread")


def values(curves, name: str) -> list[float]:
    return [value for _, what, value in curves.rows if what == name]


@pytest.fixture
def own_arm(tmp_path, monkeypatch):
    """A file of one's own among those of `lib.embed.arms`."""
    (tmp_path / "pca.py").write_text(PCA_ARM)
    monkeypatch.setattr(arms, "__path__", [*arms.__path__, str(tmp_path)])
    yield
    sys.modules.pop("lib.embed.arms.pca", None)
    vars(arms).pop("pca", None)
    arm._registry.pop("pca", None)


def test_a_file_is_all_that_an_arm_of_ones_own_takes(own_arm, toy, tmp_path):
    space = {"zoo": "digits", "embedder": {"arm": "pca"}}
    assert parse_study({"spaces": {"mine": space}}).spaces["mine"].embedder.arm == "pca"
    trained, curves = toy.fit(SHORT.model_copy(update={"arm": "pca"}), PAIR)
    embedder = Embedder(trained, toy.embedder.card)
    embedder.save(tmp_path / "pca.safetensors")
    loaded = load_embedder(tmp_path / "pca.safetensors")
    flat = toy.networks["LeNetLike"][0]
    latent = loaded.encode(trained.families["LeNetLike"].layout.unflatten(flat))
    back = loaded.identify(loaded.decode(latent, "LeNetLike"))[1]
    assert torch.allclose(back, flat, atol=1e-4)  # three networks span at most two components
    assert len(values(curves, "validation_agreement")) == 2


def test_an_unknown_arm_is_named_with_the_known_ones():
    with pytest.raises(EmbedderError, match="unknown embedder arm 'conv', known are .*probing"):
        find_arm("conv")


def test_a_name_belongs_to_one_arm():
    with pytest.raises(
        EmbedderError, match="'probing' of .* is already defined in lib.embed.arms.prob"
    ):
        arm.arm("probing")(type("Mine", (arm.Arm,), {}))
    assert find_arm("probing").__module__ == "lib.embed.arms.probing"
