"""Bands of accuracy."""

from __future__ import annotations

import numpy as np

from lib.experiments.bands import bands


def test_bands_are_thirds_of_the_training_networks():
    known = np.arange(9) / 10
    assert bands(known, known).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert bands(known, np.array([-1.0, 0.4, 5.0])).tolist() == [0, 1, 2]
