"""Shapes stretched and squeezed."""

import pytest
import torch

from lib.core.streams import Stream
from lib.embed.warps import Warps

pytestmark = pytest.mark.usefixtures("one_thread")


def test_warps_go_there_and_back():
    warps = Warps.draw(5, 0.5, Stream("warps").torch())
    points = torch.rand(5, 40, 3, generator=Stream("points").torch()) * 2 - 1
    there = warps.forward(points)
    assert torch.allclose(warps.back(there), points, atol=1e-5)
    assert (there - points).abs().max() > 0.05


def test_warps_keep_the_order_along_each_axis():
    warps = Warps.draw(20, 1.0, Stream("warps").torch())
    line = torch.linspace(-1.5, 1.5, 50)[:, None].expand(20, 50, 3)
    assert (warps.forward(line).diff(dim=1) > 0).all()


def test_no_warp_changes_nothing():
    points = torch.rand(2, 10, 3)
    assert torch.allclose(
        Warps.draw(2, 0.0, Stream("none").torch()).forward(points), points, atol=1e-6
    )
