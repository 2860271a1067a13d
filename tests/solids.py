"""A cube as a mesh."""

import numpy as np

CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32)
SIDES = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
CUBE = np.array([(a, b, c) for a, *rest in SIDES for b, c in (rest[:2], rest[1:])], np.int32)


def cube(size, centre=0.0):
    return (CORNERS - 0.5) * size + np.float32(centre)
