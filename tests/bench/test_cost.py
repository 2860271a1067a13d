"""What a study takes, against sums done by hand."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from lib.bench import cost
from lib.config import Embedding, Engine, Images, Training
from lib.core.streams import Stream
from lib.nets import build
from lib.study import parse_study


def by_hand(module: nn.Module, x: torch.Tensor) -> int:
    """Multiply-adds of convolutions and linear layers on one image."""
    total = 0

    def count(layer, _, out):
        nonlocal total
        total += layer.weight.numel() * (out[0, 0].numel() if out.ndim == 4 else 1)

    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    module.eval()(x)
    return total


@pytest.mark.parametrize("architecture", ["LeNetLike", "VanillaCNN", "ResNet8"])
def test_a_forward_pass_is_the_sum_of_its_layers(architecture):
    kind = cost.Kind.of(Images())
    assert kind.shape == (1, 8, 8)
    expected = by_hand(build(architecture, 1, 8, 10), torch.zeros(1, 1, 8, 8))
    assert kind.forward(architecture) == expected > 0


def test_a_zoo_takes_what_its_networks_take():
    cfg = Training(epochs={"in_turn": [1, 3]}, batch_size=100)
    kind, stream = cost.Kind(250, 50, 50, 10, (1, 8, 8)), Stream("zoo", 0)
    five = cost.Networks("LeNetLike", 5, 2, stream)
    found = cost.zoo("zoo", five, cfg, Engine(), kind)
    epochs = 1 + 3 + 1 + 3 + 1
    assert (found.networks, found.jobs, found.steps) == (5, 3, epochs * 3)
    assert found.multiply_adds == 3 * epochs * 250 * kind.forward("LeNetLike")
    more = cost.zoo("zoo", replace(five, total=10), cfg, Engine(), kind)
    assert more.disk == 2 * found.disk and more.memory == found.memory > 0


@pytest.mark.parametrize("arm", ["probing", "readout", "paper"])
def test_an_embedder_takes_more_with_more_steps_and_networks(arm):
    names = ("LeNetLike",) if arm == "readout" else ("LeNetLike", "ResNet8")
    kind = cost.Kind.of(Images())
    cfg = Embedding(arm=arm, latent=64, rank=8, probes=64, steps=10, networks=2)
    once = cost.embedder("embedder", cfg, names, 1, kind)
    twice = cost.embedder("embedder", cfg.model_copy(update={"steps": 20}), names, 1, kind)
    seeds = cost.embedder("embedder", cfg.model_copy(update={"networks": 4}), names, 2, kind)
    assert twice.multiply_adds == 2 * once.multiply_adds
    assert seeds.multiply_adds == pytest.approx(4 * once.multiply_adds)
    running = 3 * cfg.batch_size * sum(map(kind.forward, names))
    assert once.multiply_adds > 2 * 10 * running


def test_the_table_has_every_long_step_and_their_sum():
    small = {"instances": {"train": 2, "validation": 1, "test": 1}}
    study = parse_study({"zoos": {"digits": small}, "spaces": ["multiarch"]})
    images = cost.kinds(study)
    assert list(images) == ["digits"]
    found = list(cost.costs(study, images))
    names = study.zoos["digits"].architectures
    assert [one.step for one in found] == [
        "data digits",
        *(f"zoo digits: {name}" for name in names),
        "multiarch: embedder",
        "multiarch: embedder without VanillaCNN, ResNet8",
        "multiarch: optimisation, and controls",
    ]
    assert found[-1].networks == 3 * 3 * len(names)  # latents, weights and fresh networks
    lines = cost.table(study, images, 1e12).splitlines()
    assert len(lines) == len(found) + 3
    total = sum(one.multiply_adds for one in found)
    assert lines[-1].startswith("| **in all** |")
    assert f"{total / 1e12:.2g}" in lines[-1]


def test_a_zoo_that_two_spaces_share_and_one_that_is_imported_are_counted_once_and_not_at_all():
    zoo = {"data": "digits", "architectures": ["ResNet8"], "instances": {"train": 1}}
    small = {"zoo": "mine", "embedder": {"arm": "probing", "latent": 16, "rank": 4, "probes": 4}}
    study = parse_study(
        {
            "zoos": {"mine": zoo},
            "spaces": {
                "a": small | {"experiments": ["novelty"]},
                "b": small | {"experiments": [], "teacher": {"architecture": "ResNet14"}},
            },
        }
    )
    steps = [one.step for one in cost.costs(study, cost.kinds(study))]
    assert steps == [
        "data digits",
        "zoo mine: ResNet8",
        "a: embedder",
        "b: teacher, ResNet14",
        "b: embedder",
    ]
    imported = study.zoos["mine"].model_copy(update={"imported": "elsewhere"})
    study = study.model_copy(update={"zoos": study.zoos | {"mine": imported}})
    assert "zoo mine: ResNet8" not in [c.step for c in cost.costs(study, cost.kinds(study))]


def test_counts_of_a_folder_have_to_be_said(tmp_path, capsys):
    config = tmp_path / "study.yaml"
    config.write_text(
        "data: {mine: {kind: images, source: folder}}\n"
        "zoos: {mine: {data: mine, architectures: [LeNetLike, VanillaCNN, ResNet8]}}\n"
        "spaces: {mine: {zoo: mine, embedder: {latent: 16, probes: 4}}}\n"
    )
    with pytest.raises(SystemExit):
        cost.main([str(config)])
    told = capsys.readouterr().err
    assert "data.mine.source: folder" in told
    assert "say --counts TRAIN VALIDATION TEST CLASSES" in told
    assert cost.main(["--counts", "4000", "100", "100", "10", str(config)]) == 0
    many = capsys.readouterr().out
    assert cost.main(["--counts", "1000", "100", "100", "10", str(config)]) == 0
    assert many.startswith(f"### `{config}`") and many != capsys.readouterr().out
