"""Random crops and flips of images, applied on the fly."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def pick(
    images: Tensor,
    chosen: Tensor,
    shifts: Tensor | None = None,
    flips: Tensor | None = None,
    padding: int = 0,
    black: Sequence[float] = (0.0,),
) -> Tensor:
    """Some images, each cropped out of a black frame and then flipped.

    Args:
        images: [n, C, H, W].
        chosen: int64 [K, B], which images.
        shifts: int64 [K, B, 2], row and column of the crop in the framed image; None: no crop.
        flips: bool [K, B]; None: no flip.
        padding: width of the frame in pixels.
        black: what a black pixel is, [C] or one value for all channels.

    Returns:
        [K, B, C, H, W].
    """
    if shifts is None and flips is None:
        return images[chosen]
    height, width = images.shape[-2:]
    rows = torch.arange(height, device=images.device).expand(*chosen.shape, -1)
    columns = torch.arange(width, device=images.device).expand(*chosen.shape, -1)
    if flips is not None:
        columns = torch.where(flips[..., None], columns.flip(-1), columns)
    if shifts is not None:
        rows = rows + shifts[..., 0, None] - padding
        columns = columns + shifts[..., 1, None] - padding
    inside = ((rows >= 0) & (rows < height))[..., :, None] & ((columns >= 0) & (columns < width))[
        ..., None, :
    ]
    rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    found = images[chosen[..., None, None], :, rows[..., :, None], columns[..., None, :]]
    frame = torch.tensor(black, device=images.device, dtype=images.dtype)
    return torch.where(inside[..., None], found, frame).movedim(-1, -3).contiguous()
