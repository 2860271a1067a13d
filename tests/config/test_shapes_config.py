"""The block `shapes`: its defaults, its variants, what is refused, and where shapes come from."""

import numpy as np
import pytest

from lib.config import ConfigError, Shapes
from lib.data.archive import DataError
from lib.data.meshes import load_meshes, write_mesh
from lib.data.shapes import check, left_out, shapes, unpack
from lib.data.solid import closed
from lib.study import parse_study


def test_keys_left_out_are_at_the_defaults_of_this_block():
    found = Shapes(embedder={"steps": 7})
    assert found.embedder.steps == 7
    assert found.embedder.arm == "field_probing"
    assert found.embedder.probes == Shapes().embedder.probes


def test_a_variant_changes_what_it_names():
    cfg = Shapes(ablations={"few": {"trained_on": 8, "embedder": {"rank": 3}}})
    found = cfg.variant("few")
    assert (found.trained_on, found.embedder.rank) == (8, 3)
    assert found.embedder.latent == cfg.embedder.latent
    assert found.training == cfg.training


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"ablations": {"other": {"widths": [3]}}}, "widths would need another zoo"),
        ({"ablations": {"other": {"warp": -1}}}, "warp"),
        ({"ablations": {"other": {"embedder": {"arm": "nothing"}}}}, "nothing"),
        ({"embedder": {"options": {"reach": -1}}}, "reach"),
        ({"architecture": "ResNet8"}, "SIREN"),
        ({"samples": 7}, "samples"),
        ({"widths": []}, "widths"),
    ],
)
def test_what_cannot_be_is_refused_by_name(block, message):
    with pytest.raises(ConfigError, match=message):
        parse_study({"shapes": block})


def test_a_source_has_to_be_there(tmp_path):
    check("procedural")
    check(str(tmp_path))
    with pytest.raises(DataError, match="neither `procedural` nor the path"):
        check(str(tmp_path / "missing"))


def test_a_chair_is_the_same_whatever_others_are_made():
    two, three = (list(shapes(None, numbers, 5)) for numbers in ([0, 2], range(3)))
    for mesh, again in zip(two, (three[0], three[2]), strict=True):
        assert mesh.name == again.name
        assert np.array_equal(mesh.vertices, again.vertices)
        assert np.array_equal(mesh.faces, again.faces)
    assert len(three[0].vertices) != len(three[1].vertices)
    for mesh in three:
        assert closed(mesh.faces)
        assert np.abs(mesh.vertices).max() == pytest.approx(0.9)


def test_meshes_of_a_folder_are_drawn_and_counted(tmp_path):
    source, kept = tmp_path / "source", tmp_path / "kept"
    source.mkdir()
    for mesh in shapes(None, range(3), 5):
        write_mesh(source / f"{mesh.name}.ply", mesh.vertices, mesh.faces)
    (source / "broken.ply").write_text("ply\n")
    unpack(str(source), kept, 1)
    assert list(left_out(kept)["file"]) == ["broken.ply"]
    found = list(shapes(kept, range(3), 1))
    usable = {mesh.name: mesh for mesh in load_meshes(source).usable}
    assert {mesh.name for mesh in found} == set(usable)
    for mesh in found:
        assert np.array_equal(mesh.vertices, usable[mesh.name].vertices)
        assert np.array_equal(mesh.faces, usable[mesh.name].faces)
        assert mesh.mended == usable[mesh.name].mended
    assert [mesh.name for mesh in shapes(kept, [1, 2], 1)] == [mesh.name for mesh in found][1:]
    with pytest.raises(DataError, match="3 meshes that can be used .1 were left out., the study"):
        list(shapes(kept, range(4), 1))
