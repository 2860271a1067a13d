"""What a study takes, against sums done by hand."""

import pytest
import torch
from torch import nn

from lib.bench import cost
from lib.config import Embedding, Images, Instances, Study, Training
from lib.nets import build


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
    study, cfg = Study(), Training(epochs={"in_turn": [1, 3]}, batch_size=100)
    kind = cost.Kind(250, 50, 50, 10, (1, 8, 8))
    found = cost.zoo("zoo", ("LeNetLike", 5, 2), cfg, study, kind)
    epochs = 1 + 3 + 1 + 3 + 1
    assert (found.networks, found.jobs, found.steps) == (5, 3, epochs * 3)
    assert found.multiply_adds == 3 * epochs * 250 * kind.forward("LeNetLike")
    more = cost.zoo("zoo", ("LeNetLike", 10, 2), cfg, study, kind)
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
    study = Study(parts=["multiarch"], zoo={"instances": Instances(train=2, validation=1, test=1)})
    kind = cost.Kind.of(study.images)
    found = list(cost.costs(study, kind))
    assert [one.step for one in found[1:5]] == [f"zoo: {name}" for name in study.architectures]
    lines = cost.table(study, kind, 1e12).splitlines()
    assert len(lines) == len(found) + 3
    total = sum(one.multiply_adds for one in found)
    assert lines[-1].startswith("| **in all** |")
    assert f"{total / 1e12:.2g}" in lines[-1]


def test_counts_of_a_folder_have_to_be_said(tmp_path, capsys):
    config = tmp_path / "study.yaml"
    config.write_text(
        "{parts: [multiarch], images: {source: folder, size: 8, channels: 1, mean: [0], std: [1]}, "
        "architectures: [LeNetLike, VanillaCNN, ResNet8], embedder: {latent: 16, probes: 4}}"
    )
    with pytest.raises(SystemExit):
        cost.main([str(config)])
    assert "say --counts TRAIN VALIDATION TEST CLASSES" in capsys.readouterr().err
    assert cost.main(["--counts", "4000", "100", "100", "10", str(config)]) == 0
    many = capsys.readouterr().out
    assert cost.main(["--counts", "1000", "100", "100", "10", str(config)]) == 0
    assert many.startswith(f"### `{config}`") and many != capsys.readouterr().out
