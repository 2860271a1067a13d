"""Where shapes come from: drawn chairs, or the meshes of a folder."""

import numpy as np
import pytest

from lib.core.streams import Stream
from lib.data.archive import DataError
from lib.data.meshes import load_meshes, write_mesh
from lib.data.shapes import check, left_out, shapes, unpack
from lib.data.solid import closed

STREAM = Stream("data", 5, "chairs")


def test_a_source_has_to_be_there(tmp_path):
    check("procedural")
    check(str(tmp_path))
    with pytest.raises(DataError, match=r"data\.mine\.source .* neither `procedural` nor the path"):
        check(str(tmp_path / "missing"), "data.mine")


def test_a_chair_is_the_same_whatever_others_are_made():
    two, three = (list(shapes(None, numbers, STREAM)) for numbers in ([0, 2], range(3)))
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
    for mesh in shapes(None, range(3), STREAM):
        write_mesh(source / f"{mesh.name}.ply", mesh.vertices, mesh.faces)
    (source / "broken.ply").write_text("ply\n")
    unpack(str(source), kept, STREAM)
    assert list(left_out(kept)["file"]) == ["broken.ply"]
    found = list(shapes(kept, range(3), STREAM))
    usable = {mesh.name: mesh for mesh in load_meshes(source).usable}
    assert {mesh.name for mesh in found} == set(usable)
    for mesh in found:
        assert np.array_equal(mesh.vertices, usable[mesh.name].vertices)
        assert np.array_equal(mesh.faces, usable[mesh.name].faces)
        assert mesh.mended == usable[mesh.name].mended
    assert [mesh.name for mesh in shapes(kept, [1, 2], STREAM)] == [m.name for m in found][1:]
    with pytest.raises(DataError, match="3 meshes that can be used .1 were left out., the study"):
        list(shapes(kept, range(4), STREAM))
