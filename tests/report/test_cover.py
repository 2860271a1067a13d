"""The picture on the cover: a row through the latent space above one through the weights."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lib.core.errors import InputError
from lib.data.meshes import write_mesh
from lib.report.cover import ABOVE, PIXELS, walk_picture
from lib.report.inputs import ReportError
from shape_fixture import chair


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """The table of a walk of three points, shuffled, and the folder of its meshes."""
    folder, rows = tmp_path_factory.mktemp("walk"), []
    for point in range(3):
        for method in ("latent", "weights"):
            name = f"pair0_{method}_{point:02d}"
            empty = method == "weights" and point == 1
            mesh = (np.zeros((0, 3)), np.zeros((0, 3), int)) if empty else chair(point, 24)
            write_mesh(folder / f"{name}.ply", *mesh)
            rows.append({"pair": 0, "point": point, "method": method, "mesh": name})
    return pd.DataFrame(rows[::-1]), folder


def test_a_walk_is_two_rows_of_shapes(walk):
    picture = np.asarray(Image.open(io.BytesIO(walk_picture(*walk))).convert("RGB"))
    assert picture.shape == (2 * (PIXELS + ABOVE), 3 * PIXELS, 3)
    rows = picture.reshape(2, PIXELS + ABOVE, 3, PIXELS, 3)[:, ABOVE:]
    drawn = (rows != 255).any((1, 3, 4))
    np.testing.assert_array_equal(drawn, [[True, True, True], [True, False, True]])
    blue, grey = rows[0, :, 0].reshape(-1, 3), rows[1, :, 0].reshape(-1, 3)
    assert blue.mean(0)[2] > blue.mean(0)[0] + 5 > grey.mean(0)[2] - grey.mean(0)[0]


def test_the_same_walk_gives_the_same_bytes(walk):
    assert walk_picture(*walk) == walk_picture(*walk)


def test_what_is_missing_is_named(walk, tmp_path):
    table, folder = walk
    with pytest.raises(ReportError, match="no walk 3 through latent and weights"):
        walk_picture(table, folder, pair=3)
    with pytest.raises(InputError, match="pair0_latent_00"):
        walk_picture(table, tmp_path)
