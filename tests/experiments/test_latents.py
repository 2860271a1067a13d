"""All networks in the latent space: encoded, mapped, and drawn before and after."""

from __future__ import annotations

import copy
import types

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

import graded
from graded import NAME
from lib.experiments import latents
from lib.experiments.columns import CLASSIFIERS
from tasks import task
from toy import NAMES

pytestmark = pytest.mark.usefixtures("one_thread")


def test_all_networks_are_encoded_in_order_and_mapped_alike_every_time(toy):
    table, found = latents.run(task(toy, "latents", seed=4))
    columns = CLASSIFIERS["latent_map"]
    assert tuple(table.columns[: len(columns)]) == columns
    assert list(found) == ["seed_4"] and found["seed_4"].shape == (21, 16) and len(table) == 21
    zoo = [toy.zoo[split] for split in ("train", "validation", "test")]
    frame, encoded = latents.encode_all(toy.embedder, zoo)
    assert encoded.equal(found["seed_4"])
    row = frame.index[frame["network"] == "VanillaCNN-0003"].item()
    wanted = toy.embedder.encode("VanillaCNN-0003", toy.catalogue)
    assert torch.allclose(encoded[row], wanted, atol=1e-5)
    again, _ = latents.run(task(toy, "latents", seed=4))
    pd.testing.assert_frame_equal(table, again, check_exact=True)
    assert list(table["network"]) == list(frame["network"]) and set(table["seed"]) == {4}
    assert table.loc[row, "predicted_architecture"] == toy.embedder.predict(encoded[row])
    train = table[table["split"] == "train"]
    means = train.groupby("architecture")[["x", "y"]].mean()
    assert means["x"].std() >= means["y"].std() and train["y"].std() > 0


@pytest.mark.parametrize("count", [1, 2, 3])
def test_directions_between_architectures_are_filled_up_with_those_within(count):
    random = np.random.default_rng(0)
    names = np.repeat(NAMES[:count], 20)
    points = random.normal(size=(20 * count, 6)) * [1, 1, 9, 5, 1, 1]
    points[:, 0] += 1000 * (names == NAMES[0])
    points[:, 1] += 300 * (names == NAMES[-1])
    places = latents._by_architecture(points, np.full(len(points), True), names)
    held = []
    for number, place in enumerate(places.T):
        rows = names == NAMES[0] if number >= count - 1 else names != ""
        held.append(np.abs(np.corrcoef(place[rows], points[rows].T)[0, 1:]).argmax())
    assert held == {1: [2, 3], 2: [0, 2], 3: [0, 1]}[count]


def test_the_map_lays_networks_out_by_their_answers(toy):
    train = graded.zoo(toy)["train"]
    arm = copy.copy(toy.embedder.arm)
    arm.families = {NAME: arm.families[NAME]}
    arm.decode = lambda name, latent: train.flat[latent[:, 0].long()]  # a perfect decoder
    arm.classify = lambda latent: latent.new_zeros(len(latent), 1)
    embedder = types.SimpleNamespace(arm=arm, architectures=(NAME,))
    frame = train.frame.assign(split=["train"] * 10 + ["test"] * 5, architecture=NAME)
    places = torch.arange(15.0)[:, None].repeat(1, 2)
    table = latents.latent_map(embedder, frame, places, toy.images.x)
    known = table[table["split"] == "train"]
    for axis in ("answers_x", "answers_y"):
        assert np.cov(known[axis], known["validation_accuracy"])[0, 1] > 0
        assert known[axis].mean() == pytest.approx(0, abs=1e-6)
    answers = train.outputs(toy.images).softmax(-1).flatten(1)
    far = torch.cdist(answers, answers).numpy()
    places = torch.from_numpy(table[["answers_x", "answers_y"]].to_numpy())
    drawn = torch.cdist(places, places).numpy()
    assert (drawn <= far + 1e-4).all() and np.corrcoef(drawn.ravel(), far.ravel())[0, 1] > 0.5
    assert 0 < table["explained_y"].iloc[0] < table["explained_x"].iloc[0] < 1
    assert table["epochs"].tolist() == frame["epochs"].tolist()


def test_preps_of_one_network_of_each_architecture_before_and_after(toy, tmp_path):
    latents.write_preps(tmp_path / "preps.h5", toy.embedder, toy.zoo["test"])
    with h5py.File(tmp_path / "preps.h5") as file:
        assert set(file) == set(NAMES)
        for name, group in file.items():
            flat = toy.zoo["test"][name].flat[0].numpy()
            original, decoded = group["original"][()], group["decoded"][()]
            height, width = original.shape
            assert decoded.shape == original.shape and decoded.dtype == np.float32
            assert 3.5 < width / height < 4.5 and height * width - flat.size < width
            assert (original.ravel()[: flat.size] == flat).all()
            assert (original.ravel()[flat.size :] == 0).all()
            assert np.isfinite(decoded).all() and (decoded != original).any()
            assert group.attrs["network"] == f"{name}-0000"
    assert [path.name for path in tmp_path.iterdir()] == ["preps.h5"]
