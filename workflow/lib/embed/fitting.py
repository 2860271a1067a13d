"""Networks that share a trunk, fitted to logits: last layers in closed form, moves of the trunk.

Shapes: n networks, B images, F features of which the last is a constant, K classes, M directions
in which a trunk can move.
"""

from __future__ import annotations

import torch
from torch import Tensor

SHARP = 0.25  # temperature, in spreads of the logits, at which two answers count as close
FLOOR = 0.05  # least weight of a logit in the fit, where the most is 0.25
RIDGE = 1e-4  # in units of the mean square of a feature


def fit_last(features: Tensor, wanted: Tensor) -> Tensor:
    """Last layers [n, F, K] that give logits [n, B, K] from features [n or 1, B, F].

    Weighted least squares, each class for itself.
    """
    weight = weigh(wanted)
    right = (weight * wanted).transpose(1, 2) @ features / wanted.shape[1]
    return torch.linalg.solve(_grams(features, weight), right).transpose(1, 2)


def weigh(wanted: Tensor) -> Tensor:
    """What each logit [n, B, K] weighs in a fit; 1 on average over a network.

    p (1 - p), the curvature of the cross entropy there (p: the wanted probability at temperature
    `SHARP`), but at least `FLOOR`.
    """
    p = (wanted / SHARP).softmax(-1)
    weight = p * (1 - p) + FLOOR
    return weight / weight.mean((1, 2), keepdim=True)


def bend(
    tangents: Tensor, features: Tensor, last: Tensor, wanted: Tensor, iterations: int
) -> Tensor:
    """Moves [n, M] of a shared trunk that bring each network nearer to the logits wanted of it.

    One Gauss-Newton step on trunk and last layer together, by conjugate gradients on the normal
    equations of the moves. The last layer is eliminated from them (variable projection: Golub &
    Pereyra, SIAM J. Numer. Anal. 1973): what it can do by itself is left to it. Stopping after a
    few iterations keeps the moves small along directions that change next to nothing.

    Args:
        tangents: what a unit of each move adds to the features [M, B, F - 1], the constant's left
            out.
        features: of the trunk that is not moved [B, F].
        last: last layers that fit best on top of them [n, F, K], as by `fit_last`.
        wanted: logits [n, B, K].
        iterations: of conjugate gradients.
    """
    weight = weigh(wanted)
    factor = torch.linalg.cholesky(_grams(features[None], weight))
    flat, slopes = tangents.flatten(1), last[:, :-1]

    def beyond_last(change: Tensor) -> Tensor:
        """Weighted changes of logits [n, B, K], without what a last layer can make of them."""
        weighted = weight * change
        fitted = torch.cholesky_solve(
            (weighted.transpose(1, 2) @ features)[..., None] / len(features), factor
        )
        return weighted - weight * (features @ fitted.squeeze(-1).transpose(1, 2))

    def pull(change: Tensor) -> Tensor:
        return (change @ slopes.transpose(1, 2)).flatten(1) @ flat.T

    def push(moves: Tensor) -> Tensor:
        return (moves @ flat).unflatten(1, tangents.shape[1:]) @ slopes

    rest = pull(beyond_last(wanted - features @ last))
    moves, way, size = torch.zeros_like(rest), rest, rest.square().sum(1, keepdim=True)
    for _ in range(iterations):
        bent = pull(beyond_last(push(way)))
        step = size / (way * bent).sum(1, keepdim=True).clamp_min(1e-30)
        moves, rest = moves + step * way, rest - step * bent
        before, size = size, rest.square().sum(1, keepdim=True)
        way = rest + size / before.clamp_min(1e-30) * way
    return moves


def _grams(features: Tensor, weight: Tensor) -> Tensor:
    """Weighted second moments [n, K, F, F] of features [n or 1, B, F], ridge included."""
    weight, count = weight.transpose(1, 2), features.shape[-1]  # n, K, B
    if len(features) == 1:  # one matrix product for all
        pairs = (features[0][:, :, None] * features[0][:, None]).flatten(1)
        grams = (weight @ pairs).unflatten(-1, (count, count))
    else:
        turned = features.transpose(1, 2)
        grams = (weight[:, :, None] * turned[:, None]) @ features[:, None]
    ridge = RIDGE * features.square().mean((1, 2))[:, None, None, None]
    return grams / features.shape[1] + ridge * torch.eye(count, device=features.device)
