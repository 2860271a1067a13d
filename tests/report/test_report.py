"""The reports: what they say follows from the tables, and equal tables give equal pages."""

import base64
import json
import math
import struct
import zlib

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.evaluate.statistics import mean_interval
from lib.report import unseen
from lib.report.blocks import Cell, Table
from lib.report.inputs import MultiarchData, ReportError
from lib.report.multiarch import multiarch_report
from lib.report.page import index_page, without_run
from lib.report.pictures import SIGNED, levels, palette, png, shrink
from lib.report.style import interval, percent, points
from lib.report.summary import at_inner_points, curves, per_network, trained_accuracy, verdicts
from lib.report.tables import reconstruction, zoo
from report_fixture import ARCHITECTURES, RUN, write_study


@pytest.fixture
def files(tmp_path):
    return write_study(tmp_path / "results", instances=(4, 2, 3), pairs=2, points=13)


def page(files, run=RUN, **changes):
    return multiarch_report(files, ARCHITECTURES, run, files.catalogue.parents[1], **changes)


def edit(path, change):
    frame = pd.read_csv(path)
    change(frame).to_csv(path, index=False)


def judge(files):
    """Verdicts on a study, in the order of the page."""
    data = MultiarchData.load(files)
    return verdicts(
        per_network(data.reconstruction),
        data.interpolation,
        data.latent_optimization,
        ARCHITECTURES,
    )


# --- statistics


def test_mean_interval_is_student_t():
    mean, low, high = mean_interval([1.0, 2.0, 3.0, 4.0])
    half = 3.182446305 * math.sqrt(5 / 3) / 2  # t(0.975, 3) and the error of the mean, by hand
    assert (mean, low, high) == pytest.approx((2.5, 2.5 - half, 2.5 + half), abs=1e-8)


def test_mean_interval_of_few_values():
    assert mean_interval([0.25, math.nan])[0] == 0.25
    assert all(math.isnan(bound) for bound in mean_interval([0.25])[1:])
    assert all(math.isnan(number) for number in mean_interval([]))
    with pytest.raises(ValueError, match="between 0 and 1"):
        mean_interval([1, 2], level=95)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_mean_interval_holds_the_mean_and_widens_with_the_level(values):
    mean, low, high = mean_interval(values, 0.9)
    _, wide_low, wide_high = mean_interval(values, 0.99)
    assert wide_low <= low <= mean <= high <= wide_high


def test_mean_interval_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(0)
    intervals = [mean_interval(random.normal(3, 1, 6)) for _ in range(2000)]
    covered = np.mean([low <= 3 <= high for _, low, high in intervals])
    assert abs(covered - 0.95) < 0.015


# --- words


def test_numbers_as_text():
    assert percent(0.9642) == "96.4\u00a0%"
    assert percent(math.nan) == points(math.nan) == "–"
    assert [points(x) for x in (0.012, -0.012, -0.0001)] == ["+1.2", "−1.2", "0.0"]
    assert interval(0.1, 0.2) == "10.0 to 20.0"
    assert interval(math.nan, 0.2) == ""


# --- summary


def test_good_study_reaches_all_goals(files):
    found = judge(files)
    assert [verdict.state for verdict in found] == ["reached"] * 6 + ["note"]
    assert found[0].answer == "12 of 12 do"


def test_wrong_architecture_is_a_failure_and_is_counted(files):
    def wrong(frame):
        row = frame[frame["method"] == "decoded"].index[0]
        frame.loc[row, "predicted_architecture"] = "ResNet8"
        return frame

    edit(files.reconstruction, wrong)
    verdict = judge(files)[0]
    assert (verdict.state, verdict.answer) == ("short", "11 of 12 do")
    networks = per_network(pd.read_csv(files.reconstruction))
    table = reconstruction(networks, ARCHITECTURES)
    wrong_cells = [row[1].text for row, name in zip(table.rows, table.strong, strict=True) if name]
    assert wrong_cells == ["1 of 12", "1 of 3", "0 of 3", "0 of 3", "0 of 3"]


def test_accuracy_lost_in_one_architecture_falls_short(files):
    def lose(frame):
        rows = (frame["method"] == "decoded") & (frame["architecture"] == "ResNet14")
        frame.loc[rows, "accuracy"] = frame.loc[rows, "target_accuracy"] - 0.011
        return frame

    edit(files.reconstruction, lose)
    found = judge(files)
    assert found[1].state == "short"
    assert "ResNet14 −1.1" in found[1].answer


def test_a_decoder_that_forgets_its_input_falls_short(files):
    def forget(frame):
        constant = frame[frame["method"] == "constant"].reset_index(drop=True)
        columns = ["agreement", "agreement_other", "accuracy"]
        frame.loc[frame["method"] == "decoded", columns] = constant[columns].to_numpy()
        return frame

    edit(files.reconstruction, forget)
    found = judge(files)
    assert [verdict.state for verdict in found[:4]] == ["reached", "reached", "short", "short"]


def test_interpolation_goals(files):
    data = MultiarchData.load(files)
    inner = at_inner_points(data.interpolation, ARCHITECTURES)
    latent = inner[inner["method"] == "latent"]
    assert len(latent) == 2 * 9  # every pair once per point, though two are followed throughout
    assert set(latent["expected"]) == {"VanillaCNN", "ResNet8"}
    assert curves(data.interpolation, ARCHITECTURES)["pair"].nunique() == 2

    def spoil(frame):
        third = np.isclose(frame["gamma"], 1 / 3) & (frame["pair"] == frame["pair"].iloc[-1])
        frame.loc[third, "predicted_architecture"] = "LeNetLike"
        frame.loc[np.isclose(frame["gamma"], 2 / 3), "accuracy"] -= 0.03
        return frame

    edit(files.interpolation, spoil)
    found = judge(files)
    assert [verdict.state for verdict in found[4:6]] == ["short", "short"]
    assert "VanillaCNN at 1/3 for 88.9" in found[4].answer


def test_seeds_are_averaged_per_network_and_embedders_kept_apart(files):
    frame = pd.read_csv(files.reconstruction)
    second = frame.assign(seed=1, accuracy=frame["accuracy"] - 0.02)
    other = frame[frame["method"] == "decoded"].assign(embedder="paper", accuracy=0.5)
    networks = per_network(pd.concat([frame, second, other]))
    decoded = networks[networks["method"] == "decoded"]
    before = per_network(frame)
    before = before[before["method"] == "decoded"]
    assert decoded["accuracy"].to_numpy() == pytest.approx(before["accuracy"].to_numpy() - 0.01)
    assert (decoded["runs"] == 2).all()
    assert set(networks.loc[networks["method"] == "decoded (paper)", "accuracy"]) == {0.5}


def test_trained_accuracy_counts_each_network_once(files):
    frame = pd.read_csv(files.reconstruction)
    expected = frame.drop_duplicates("network").groupby("architecture")["target_accuracy"].mean()
    assert trained_accuracy(per_network(frame)) == pytest.approx(expected.to_dict())


def test_the_zoo_table_counts_status_and_epoch(files):
    def statuses():
        data = MultiarchData.load(files)
        networks, sizes = per_network(data.reconstruction), (data.parameters, data.latent)
        table = zoo(data.catalogue, networks, ARCHITECTURES, *sizes)
        column = table.columns.index("Status")
        assert (table.rows[3][1].text, table.rows[3][1].small) == ("43,946", "343 : 1")
        return [(row[2].text, row[column].text, row[column].small) for row in table.rows]

    def diverge(frame):
        frame["diverged_epoch"] = -1
        for architecture, epochs in (("ResNet14", [3, 0, 3]), ("VanillaCNN", range(6))):
            rows = frame.index[frame["architecture"] == architecture][1 : 1 + len(epochs)]
            frame.loc[rows, "status"] = "diverged"
            frame.loc[rows, "diverged_epoch"] = list(epochs)
        row = frame.index[frame["architecture"] == "LeNetLike"][0]
        frame.loc[row, "status"] = "diverged"
        return frame

    def checkpoints(frame):
        frame["checkpoint_epoch"] = -1
        return pd.concat([frame, frame.assign(checkpoint_epoch=5)])

    assert statuses()[3] == ("9", "8 ok, 1 diverged", "")
    edit(files.catalogue, diverge)
    expected = [
        ("9", "8 ok, 1 diverged", "1 not known"),
        ("9", "3 ok, 6 diverged", "after 0 to 5"),
        ("9", "9 ok, 0 diverged", ""),
        ("9", "6 ok, 3 diverged", "1 after 0, 2 after 3"),
    ]
    assert statuses() == expected
    edit(files.catalogue, checkpoints)
    assert statuses() == expected
    assert "1 after 0, 2 after 3" in page(files)


def test_a_table_is_markdown_too(files):
    frames = [pd.read_csv(path) for path in (files.unseen, files.unseen_finetune)]
    for table in unseen.tables(*frames):
        lines = [line.strip("| ").split(" | ") for line in table.markdown.splitlines()]
        assert lines[0] == list(table.columns) and set(lines[1]) == {"---"}
        assert {len(line) for line in lines} == {len(table.columns)}
        assert len(lines) == 2 + len(table.rows)
    grouped = Table("t", ("A",), [[Cell("x", "y")]], "", "s", group=["first"])
    assert grouped.markdown == "|  | A |\n| --- | --- |\n| first | x (y) |\n"


def test_a_zoo_of_which_all_have_diverged_has_a_table(files):
    edit(files.catalogue, lambda f: f.assign(status="diverged", diverged_epoch=2))
    assert "0 ok, 9 diverged" in page(files)


# --- the page


def test_page_is_self_contained_small_and_names_its_data(files):
    html = page(files)
    assert len(html.encode()) < 7_000_000
    assert html.count("<script src") == html.count('rel="stylesheet"') == 0
    shown = (files.catalogue, files.reconstruction, files.interpolation, files.preps)
    for path in (*shown, files.novelty, files.retrieval):
        link = path.relative_to(files.catalogue.parents[1]).as_posix()
        assert f'href="{link}"' in html


def test_equal_tables_give_equal_pages_outside_the_run_block(files, tmp_path):
    again = write_study(tmp_path / "again", instances=(4, 2, 3), pairs=2, points=13)
    first = page(files)
    second = page(again, run=RUN | {"times": [{"step": "x", "seconds": 1}], "machine": "other"})
    assert first != second
    assert without_run(first) == without_run(second)
    assert first.count("<!--run-->") == first.count("<!--/run-->") == 1


def test_run_block_holds_config_versions_digests_times(files):
    html = page(files)
    block = html.split("<!--run-->")[1].split("<!--/run-->")[0]
    for text in ("shard_size: 12", "2.13.0", "ab" * 32, "61.2", "8 GiB"):
        assert text in block
        assert text not in without_run(html).replace(block, "")


def test_text_from_outside_is_escaped(files):
    html = page(files, about="<script>alert(1)</script>")
    assert "<script>alert(1)</script>" not in html
    edit(files.reconstruction, lambda f: f.assign(network=f["network"] + "</script><b>"))
    figures = page(files).split("data-figure")[1:]
    assert all("</script><b>" not in figure for figure in figures)


def test_smallest_study_has_a_page(tmp_path):
    files = write_study(tmp_path / "r", instances=(1, 1, 1), pairs=0, points=2)
    html = page(files, run={"config": {}})
    assert "all networks" in html


def test_index_opens_onto_reports(files):
    root = files.catalogue.parents[1]
    report = root / "multiarch_report.html"
    report.write_text(page(files), encoding="utf-8")
    html = index_page([report], root)
    assert 'href="multiarch_report.html"' in html
    assert "8 of 8 goals reached" in html
    assert "One latent space for four architectures" in html


# --- bad input


@pytest.mark.parametrize(
    "name",
    [
        "catalogue",
        "latent_map",
        "reconstruction",
        "interpolation",
        "latent_optimization",
        "novelty",
        "retrieval",
    ],
)
def test_missing_damaged_or_empty_table_is_named(files, name):
    path = getattr(files, name)
    frame = pd.read_csv(path)
    frame.iloc[:0].to_csv(path, index=False)
    with pytest.raises(ReportError, match=f"{path.name}: holds no row"):
        page(files)
    frame.drop(columns="architecture", errors="ignore").drop(
        columns="accuracy", errors="ignore"
    ).to_csv(path, index=False)
    with pytest.raises(ReportError, match=f"{path.name}: lacks column a"):
        page(files)
    path.write_bytes(b"")
    with pytest.raises(ReportError, match=f"{path.name}: not a readable CSV"):
        page(files)
    path.unlink()
    with pytest.raises(ReportError, match=f"{path.name}: no such file"):
        page(files)


def test_bad_preps_are_named(files):
    with h5py.File(files.preps, "a") as file:
        del file["ResNet8/decoded"]
        file["ResNet8/decoded"] = np.zeros((2, 3), np.float32)
    with pytest.raises(ReportError, match=r"ResNet8/original is \(48, 200\)"):
        page(files)
    files.preps.write_bytes(b"not HDF5")
    with pytest.raises(ReportError, match="not a readable HDF5 file"):
        page(files)


def test_a_card_that_is_none_is_named(files):
    for text in ("{", "[]", '{"parameters": {}}'):
        files.card.write_text(text)
        with pytest.raises(ReportError, match=f"{files.card.name}: not the card of an embedder"):
            page(files)
    files.card.unlink()
    with pytest.raises(ReportError, match=f"{files.card.name}: no such file"):
        page(files)


def test_index_refuses_what_is_no_report(tmp_path):
    with pytest.raises(ReportError, match="no such report"):
        index_page([tmp_path / "gone.html"], tmp_path)
    (tmp_path / "other.html").write_text("<html></html>")
    with pytest.raises(ReportError, match="holds no summary"):
        index_page([tmp_path / "other.html"], tmp_path)


# --- pictures


def test_png_decodes_to_its_pixels():
    places = np.random.default_rng(0).integers(0, 129, (3, 5), dtype=np.uint8)
    data = base64.b64decode(png(places).split(",", 1)[1])
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, start = {}, 8
    while start < len(data):
        (size,) = struct.unpack(">I", data[start : start + 4])
        kind, body = data[start + 4 : start + 8], data[start + 8 : start + 8 + size]
        (check,) = struct.unpack(">I", data[start + 8 + size : start + 12 + size])
        assert check == zlib.crc32(kind + body)
        chunks[kind], start = body, start + 12 + size
    assert struct.unpack(">2I", chunks[b"IHDR"][:8]) == (5, 3)
    assert chunks[b"PLTE"] == palette().tobytes()
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(3, 6)
    assert np.array_equal(lines[:, 1:], places)


def test_signed_levels_and_shrinking():
    painted = palette()[levels(np.array([[-9.0, -1.0, 0.0, 0.5, 1.0, 9.0]]), 1.0)[0]]
    assert np.array_equal(painted, SIGNED[[0, 0, 2, 3, 4, 4]])
    small = shrink(np.array([[1.0, -3.0, 2.0, 0.5, -0.1], [0.0, 0.0, 0.0, -4.0, 0.0]]), 1, 3)
    assert small.tolist() == [[-3.0, -4.0, -0.1]]


def test_pictures_of_paper_sized_networks_keep_the_page_small(files):
    with h5py.File(files.preps, "w") as file:
        for name in ARCHITECTURES:
            for key in ("original", "decoded"):
                noise = np.random.default_rng(len(name)).normal(size=(300, 3000))
                file[f"{name}/{key}"] = noise.astype(np.float32)
    assert len(page(files).encode()) < 7_000_000


def test_summary_in_the_page_is_json(files):
    html = page(files)
    body = html.split('id="summary">')[1].split("</script>")[0]
    assert json.loads(body)["goals"] == 8
