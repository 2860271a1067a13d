"""Embedders: losses against torch's own, arms, and what training does and leaves."""

from __future__ import annotations

import math
import sys

import pytest
import torch
import torch.nn.functional as F

import lib.embed
from lib.config import LossWeights
from lib.data.images import ImageSplit
from lib.embed import Embedder, arm, load_embedder, losses, multiarch
from lib.embed.arm import EmbedderError, find_arm
from lib.embed.arms.probing import normalize
from lib.embed.fresh import fresh_networks
from lib.embed.pool import Pool
from lib.embed.product import make_arm
from lib.evaluate import controls
from lib.study import parse_study
from lib.zoo.population import Population
from toy import CFG, NAMES

PAIR = ("LeNetLike", "VanillaCNN")
FOUR = ("LeNetLike", "VanillaCNN", "ResNet8", "ResNet14")
SHORT = CFG.model_copy(update={"steps": 6, "select_every": 3, "networks": 2})

pytestmark = pytest.mark.usefixtures("one_thread")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return 3 * torch.randn(*shape, generator=rng(seed))


def fresh_arm(names=NAMES, cfg=CFG, seed: int = 0):
    torch.manual_seed(seed)
    return make_arm(cfg, names, (1, 8, 8), 4)


def values(curves, name: str) -> list[float]:
    return [value for _, what, value in curves.rows if what == name]


# Losses


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_distillation_is_torchs_kl_divergence_times_t_squared(shared, temperature):
    outputs, targets = logits(3, 7, 5), logits(7, 5, seed=1) if shared else logits(3, 7, 5, seed=1)
    found = losses.distillation(outputs, targets, temperature)
    for i in range(3):
        wanted = F.kl_div(
            F.log_softmax(outputs[i] / temperature, -1),
            F.log_softmax((targets if shared else targets[i]) / temperature, -1),
            log_target=True,
            reduction="batchmean",
        )
        assert found[i].item() == pytest.approx(temperature**2 * wanted.item(), rel=1e-4)


def test_distillation_of_a_worked_example():
    targets = torch.tensor([[[2 * math.log(3), 0.0]]])  # 3 : 1 at temperature 2
    found = losses.distillation(torch.zeros(1, 1, 2), targets, 2.0)
    assert found.item() == pytest.approx(4 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5)))
    assert losses.distillation(targets, targets + 5, 2.0).item() == pytest.approx(0, abs=1e-6)


def test_label_loss_is_torchs_cross_entropy():
    outputs, y = logits(3, 7, 5), torch.randint(5, (7,), generator=rng())
    wanted = [F.cross_entropy(one, y).item() for one in outputs]
    assert losses.labels(outputs, y).tolist() == pytest.approx(wanted)


# The points between


@pytest.mark.parametrize(("count", "wanted"), [(2, []), (3, [1 / 2]), (4, [1 / 3, 2 / 3])])
def test_inner_architectures_lie_evenly_between_the_extremes(count, wanted):
    assert multiarch.between(count) == wanted


def test_a_mix_at_its_ends_is_what_is_mixed():
    first, last = logits(16), logits(16, seed=1)
    assert multiarch.mix(first, last, 0.0).equal(first) and multiarch.mix(first, last, 1.0).equal(
        last
    )
    assert torch.allclose(multiarch.mix(first, last, 0.25), 0.75 * first + 0.25 * last)


@pytest.mark.parametrize("names", [PAIR, NAMES, FOUR])
def test_interpolated_latents_are_decoded_as_the_inner_architectures(names, monkeypatch, toy):
    arm, decoded = fresh_arm(names), []
    networks = {name: 0.1 * logits(2, family.layout.size) for name, family in arm.families.items()}
    arm.prepare(networks, {name: torch.zeros(2) for name in names}, toy.images.x, rng())
    ends = [arm.encode(name, networks[name]) for name in (names[0], names[-1])]
    decode = arm.decode
    monkeypatch.setattr(arm, "decode", lambda *given: decoded.append(given) or decode(*given))
    x, y, teacher = toy.images.x[:6], toy.images.y[:4], toy.teacher[:4]
    seen = {name: arm.observe(name, flat) for name, flat in networks.items()}
    parts = multiarch.step_losses(arm, networks, seen, x, y, teacher, 4)
    assert [name for name, _ in decoded] == [*names, *names[1:-1]]
    for (_, latent), gamma in zip(
        decoded[len(names) :], multiarch.between(len(names)), strict=True
    ):
        assert latent.equal(multiarch.mix(*ends, gamma))
    assert (parts["interpolation"].item() == 0) == (len(names) == 2)
    assert all(part.isfinite() for part in parts.values())


# Training


def test_training_overfits_a_handful_of_networks(toy):
    changes = {"steps": 110, "select_every": 110, "learning_rate": 1e-2, "rank": 16}
    alone = LossWeights(teacher=0, label=0, interpolation=0)
    cfg = CFG.model_copy(update=changes | {"weights": alone, "weight_noise": 0, "image_noise": 0})
    few = {name: flat[:2] for name, flat in toy.networks.items()}
    arm, curves = toy.fit(cfg, networks=few, scores={name: torch.zeros(2) for name in few})
    own = values(curves, "own")
    assert own[-1] < 0.1 * own[0]
    for k, (name, flat) in enumerate(few.items()):
        latents = arm.encode(name, flat)
        assert arm.classify(latents).argmax(-1).tolist() == [k, k]
        given, back = (
            arm.families[name].predict(some, toy.images.x)
            for some in (flat, arm.decode(name, latents).detach())
        )
        agreed = (given.argmax(-1)[:, None] == back.argmax(-1)[None]).float().mean(-1)
        assert agreed.diagonal().min() > 0.9


def test_equal_runs_give_equal_bits_and_other_seeds_others(toy):
    (first, one), (second, two), (other, _) = (toy.fit(SHORT, PAIR, seed) for seed in (0, 0, 1))
    assert one.rows == two.rows
    for (name, value), again in zip(
        first.state_dict().items(), second.state_dict().values(), strict=True
    ):
        assert value.equal(again), name
    assert not first.trunk.weight.equal(other.trunk.weight)


def test_the_best_checkpoint_is_kept(toy, monkeypatch):
    seen = []

    def scripted(arm, networks, images):
        seen.append({name: value.clone() for name, value in arm.state_dict().items()})
        rise = [0.2, 0.7, 0.7][len(seen) - 1]
        return {"validation_agreement": rise, "validation_interpolation": math.nan}

    monkeypatch.setattr(multiarch, "validate", scripted)
    cfg = SHORT.model_copy(update={"steps": 7})
    arm, curves = toy.fit(cfg, PAIR)
    assert [step for step, name, _ in curves.rows if name == "validation_agreement"] == [3, 6, 7]
    assert [(step, v) for step, name, v in curves.rows if name == "selected"] == [
        (3, 0.2),
        (6, 0.7),
    ]
    assert all(value.equal(seen[1][name]) for name, value in arm.state_dict().items())
    assert not seen[1]["trunk.weight"].equal(seen[2]["trunk.weight"])


def test_a_loss_that_is_not_finite_is_a_clear_error(toy):
    with pytest.raises(EmbedderError, match="loss is not finite at step 1; lower embedder.learn"):
        toy.fit(SHORT, PAIR, teacher=torch.full_like(toy.teacher, torch.nan))


def test_an_architecture_without_networks_is_a_clear_error(toy):
    with pytest.raises(EmbedderError, match="no VanillaCNN to train the embedder with"):
        toy.fit(SHORT, PAIR, networks={n: toy.networks[n][: n == "LeNetLike"] for n in PAIR})


@pytest.mark.parametrize("there", [1, 2])
def test_fewer_networks_than_a_step_takes_are_taken_more_often(toy, there):
    few = {name: toy.networks[name][:there] for name in PAIR}
    scores = {name: torch.zeros(there) for name in PAIR}
    cfg = SHORT.model_copy(update={"networks": 5, "versions": 1})
    arm, curves = toy.fit(cfg, PAIR, networks=few, scores=scores)
    assert all(math.isfinite(value) for value in values(curves, "loss"))
    for name, flat in Pool.of(arm, few, 1, ("pool",)).draw(5, rng())[0].items():
        taken = [int((flat == one).all(1).sum()) for one in few[name]]
        assert sum(taken) == 5 and min(taken) >= 5 // there


def test_a_pool_holds_networks_and_noisy_versions_of_them_with_what_is_seen_of_each(toy):
    arm = toy.embedder.arm
    pool, again = (Pool.of(arm, toy.networks, 3, ("pool",)) for _ in range(2))
    for name, originals in toy.networks.items():
        flat, seen = pool.flat[name], pool.seen[name]
        assert flat[:, 0].equal(originals)
        assert (flat[:, 1:] != originals[:, None]).any(-1).all() and again.flat[name].equal(flat)
        assert not flat[:, 1].equal(flat[:, 2])
        for version in range(3):
            assert torch.allclose(seen[:, version], arm.observe(name, flat[:, version]), atol=1e-4)
    flat, seen = pool.draw(3, rng())
    for name, drawn in flat.items():
        whose = (drawn[:, None, None] == pool.flat[name][None]).all(-1)  # [drawn, network, version]
        assert whose.sum().item() == 3 and whose.any(-1).any(0).all()
        assert torch.allclose(seen[name], arm.observe(name, drawn), atol=1e-4)
    assert all(value.equal(pool.draw(3, rng())[1][name]) for name, value in seen.items())
    assert pool.draw(2, rng())[0]["ResNet8"].shape == (2, arm.families["ResNet8"].layout.size)


def test_half_of_a_batch_of_images_is_noisy(toy):
    x, chosen = multiarch.noisy_images(toy.images, CFG, rng())
    again, _ = multiarch.noisy_images(toy.images, CFG, rng())
    assert x.equal(again)
    same = (x == toy.images.x[chosen]).flatten(1).all(1)
    assert same.tolist() == [True] * 8 + [False] * 8
    clean = CFG.model_copy(update={"image_noise": 0.0})
    x, chosen = multiarch.noisy_images(toy.images, clean, rng())
    assert x.equal(toy.images.x[chosen])


def test_validation_counts_a_wrong_architecture_as_zero(toy, monkeypatch):
    arm = toy.embedder.arm
    right = multiarch.validate(arm, toy.networks, toy.validation)
    only_first = F.one_hot(torch.tensor(0), 3).float()
    monkeypatch.setattr(arm, "classify", lambda latent: only_first.expand(len(latent), -1))
    found = multiarch.validate(arm, toy.networks, toy.validation)
    first = {NAMES[0]: toy.networks[NAMES[0]]}
    alone = multiarch.validate(arm, first, toy.validation)
    for name in ("validation_accuracy", "validation_agreement"):
        assert found[name] == pytest.approx(alone[name] / 3)
        assert found[name] < right[name]
    assert found["validation_interpolation"] == 0
    assert math.isnan(alone["validation_interpolation"])
    assert multiarch.score(alone) == alone["validation_agreement"]
    assert multiarch.score(found) == found["validation_agreement"]


# The arm


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


# An arm of one's own

PCA_ARM = '''
import torch
from torch import nn
from lib.embed.arm import Arm, arm


@arm("pca")
class Pca(Arm):
    """Linear: principal components of the weights; only the head learns."""

    def __init__(self, spaces, cfg, image, classes):
        super().__init__(spaces, cfg, image, classes)
        self.head = nn.Linear(cfg.latent, len(spaces))
        for name, space in spaces.items():
            self.register_buffer(f"mean_{name}", torch.zeros(space.layout.size))
            self.register_buffer(f"axes_{name}", torch.zeros(cfg.latent, space.layout.size))
        self.register_buffer("places", torch.randn(len(spaces), cfg.latent))

    def parts(self, name):
        place = self.places[list(self.spaces).index(name)]
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


@pytest.fixture
def own_arm(tmp_path, monkeypatch):
    """A file of one's own among those of `lib.embed`."""
    (tmp_path / "pca.py").write_text(PCA_ARM)
    monkeypatch.setattr(lib.embed, "__path__", [*lib.embed.__path__, str(tmp_path)])
    yield
    sys.modules.pop("lib.embed.pca", None)
    vars(lib.embed).pop("pca", None)
    arm._registry.pop("pca", None)


def test_a_file_is_all_that_an_arm_of_ones_own_takes(own_arm, toy, tmp_path):
    assert parse_study({"embedder": {"arm": "pca"}}).embedder.arm == "pca"
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
    with pytest.raises(EmbedderError, match="'probing' of .* is already defined in lib.embed.prob"):
        arm.arm("probing")(type("Mine", (arm.Arm,), {}))
    assert find_arm("probing").__module__ == "lib.embed.arms.probing"


def test_training_and_controls_stay_on_the_device_of_the_images(toy):
    # Tensors on `meta` have no content; an operation of theirs with a CPU tensor is an error.
    arm = fresh_arm().to("meta")
    modules = [family.module for family in arm.families.values()]
    assert {p.device.type for module in modules for p in module.parameters()} == {"meta"}
    assert not any("module" in name for name in arm.state_dict())
    x, y, teacher = (part.to("meta") for part in (toy.images.x, toy.images.y, toy.teacher))
    images = ImageSplit(x, y, toy.images.classes, "toy", "")
    networks = {name: flat.to("meta") for name, flat in toy.networks.items()}
    arm.prepare(networks, {name: torch.zeros(3) for name in networks}, x, rng())
    flat, seen = Pool.of(arm, networks, 2, ("pool",)).draw(2, rng())
    batch, chosen = multiarch.noisy_images(images, CFG, rng())
    parts = multiarch.step_losses(arm, flat, seen, batch, y[chosen[:8]], teacher[chosen[:8]], 8)
    sum(parts.values()).backward()
    assert {part.device.type for part in parts.values()} == {"meta"}
    for name, family in arm.families.items():
        train = Population(family, toy.zoo["train"][name].frame, networks[name])
        noisy = controls.noisy(train, 2, 0.1, ("noise",))
        fresh = controls.distill(
            family,
            fresh_networks(name, images, 2, ("fresh",)),
            ("fresh",),
            1,
            0.01,
            lambda run, _: losses.labels(run(x), y),
        )
        assert noisy.device.type == fresh.device.type == train.best().device.type == "meta"


# Noise


def test_noisy_versions_are_compared_with_their_networks(toy):
    networks = {name: found.flat for name, found in toy.zoo["train"].items()}
    arm = fresh_arm()
    scores = {name: found.scores for name, found in toy.zoo["train"].items()}
    arm.prepare(networks, scores, toy.images.x, rng())
    x, name = toy.images.x[:40], "ResNet8"
    pool = Pool.of(arm, networks, 3, ("noise",))
    run = arm.families[name].run
    own = run(networks[name], x).argmax(-1)
    same = [(run(pool.flat[name][:, k], x).argmax(-1) == own).float().mean() for k in (1, 2)]
    assert pool.kept(arm, x)[name] == pytest.approx(torch.stack(same).mean().item())
    assert Pool.of(arm, networks, 1, ("noise",)).kept(arm, x) == {}


@pytest.mark.parametrize(("noise", "said"), [(0.01, 0), (5.0, 3)])
def test_noise_that_breaks_networks_is_said(toy, caplog, noise, said):
    cfg = SHORT.model_copy(update={"weight_noise": noise, "steps": 1})
    zoo = toy.zoo
    multiarch.train(
        fresh_arm(cfg=cfg),
        ("noise",),
        {name: found.flat for name, found in zoo["train"].items()},
        {name: found.scores for name, found in zoo["train"].items()},
        {name: found.flat for name, found in zoo["validation"].items()},
        toy.images,
        toy.validation,
        toy.teacher,
    )
    assert caplog.text.count("lower embedder.weight_noise") == said
