"""Meshes of fields: what can be said of them, and how they are written and read."""

import numpy as np
import pytest

from lib.data.meshing import Meshed
from lib.experiments.fields.meshes import Known, parts, surfaces, volume, write
from lib.experiments.mesh_metrics import Surface
from solids import CUBE, cube

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_volume_of_a_cube_does_not_depend_on_where_it_is():
    assert volume(cube(0.5), CUBE) == pytest.approx(0.125)
    assert volume(cube(0.5, centre=3.0), CUBE) == pytest.approx(0.125, rel=1e-4)


def test_parts_are_counted_by_shared_vertices():
    assert parts(CUBE) == 1
    assert parts(np.concatenate([CUBE, CUBE + 8])) == 2


def test_a_shape_is_nearest_to_itself():
    known = Known([Surface(cube(size), CUBE, str(size)) for size in (0.4, 0.8, 1.2)])
    row = known.describe(Meshed(cube(0.8), CUBE, 0), "copy")
    assert row["nearest"] == "0.8"
    assert row["chamfer"] == pytest.approx(0, abs=1e-5)
    nothing = known.describe(Meshed(np.zeros((0, 3)), np.zeros((0, 3), int), 0), "empty")
    assert nothing["parts"] == 0
    assert np.isnan(nothing["chamfer"])


def test_meshes_are_read_as_they_were_written(tmp_path):
    write(tmp_path / "new", {"a": Meshed(cube(0.8), CUBE, 0), "b": Meshed(cube(0.4), CUBE, 0)})
    first, second = surfaces(tmp_path / "new", ["b", "a"])
    assert (first.name, second.name) == ("b", "a")
    assert np.abs(first.solid.vertices).max() == pytest.approx(0.2)
