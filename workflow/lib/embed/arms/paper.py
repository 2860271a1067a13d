"""The paper's arm: convolutions over the PRep (Berardi et al., ICPR 2022, Sec. III).

Every width follows from three numbers: the size D of the latent and the height and width of the
PRep. D = 4096 and 88x10000 are the paper's (6,788,352 parameters in the encoder, 4,721,258 in the
decoder with the head of four architectures); a smaller latent or PRep scales both down.

There is no mask: the zeros behind the parameters of a network are seen like weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from lib.config import Embedding
from lib.embed.arm import Arm, SettingError, arm
from lib.engine.family import Family
from lib.nets.layout import from_prep, to_prep

ROWS, COLUMNS = 4, 8  # height and width of a PRep are multiples of these
PROPORTION = 10000 / 88  # width by height
CHUNK = 10**6  # values of PReps that are convolved at once
HEAD = 10  # channels of the architecture head


def prep_size(largest: int) -> tuple[int, int]:
    """Height and width of the smallest PRep, in the paper's proportion, for `largest` values."""
    height = ROWS * math.ceil(math.sqrt(largest / PROPORTION) / ROWS)
    return height, COLUMNS * math.ceil(largest / height / COLUMNS)


class Encoder(nn.Module):
    """PReps [n, height, width] to latents [n, D].

    Two convolutions along the rows, the maximum of each row, two across the rows, the maximum.
    """

    def __init__(self, latent: int) -> None:
        """Build for latents of D numbers, D a multiple of 32."""
        super().__init__()
        narrow, middle, wide = latent // 32, latent // 16, latent // 8
        self.along = nn.ModuleList(
            nn.Conv2d(given, out, (1, 3), (1, 2), (0, 1))
            for given, out in ((1, narrow), (narrow, middle))
        )
        self.across = nn.ModuleList(
            nn.Conv2d(given, out, (3, 1), padding=(1, 0))
            for given, out in ((middle, wide), (wide, latent))
        )

    def forward(self, prep: Tensor) -> Tensor:
        """Latents of PReps."""
        x = prep[:, None]
        for convolution in self.along:
            x = leaky_relu(convolution(x))
        x = x.max(3, keepdim=True).values
        for convolution in self.across:
            x = leaky_relu(convolution(x))
        return x.flatten(2).max(2).values


class Decoder(nn.Module):
    """Latents [n, D], seen as square maps, to PReps [n, height, width].

    Between its convolutions the values stay in their order and are read in another shape.
    """

    def __init__(self, latent: int, height: int, width: int) -> None:
        """Build for D the square of a multiple of 8, `height` and `width` multiples of 4 and 8."""
        super().__init__()
        side, middle = math.isqrt(latent), latent // 16
        self.prep = height, width
        # What each convolution is given: channels, height, width.
        self.shapes = (
            (1, side, side),
            (latent // 32, height, latent // 2),
            (latent // 8, height // 2, width // 4),
            (middle, height // 4, width // 8),
        )
        outs, strides = (height * middle, width // 8, middle, 32), (2, 2, 2, 1)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(shape[0], out, 3, stride, 1)
            for shape, out, stride in zip(self.shapes, outs, strides, strict=True)
        )
        self.scale = nn.Parameter(torch.randn(height, width) * 1e-3)
        self.shift = nn.Parameter(torch.rand(height, width) * 1e-2)

    def forward(self, latent: Tensor) -> Tensor:
        """PReps of latents."""
        x = latent
        for k, (convolution, shape) in enumerate(zip(self.convolutions, self.shapes, strict=True)):
            x = convolution((leaky_relu(x) if k else x).reshape(-1, *shape))
        return x.reshape(-1, *self.prep) * self.scale + self.shift


class Head(nn.Module):
    """Latents [n, D] to architecture logits [n, A]."""

    def __init__(self, latent: int, architectures: int) -> None:
        """Build for D the square of an even number."""
        super().__init__()
        self.side = math.isqrt(latent)
        self.convolution = nn.Conv2d(1, HEAD, 3, 2, 1)
        self.linear = nn.Linear(HEAD * latent // 4, architectures)

    def forward(self, latent: Tensor) -> Tensor:
        """Logits of latents."""
        x = self.convolution(latent.reshape(-1, 1, self.side, self.side))
        return self.linear(leaky_relu(x).flatten(1))


@arm("paper")
class Paper(Arm):
    """Networks as PReps of one size for all architectures, encoded and decoded by convolutions."""

    # The paper's protocol for several architectures, as values of the config's block `embedder`;
    # it takes 1,000 passes over the training images and selects after every 25th.
    PROTOCOL = {
        "arm": "paper",
        "latent": 4096,
        "networks": 2,
        "draw": "mixed",
        "run_as": "predicted",
        "batch_size": 128,
        "learning_rate": 1e-4,
        "schedule": "constant",
        "clip": None,
        "temperature": 4.0,
        "versions": 1,
        "weight_noise": 0.0,
        "image_noise": 0.0,
        "weights": {
            "own": 0.0,
            "teacher": 0.9,
            "label": 0.1,
            "architecture": 1.0,
            "interpolation": 1.0,
            "interpolation_teacher": 0.9,
        },
        "select_by": "accuracy",
    }

    def __init__(
        self, families: Mapping[str, Family], cfg: Embedding, image: tuple[int, ...], classes: int
    ) -> None:
        """See `Arm`.

        Raises:
            SettingError: as `check`, or the PRep is too small for an architecture.
        """
        super().__init__(families, cfg, image, classes)
        self.check(cfg)
        largest = max(families.values(), key=lambda family: family.layout.size)
        height, width = cfg.prep or prep_size(largest.layout.size)
        if height * width < largest.layout.size:
            raise SettingError(
                "prep",
                f"[{height}, {width}] holds {height * width} values; "
                f"{largest.architecture} has {largest.layout.size} parameters",
            )
        self.height, self.width = height, width
        self.encoder = Encoder(cfg.latent)
        self.decoder = Decoder(cfg.latent, height, width)
        self.head = Head(cfg.latent, len(families))

    @classmethod
    def check(cls, cfg: Embedding) -> None:
        """See `Arm`: the shapes between the convolutions have to come out whole."""
        super().check(cfg)
        side = math.isqrt(cfg.latent)
        if side**2 != cfg.latent or side % 8:
            raise SettingError(
                "latent",
                f"is {cfg.latent}, for arm `paper` it must be the square of a multiple of 8: "
                "64, 256, 576, 1024, ..., 4096",
            )
        if cfg.prep and (cfg.prep[0] % ROWS or cfg.prep[1] % COLUMNS):
            raise SettingError(
                "prep",
                f"is {list(cfg.prep)}, its height must be a multiple of {ROWS}, its width of "
                f"{COLUMNS}",
            )

    def prepare(
        self,
        networks: Mapping[str, Tensor],
        scores: Mapping[str, Tensor],
        x: Tensor,
        rng: torch.Generator,
    ) -> None:
        """Nothing: the paper's arm takes no statistics."""

    def observe(self, architecture: str, flat: Tensor) -> Tensor:
        """The weights themselves."""
        return flat

    def embed(self, architecture: str, seen: Tensor) -> Tensor:
        """See `Arm`; the architecture is not looked at."""
        return self._in_chunks(
            lambda flat: self.encoder(to_prep(flat, self.height, self.width)), seen
        )

    def classify(self, latent: Tensor) -> Tensor:
        """See `Arm`."""
        return self.head(latent)

    def decode(self, architecture: str, latent: Tensor) -> Tensor:
        """See `Arm`: the beginning of the decoded PRep."""
        size = self.families[architecture].layout.size
        return self._in_chunks(lambda part: from_prep(self.decoder(part), size), latent)

    def _in_chunks(self, call: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
        """`call` on a few networks at a time: a PRep of 88x10000 takes a gigabyte on its way."""
        count = max(1, CHUNK // (self.height * self.width))
        return torch.cat([call(part) for part in rows.split(count)])
