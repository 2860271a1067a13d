"""Neighbours: the index against distances by hand, exact and by cells, and the command."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.torch import save_file

from lib.cli import main
from lib.core.errors import InputError
from lib.experiments import neighbours
from lib.experiments.neighbours import Index, NeighbourError
from lib.zoo.store import Catalogue
from toy import NAMES

pytestmark = pytest.mark.usefixtures("one_thread")


def by_hand(points: np.ndarray, query: np.ndarray, k: int) -> list[int]:
    """Numbers of the nearest points; of equal distances the first."""
    distances = np.square(points.astype(np.float64) - query.astype(np.float64)).sum(1)
    return np.argsort(distances, kind="stable")[:k].tolist()


def clouds(count: int, seed: int, width: int = 24) -> np.ndarray:
    """Points around forty places, as networks of a few kinds lie."""
    rng = np.random.default_rng(seed)
    places = np.random.default_rng(99).normal(size=(40, width))
    return (places[rng.integers(40, size=count)] + 0.4 * rng.normal(size=(count, width))).astype(
        np.float32
    )


# Whole numbers, so that distances by hand are exact and ties are many.
SMALL = st.integers(-3, 3).map(float)


@settings(max_examples=60, deadline=None)
@given(st.data())
@pytest.mark.parametrize("exact", [True, False])
def test_neighbours_and_ties_are_those_found_by_hand(exact, data):
    n, width = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 4))
    points = data.draw(arrays(np.float32, (n, width), elements=SMALL))
    query = data.draw(arrays(np.float32, (width,), elements=SMALL))
    # Asking for all makes the search by cells look into every one of them.
    k = data.draw(st.integers(1, n)) if exact else n
    (numbers,), (distances,) = Index(points, exact=exact).search(query[None], k)
    assert numbers.tolist() == by_hand(points, query, k)
    assert distances == pytest.approx(np.linalg.norm(points[numbers] - query, axis=1), abs=1e-6)


def test_of_equal_points_the_first_comes_first():
    points = np.tile(np.arange(12, dtype=np.float32)[:, None] % 3, (1, 5))
    for exact in (True, False):
        numbers, distances = Index(points, exact=exact).search(points[:3], 4)
        assert numbers.tolist() == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]
        assert not distances.any()


def test_far_from_the_origin_neighbours_are_still_told_apart():
    points = clouds(300, 1) + np.float32(3e4)
    numbers, _ = Index(points).search(points[:20], 5)
    assert numbers.tolist() == [by_hand(points, query, 5) for query in points[:20]]


def test_cells_find_nearly_all_neighbours_of_points_in_clouds():
    points, queries = clouds(6000, 1), clouds(60, 2)
    exact, rough = Index(points, exact=True), Index(points, exact=False)
    wanted, found = exact.search(queries, 10)[0], rough.search(queries, 10)[0]
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(wanted, found, strict=True)])
    assert 0.95 < recall
    assert rough.search(points[:50], 1)[0].ravel().tolist() == list(range(50))


def test_cells_look_at_a_share_of_the_points_only(monkeypatch):
    points, looked = clouds(3000, 1), []
    index = Index(points, exact=False)
    near = index._cells_near
    monkeypatch.setattr(index, "_cells_near", lambda q, k: looked.append(near(q, k)) or looked[-1])
    index.search(points[:20], 10)
    shares = [np.diff(index._start)[cells].sum() / 3000 for cells in looked]
    assert 1 / 8 <= min(shares) and max(shares) < 0.2


def test_equal_points_give_equal_answers_whatever_was_asked_before():
    points, queries = clouds(2000, 1), clouds(30, 2)
    for exact in (True, False):
        first, second = Index(points, exact=exact), Index(points.copy(), exact=exact)
        first.search(queries[5:7], 3)
        torch.rand(3), np.random.rand(3)
        for a, b in zip(first.search(queries), second.search(queries), strict=True):
            assert np.array_equal(a, b)
        alone = second.search(queries[4:5])[0]
        assert np.array_equal(alone[0], first.search(queries)[0][4])


def test_the_number_of_points_chooses_how_they_are_searched(monkeypatch):
    monkeypatch.setattr(neighbours, "EXACT_UP_TO", 100)
    assert Index(clouds(100, 1)).exact and not Index(clouds(101, 1)).exact
    assert Index(clouds(101, 1), exact=True).exact


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Index(np.zeros((0, 3))), "at least one point"),
        (lambda: Index(np.zeros(3)), r"a table \[n, D\], got shape \(3,\)"),
        (lambda: Index([[0.0], [np.nan]]), "point 1 is not finite"),
        (lambda: Index(np.zeros((2, 3)), ["a"]), "1 names for 2 points"),
        (lambda: Index(np.zeros((2, 3))).search(np.zeros((1, 4))), "4 numbers, the points 3"),
        (lambda: Index(np.zeros((2, 3))).search(np.zeros((1, 3)), 3), "3 neighbours .* 2 points"),
        (lambda: Index(np.zeros((2, 3))).search(np.zeros((1, 3)), 0), "0 neighbours"),
    ],
)
def test_what_cannot_be_indexed_or_asked_is_said(call, message):
    with pytest.raises(NeighbourError, match=message):
        call()
    assert issubclass(NeighbourError, InputError)


# Networks


@pytest.fixture(scope="module")
def saved(toy, tmp_path_factory):
    path = tmp_path_factory.mktemp("embedder") / "embedder.safetensors"
    toy.embedder.save(path)
    return path


def test_networks_are_indexed_by_their_latents(toy):
    index = Index.of_networks(toy.embedder, toy.catalogue, split="train")
    assert index.names == [f"{name}-{i:04d}" for name in NAMES for i in range(4, 7)]
    latents = [toy.embedder.encode(name, toy.catalogue) for name in index.names]
    numbers, distances = index.search(torch.stack(latents), 2)
    assert numbers[:, 0].tolist() == list(range(9)) and (distances[:, 0] < 1e-4).all()
    wanted = by_hand(torch.stack(latents).numpy(), latents[3].numpy(), 9)
    found = index.near(latents[3], 99)
    assert found["network"].tolist() == [index.names[number] for number in wanted]
    without = index.near(latents[3], 3, leave_out=index.names[3])
    assert without["network"].tolist() == [index.names[number] for number in wanted[1:4]]


def test_a_network_is_looked_for_in_parts_of_the_catalogue_only(toy):
    index = Index.of_networks(toy.embedder, toy.catalogue, ["ResNet8"], ["test", "validation"])
    frame = Catalogue.load(toy.catalogue).select("ResNet8", ["test", "validation"])
    assert index.names == frame["network"].tolist()
    with pytest.raises(NeighbourError, match="this embedder has no ResNet14, only LeNetLike"):
        Index.of_networks(toy.embedder, toy.catalogue, ["ResNet14"])


def test_the_command_lists_neighbours_of_an_id_or_a_file(toy, saved, tmp_path, capsys):
    common = ["--catalogue", str(toy.catalogue), "-k", "4"]
    assert main(["neighbours", str(saved), "VanillaCNN-0000", *common]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split("\t") == [
        "network",
        "distance",
        "architecture",
        "split",
        "validation_accuracy",
    ]
    names = [line.split("\t")[0] for line in lines]
    assert len(names) == 4 and "VanillaCNN-0000" not in names
    assert {line.split("\t")[2] for line in lines} == {"VanillaCNN"}

    state = {
        name: value.clone() for name, value in toy.unfused("VanillaCNN", 0).state_dict().items()
    }
    save_file(state, tmp_path / "mine.safetensors")
    assert main(["neighbours", str(saved), str(tmp_path / "mine.safetensors"), *common]) == 0
    _, first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("VanillaCNN-0000\t") and float(first.split("\t")[1]) < 1e-3
    assert [line.split("\t")[0] for line in rest] == names[:3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["LeNetLike-0999"], "is no network of"),
        (["LeNetLike-0000", "-k", "0"], "0 neighbours were asked for, at least 1"),
        (["LeNetLike-0000", "--architecture", "ResNet56"], "this embedder has no ResNet56"),
        (["LeNetLike-0000", "--split", "middle"], "no split 'middle'"),
        (["gone.safetensors"], "gone.safetensors"),
    ],
)
def test_the_command_says_what_is_wrong(toy, saved, capsys, arguments, message):
    command = ["neighbours", str(saved), *arguments, "--catalogue", str(toy.catalogue)]
    assert main(command) == 1
    assert message in capsys.readouterr().err
