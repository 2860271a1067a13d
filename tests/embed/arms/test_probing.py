"""The arm that sees what networks answer on probe images."""

from __future__ import annotations

import pytest
import torch

from lib.embed.arms.probing import normalize
from lib.embed.product import make_arm
from toy import CFG, NAMES

PAIR = ("LeNetLike", "VanillaCNN")

pytestmark = pytest.mark.usefixtures("one_thread")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return 3 * torch.randn(*shape, generator=rng(seed))


def fresh_arm(names=NAMES, cfg=CFG, seed: int = 0):
    torch.manual_seed(seed)
    return make_arm(cfg, names, (1, 8, 8), 4)


def test_normalised_outputs_forget_offset_and_scale():
    outputs = logits(2, 6, 4)
    found = normalize(outputs)
    assert torch.allclose(normalize(7 * outputs + logits(2, 6, 1, seed=1)), found, atol=1e-5)
    assert found.square().mean((-2, -1)).tolist() == pytest.approx([1, 1], abs=1e-4)
    assert normalize(torch.zeros(1, 6, 4)).eq(0).all()


def test_an_arm_takes_probes_scales_and_its_base_from_training_networks(toy):
    arm = fresh_arm()
    scores = {name: found.scores for name, found in toy.zoo["train"].items()}
    arm.prepare(toy.networks, scores, toy.images.x, rng())
    known = {tuple(x.flatten().tolist()) for x in toy.images.x}
    probes = {tuple(x.flatten().tolist()) for x in arm.probes}
    assert len(probes) == CFG.probes and probes <= known
    best = toy.zoo["train"]["ResNet8"].best()
    decoder_base = arm.base["ResNet8"] * arm.scale["ResNet8"]
    assert torch.allclose(decoder_base, best, atol=1e-5)
    latents = arm.encode("ResNet8", toy.networks["ResNet8"])
    assert latents.shape == (3, CFG.latent) and latents.isfinite().all()


def test_more_probes_than_images_repeat_them(toy):
    arm = fresh_arm(PAIR)
    networks = {name: toy.networks[name] for name in PAIR}
    arm.prepare(networks, {name: torch.zeros(3) for name in PAIR}, toy.images.x[:10], rng())
    assert arm.probes.flatten(1).unique(dim=0).shape[0] == 10


def test_perturbed_networks_stay_within_the_noise_asked_for(toy):
    arm, flat = toy.embedder.arm, toy.networks["LeNetLike"].repeat(20, 1)
    change = (arm.perturb("LeNetLike", flat, rng()) - flat) / arm.scale["LeNetLike"]
    spread = change.std(1)
    assert spread.max() < 1.1 * CFG.weight_noise and spread.min() < 0.3 * spread.max()
    assert arm.perturb("LeNetLike", flat, rng()).equal(arm.perturb("LeNetLike", flat, rng()))
