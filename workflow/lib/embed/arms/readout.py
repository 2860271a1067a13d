"""A shared trunk and a last layer of one's own: the encoder fits it in closed form.

The networks of a zoo are good at one task to different degrees, and what they answer lies close to
the span of few functions of an image. So all decoded networks share a learnt trunk, whose features
are to span it, and each has a last layer of its own. The encoder runs a network on fixed probe
images (training images kept inside the embedder), takes its logits there, and finds the last layer
on top of the shared features that gives them back: a weighted least-squares problem, solved in
closed form. The features are trained through that solution (variable projection: Golub & Pereyra,
SIAM J. Numer. Anal. 1973). Only weights enter, as in `probing`.

What of the latent is left beyond the last layer moves the trunk along a few directions: those in
which the training networks' losses change most. The encoder finds out how far by one Gauss-Newton
step on the probes, and fits the last layer anew.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor, nn

from lib.config import Embedding
from lib.embed import losses
from lib.embed.arm import Arm, SettingError, arm
from lib.embed.fitting import RIDGE, bend, fit_last
from lib.embed.measures import choose_probes, layer_spread
from lib.engine.family import Family
from lib.nets.layout import Layout

PART = 4  # in training a last layer is fitted on one part in so many of the probes
REACH = 3.0  # how far a latent's number moves the trunk, in spreads of its parameters
CHUNK = 64  # networks whose gradients are taken at once
NUDGE = 0.1  # a move of the trunk that shows what it changes
SMALL = 0.01  # least spread of a number of the latent, in units of the largest


@arm("readout")
class Readout(Arm):
    """Latents of one architecture: the scale of its logits, its last layer, moves of the trunk.

    A latent with fewer numbers than the last layer holds its principal components.
    """

    class Options(Arm.Options):
        """See `Arm.Options`."""

        iterations: int = Field(
            12,
            ge=0,
            description="of conjugate gradients, in which the encoder finds how far the trunk "
            "moves; 0: it stays",
        )

    def __init__(
        self, families: Mapping[str, Family], cfg: Embedding, image: tuple[int, ...], classes: int
    ) -> None:
        """See `Arm`.

        Raises:
            SettingError: more than one architecture, or it does not end in a linear layer.
        """
        super().__init__(families, cfg, image, classes)
        if len(families) != 1:
            raise SettingError(
                "arm", f"`readout` holds one architecture, got {', '.join(families)}"
            )
        (self.family,) = families.values()
        self.body, place = beheaded(self.family)
        self.register_buffer("place", place, persistent=False)
        features = (self.family.layout.size - self.body.layout.size) // classes  # with a constant
        whole = features * classes
        self.kept = min(cfg.latent - 1, whole)
        moves = cfg.latent - 1 - self.kept
        self.register_buffer("probes", torch.zeros(cfg.probes, *image))
        self.register_buffer("log_spread", torch.tensor([0.0, 1.0]))  # mean, spread
        self.register_buffer("root", torch.eye(features))
        self.register_buffer("centre", torch.zeros(whole))
        self.register_buffer("spread", torch.ones(self.kept))
        self.scale = nn.Parameter(torch.ones(self.body.layout.size), requires_grad=False)
        self.base = nn.Parameter(torch.zeros(self.body.layout.size))
        self.register_buffer("axes", torch.eye(whole)[: self.kept])
        self.register_buffer("directions", torch.zeros(moves, self.body.layout.size))
        self._tangents: Tensor | None = (
            None  # of the features on the probes, once they are asked for
        )

    def _apply(self, fn, recurse: bool = True) -> Readout:
        self.body.module._apply(fn)
        self._tangents = None
        return super()._apply(fn, recurse)

    def load_state_dict(self, *arguments, **keys):
        """See `torch.nn.Module`."""
        self._tangents = None
        return super().load_state_dict(*arguments, **keys)

    @torch.no_grad()
    def prepare(
        self,
        networks: Mapping[str, Tensor],
        scores: Mapping[str, Tensor],
        x: Tensor,
        rng: torch.Generator,
    ) -> None:
        """Choose probes, and begin at the best training network."""
        (flat,), (ranks,) = networks.values(), scores.values()
        self.probes.copy_(choose_probes(x, len(self.probes), rng))
        trunks = flat[:, self.place < self.body.layout.size]
        self.scale.copy_(layer_spread(trunks, self.body.layout))
        self.base.copy_(trunks[ranks.argmax()] / self.scale)
        self._standardise(flat, rng)

    @torch.no_grad()
    def settle(self, networks: Mapping[str, Tensor], rng: torch.Generator) -> None:
        """Standardise latents for the features learnt; find directions for the trunk."""
        (flat,) = networks.values()
        last, wanted = self._standardise(flat, rng)
        if len(self.directions):
            parts = zip(last.split(CHUNK), wanted.split(CHUNK), strict=True)
            gradients = torch.cat([self._gradients(*part) for part in parts])
            self.directions.copy_(REACH * principal(gradients, len(self.directions), rng))
            self._tangents = None

    def _standardise(self, flat: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Make latents of training networks [n, P] uncorrelated numbers of unit spread.

        Networks are as near as what their last layers give on the probes: that is the metric whose
        principal components a latent holds. Returns their last layers and normalised logits.
        """
        wanted, log_spread = self._split(self.observe(self.family.architecture, flat))
        self.log_spread.copy_(torch.stack([log_spread.mean(), log_spread.std().clamp_min(1e-3)]))
        features = self._features((self.base * self.scale)[None], self.probes)
        gram = features[0].T @ features[0] / len(self.probes)
        gram += RIDGE * gram.diagonal().mean() * torch.eye(len(gram), device=gram.device)
        self.root.copy_(torch.linalg.cholesky(gram))
        last = fit_last(features, wanted)
        found = (self.root.T @ last).flatten(1)
        self.centre.copy_(found.mean(0))
        self.axes.copy_(principal(found - self.centre, self.kept, rng))
        spread = ((found - self.centre) @ self.axes.T).std(0)
        self.spread.copy_(spread.clamp_min(SMALL * float(spread.max())))
        return last, wanted

    def _gradients(self, last: Tensor, wanted: Tensor) -> Tensor:
        """Unit gradients [2n, P'] of losses in the trunk, on each half of the probes."""
        found = []
        for half in range(2):
            part = slice(half, None, 2)
            with torch.enable_grad():
                trunks = self.base.detach().expand(len(last), -1).clone().requires_grad_()
                outputs = self._features(trunks * self.scale, self.probes[part]) @ last
                loss = losses.distillation(outputs, wanted[:, part], self.cfg.temperature).sum()
                found.append(nn.functional.normalize(torch.autograd.grad(loss, trunks)[0]))
        return torch.cat(found)

    def observe(self, architecture: str, flat: Tensor) -> Tensor:
        """Logits on the probes at unit spread [n, probes * K], and the log of their spread."""
        with torch.no_grad():
            outputs = self.family.predict(flat, self.probes)
            outputs = outputs - outputs.mean(-1, keepdim=True)
            spread = outputs.square().mean((-2, -1)).sqrt().clamp_min(1e-6)
            return torch.cat(
                [(outputs / spread[:, None, None]).flatten(1), spread.log()[:, None]], 1
            )

    def embed(self, architecture: str, seen: Tensor) -> Tensor:
        """See `Arm`."""
        wanted, log_spread = self._split(seen)
        moves = seen.new_zeros(len(seen), len(self.directions))
        probes, training = self.probes, torch.is_grad_enabled()
        if training:
            part = slice(self.step % PART, None, PART)
            probes, wanted = probes[part], wanted[:, part]
        features = self._features(self._trunks(moves), probes)
        found = fit_last(features, wanted)
        if not training and self.options.iterations and self.directions[:1].any():
            moves, found = self._follow(features[0], found, wanted)
        held = ((self.root.T @ found).flatten(1) - self.centre) @ self.axes.T / self.spread
        mean, spread = self.log_spread
        return torch.cat([(log_spread - mean) / spread, held, moves], 1)

    def _follow(self, features: Tensor, last: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """Moves of the trunk [n, M] towards logits [n, B, K], and last layers on top of them."""
        if self._tangents is None:
            nudges = NUDGE * torch.eye(len(self.directions), device=features.device)
            moved = [self._features(self._trunks(m), self.probes) for m in nudges.split(CHUNK)]
            self._tangents = torch.cat([(part - features)[..., :-1] / NUDGE for part in moved])
        moves, found = [], []
        for part in zip(last.split(CHUNK), wanted.split(CHUNK), strict=True):
            moves.append(bend(self._tangents, features, *part, self.options.iterations))
            found.append(fit_last(self._features(self._trunks(moves[-1]), self.probes), part[1]))
        return torch.cat(moves), torch.cat(found)

    def classify(self, latent: Tensor) -> Tensor:
        """See `Arm`; there is one architecture."""
        return latent.new_zeros(*latent.shape[:-1], 1)

    def decode(self, architecture: str, latent: Tensor) -> Tensor:
        """See `Arm`."""
        return assemble(*self._parts(latent), self.place)

    def run(self, architecture: str, latent: Tensor, x: Tensor) -> Tensor:
        """See `Arm`: a trunk that all share is run once."""
        trunks, last = self._parts(latent)
        return self._features(trunks, x) @ last

    def _parts(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Trunks [n or 1, P'] and last layers [n, F + 1, K] of latents [n, D]."""
        mean, spread = self.log_spread
        scale = (mean + spread * latent[:, 0]).exp()[:, None, None]
        held, moves = latent[:, 1 : 1 + self.kept], latent[:, 1 + self.kept :]
        last = (self.centre + (held * self.spread) @ self.axes).unflatten(1, (-1, self.classes))
        last = torch.linalg.solve_triangular(self.root.T, last, upper=True)
        return self._trunks(moves), scale * last

    def _split(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        return seen[:, :-1].unflatten(1, (len(self.probes), self.classes)), seen[:, -1:]

    def _trunks(self, moves: Tensor) -> Tensor:
        """Weights [n, P'] before the last layer; [1, P'] where no network is moved."""
        settled = self.directions[:1].any()  # until then a move is none
        if not (settled and (moves.requires_grad or moves.any())):
            return (self.base * self.scale)[None]
        return (self.base + moves @ self.directions) * self.scale

    def _features(self, trunks: Tensor, x: Tensor) -> Tensor:
        """What the last layer is given [n, B, F + 1], a constant one at the end."""
        run = self.body.run if torch.is_grad_enabled() else self.body.predict
        return nn.functional.pad(run(trunks, x), (0, 1), value=1.0)


def beheaded(family: Family) -> tuple[Family, Tensor]:
    """The same networks without their last layer, and where their parameters are.

    Returns:
        Their family, whose networks give features [B, F]; and for each parameter [P] of a network
        its place among those before the last layer, then the weight and then the bias of that.

    Raises:
        SettingError: the last layer is not a linear one with a bias.
    """
    name, last = [(n, m) for n, m in family.module.named_modules() if not list(m.children())][-1]
    if not isinstance(last, nn.Linear) or last.bias is None:
        raise SettingError(
            "arm",
            "`readout` needs networks that end in a linear layer with a bias; "
            f"{family.architecture} ends in {type(last).__name__}",
        )
    body = copy.deepcopy(family.module)
    body.set_submodule(name, nn.Identity())
    layout = Layout.of(body)
    starts = {entry.name: entry.offset for entry in layout.entries}
    starts |= {f"{name}.weight": layout.size, f"{name}.bias": layout.size + last.weight.numel()}
    place = torch.cat([starts[e.name] + torch.arange(e.size) for e in family.layout.entries])
    return Family(family.architecture, body, layout), place


def principal(rows: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """The first principal axes [count, P] of rows [n, P]; any others where these are too few."""
    filled = SMALL**2 * torch.randn(count, rows.shape[1], generator=rng).to(rows.device)
    rows = torch.cat([rows, filled * rows.square().mean().sqrt()])
    if rows.shape[1] <= len(rows):
        return torch.linalg.eigh(rows.T @ rows).eigenvectors.flip(1)[:, :count].T
    found = torch.linalg.eigh(rows @ rows.T)
    axes = found.eigenvectors.flip(1)[:, :count].T @ rows
    return nn.functional.normalize(axes)


def assemble(bodies: Tensor, last: Tensor, place: Tensor) -> Tensor:
    """Networks [n, P] of all before the last layer [n or 1, P'] and last layers [n, F + 1, K]."""
    weight, bias = last[:, :-1].transpose(1, 2), last[:, -1]
    return torch.cat([bodies.expand(len(last), -1), weight.flatten(1), bias], 1)[:, place]
