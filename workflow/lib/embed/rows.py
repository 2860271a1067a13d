"""Networks as sequences of tokens: pieces of the rows of their layers, with where they belong."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lib.nets.layout import Entry, Layout


@dataclass(frozen=True)
class Rows:
    """The rows of a layout, cut into T tokens of L values.

    A row is what makes one neuron or channel: its incoming weights and its bias (Schürholt et al.,
    "Towards Scalable and Versatile Weight Space Learning", ICML 2024, Sec. 3.1). The last token of
    a row is filled up with zeros.

    places: [T, L] place of each value in the flat vector, P where there is none; layers: [T] number
    of the layer; rows, parts: [T] place of the row in its layer and of the token in its row, in
    [0, 1); inverse: [P] place of each parameter among the T * L values; count: number of layers.
    """

    places: Tensor
    layers: Tensor
    rows: Tensor
    parts: Tensor
    inverse: Tensor
    count: int

    @classmethod
    def of(cls, layout: Layout, length: int) -> Rows:
        """Cut a layout into tokens of `length` values."""
        nothing, tokens, layers, rows, parts = layout.size, [], [], [], []
        for k, group in enumerate(_layers(layout)):
            count = group[0].shape[0]
            table = torch.cat(
                [entry.offset + torch.arange(entry.size).view(count, -1) for entry in group], 1
            )
            pieces = -(-table.shape[1] // length)
            filled = torch.full((count, pieces * length), nothing)
            filled[:, : table.shape[1]] = table
            tokens.append(filled.view(-1, length))
            layers.append(torch.full((count * pieces,), k))
            rows.append(torch.arange(count).repeat_interleave(pieces) / count)
            parts.append(torch.arange(pieces).repeat(count) / pieces)
        places = torch.cat(tokens)
        inverse = torch.empty(nothing + 1, dtype=torch.long)
        inverse[places.flatten()] = torch.arange(places.numel())
        return cls(
            places,
            torch.cat(layers),
            torch.cat(rows),
            torch.cat(parts),
            inverse[:-1],
            len(layers),
        )

    def gather(self, flat: Tensor) -> Tensor:
        """Tokens [n, T, L] of networks [n, P]."""
        padded = torch.cat([flat, flat.new_zeros(len(flat), 1)], 1)
        return padded[:, self.places.to(flat.device)]

    def scatter(self, tokens: Tensor) -> Tensor:
        """Networks [n, P] of tokens [n, T, L]; what fills a row up is left out."""
        return tokens.flatten(1)[:, self.inverse.to(tokens.device)]

    def positions(self, frequencies: int) -> Tensor:
        """Sines and cosines [T, 4 * frequencies] of the places `rows` and `parts`."""
        scale = torch.pi * 2.0 ** torch.arange(frequencies)
        angles = torch.cat([place[:, None] * scale for place in (self.rows, self.parts)], 1)
        return torch.cat([angles.sin(), angles.cos()], 1)


def _layers(layout: Layout) -> list[list[Entry]]:
    """The entries of each layer: a weight and, if there is one, its bias."""
    found: dict[str, list[Entry]] = {}
    for entry in layout.entries:
        found.setdefault(entry.name.rpartition(".")[0], []).append(entry)
    return list(found.values())
