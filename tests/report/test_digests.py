"""Content digests: equal for equal results however they are stored, other for any other result."""

from __future__ import annotations

import dataclasses
import json

import h5py
import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from lib.core.errors import InputError
from lib.report.digests import content_digest, study_digests, zoo_digest
from lib.report.page import RUN_CLOSE, RUN_OPEN
from lib.zoo.store import Catalogue, Shard, write_shard


def make(rows: range, value: float = 0.0, architecture: str = "Toy") -> Shard:
    """A shard of some instances; each depends on its number alone, plus `value` in one place."""
    weights = np.stack([np.random.default_rng(i).normal(size=5) for i in rows]).astype(np.float32)
    weights[0, 3] += value
    means = np.stack([np.random.default_rng(i).normal(size=2) for i in rows]).astype(np.float32)
    frame = pd.DataFrame(
        {
            "network": [f"{architecture}-{i:04d}" for i in rows],
            "architecture": architecture,
            "instance": list(rows),
            "split": "train",
            "seed": list(rows),
            "status": "ok",
            "epochs": 1,
            "selected_epoch": 0,
            "learning_rate": 0.1,
            "momentum": 0.9,
            "weight_decay": 0.0,
            "batch_size": 8,
            "train_loss": 0.5,
            "train_accuracy": 0.75,
            "validation_loss": 0.5,
            "validation_accuracy": [1 / (i + 3) for i in rows],
        }
    )
    layout = [{"name": "fc.weight", "shape": [5, 1], "kind": "weight", "offset": 0, "size": 5}]
    return Shard(architecture, layout, weights, frame, {"bn.running_mean": means}, {"run": rows[0]})


def write(path, shard):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_shard(path, shard)
    return path


@pytest.fixture
def whole(tmp_path):
    return write(tmp_path / "whole/shard_000.h5", make(range(6)))


def test_a_zoo_is_the_same_however_it_is_cut_and_ordered(tmp_path, whole):
    for cut in ([range(0, 2), range(2, 6)], [range(0, 1), range(1, 5), range(5, 6)]):
        parts = [
            write(tmp_path / f"{len(cut)}/shard_{k:03d}.h5", make(rows))
            for k, rows in enumerate(cut)
        ]
        assert zoo_digest(parts) == zoo_digest(parts[::-1]) == zoo_digest([whole])


def test_one_changed_weight_is_another_zoo(tmp_path, whole):
    smallest = float(np.spacing(make(range(6)).weights[0, 3]))
    other = write(tmp_path / "other.h5", make(range(6), smallest))
    assert zoo_digest([other]) != zoo_digest([whole])


def test_a_changed_batch_norm_statistic_or_name_is_another_zoo(tmp_path, whole):
    shard = make(range(6))
    shard.batch_norm["bn.running_mean"][5, 1] += 1
    assert zoo_digest([write(tmp_path / "a.h5", shard)]) != zoo_digest([whole])
    shard = make(range(6))
    shard.instances.loc[5, "network"] = "Toy-0009"
    assert zoo_digest([write(tmp_path / "b.h5", shard)]) != zoo_digest([whole])


def test_a_missing_network_is_another_zoo(tmp_path, whole):
    assert zoo_digest([write(tmp_path / "a.h5", make(range(5)))]) != zoo_digest([whole])


def test_swapped_weights_are_another_zoo(tmp_path, whole):
    shard = make(range(6))
    shard = dataclasses.replace(shard, weights=shard.weights[::-1].copy())
    assert zoo_digest([write(tmp_path / "a.h5", shard)]) != zoo_digest([whole])


def test_what_a_run_says_of_itself_does_not_count(tmp_path, whole):
    shard = dataclasses.replace(make(range(6)), provenance={"run": "another machine"})
    path = write(tmp_path / "a.h5", shard)
    assert path.read_bytes() != whole.read_bytes()
    assert zoo_digest([path]) == zoo_digest([whole])


def test_catalogues_of_one_zoo_are_the_same_however_it_is_cut(tmp_path, whole):
    parts = [
        write(tmp_path / f"parts/shard_{k}.h5", make(r))
        for k, r in enumerate([range(4), range(4, 6)])
    ]
    found = []
    for name, shards in (("whole", [whole]), ("parts", parts)):
        path = tmp_path / name / "catalogue.csv"
        Catalogue.build(shards, ["Toy"]).save(path)
        found.append((path.read_bytes(), content_digest(path)))
    assert found[0][0] != found[1][0] and found[0][1] == found[1][1]


def table(path, text):
    path.write_text(text)
    return content_digest(path)


def test_a_table_is_its_values_without_the_place_of_a_network(tmp_path):
    path = tmp_path / "t.csv"
    first = table(path, "network,shard,accuracy,row\na,s0,0.5,1\nb,s1,0.25,0\n")
    assert table(path, 'network,accuracy,row,shard\r\n"a",0.5,7,x\r\n"b",0.25,8,y\r\n') == first
    assert table(path, "network,accuracy\na,0.5\nb,0.25\n") == first
    others = [
        "network,accuracy\na,0.5\nb,0.25000000000000006\n",
        "network,accuracy\nb,0.25\na,0.5\n",
        "network,agreement\na,0.5\nb,0.25\n",
        "network,accuracy\na,0.5\n",
        "",
    ]
    assert len({first, *(table(path, text) for text in others)}) == 1 + len(others)


def page(path, text):
    path.write_text(text)
    return content_digest(path)


def test_a_page_is_its_text_without_the_run(tmp_path):
    path = tmp_path / "page.html"
    first = page(path, f"<p>0.97</p>{RUN_OPEN}3 seconds{RUN_CLOSE}<p>end</p>")
    assert page(path, f"<p>0.97</p>{RUN_OPEN}9 seconds, elsewhere{RUN_CLOSE}<p>end</p>") == first
    assert page(path, f"<p>0.98</p>{RUN_OPEN}3 seconds{RUN_CLOSE}<p>end</p>") != first
    assert page(path, f"<p>0.97</p>{RUN_OPEN}3 seconds{RUN_CLOSE}<p>End</p>") != first


def test_tensors_count_by_name_type_shape_and_bytes(tmp_path):
    path = tmp_path / "x.safetensors"

    def digest(**tensors):
        save_file(tensors, path, metadata={"made": str(len(tensors))})
        return content_digest(path)

    values = np.arange(4, dtype=np.float32)
    first = digest(a=values, b=values[:2])
    assert digest(b=values[:2].copy(), a=values.copy()) == first
    changed = values.copy()
    changed[3] = np.nextafter(changed[3], np.float32(9))
    others = [
        digest(a=changed, b=values[:2]),
        digest(c=values, b=values[:2]),
        digest(a=values.reshape(2, 2), b=values[:2]),
        digest(a=values.view(np.int32), b=values[:2]),
        digest(a=values),
    ]
    assert len({first, *others}) == 1 + len(others)


def test_hdf5_files_count_by_their_datasets_at_any_depth(tmp_path):
    path = tmp_path / "x.h5"

    def digest(value, group="inner", attributes=(), **options):
        with h5py.File(path, "w") as file:
            file.create_dataset(f"{group}/a", data=np.array([[1.0, value]]), **options)
            file["b"] = np.arange(3)
            for where, name, said in attributes:
                file[where].attrs[name] = said
        return content_digest(path)

    first = digest(2.0)
    assert digest(2.0, chunks=(1, 1), compression="gzip", track_times=True) == first
    assert digest(np.nextafter(2.0, 3)) != first and digest(2.0, "outer") != first
    places = ("/", "inner", "inner/a")
    said = [digest(2.0, attributes=[(where, "mean", 0.5)]) for where in places]
    said += [digest(2.0, attributes=[("/", "mean", value)]) for value in (0.25, "0.5", [0.5, 0.5])]
    said.append(digest(2.0, attributes=[("/", "std", 0.5)]))
    assert len({first, *said}) == 1 + len(said)
    assert digest(2.0, attributes=[("inner", "mean", 0.5)]) == said[1]


def test_a_file_of_another_kind_is_an_error(tmp_path):
    with pytest.raises(InputError, match="log.txt: no content digest for files of this kind"):
        content_digest(tmp_path / "log.txt")


def test_a_study_lists_its_files_and_a_zoo_for_each_architecture(tmp_path):
    root = tmp_path / "results"
    shards = [
        write(root / "weights/Toy/shard_0.h5", make(range(2))),
        write(root / "weights/Toy/shard_1.h5", make(range(2, 6))),
        write(root / "weights/Other/shard_0.h5", make(range(2), architecture="Other")),
    ]
    (root / "report.html").write_text("<p></p>")
    (root / "multiarch").mkdir()
    (root / "multiarch/losses.csv").write_text("step\n1\n")
    files = [root / "report.html", root / "multiarch/losses.csv"]
    found = study_digests(root, files, shards)
    assert list(found) == ["multiarch/losses.csv", "report.html", "weights/Other", "weights/Toy"]
    assert found == study_digests(str(root), files[::-1], shards[::-1])
    assert found["weights/Toy"] == zoo_digest(shards[:2]) != found["weights/Other"]
    assert all(len(digest) == 64 for digest in json.loads(json.dumps(found)).values())
