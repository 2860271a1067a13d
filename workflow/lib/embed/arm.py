"""What every embedder is made of: the families of its networks and the interface of an arm."""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from lib.config.faults import faults
from lib.config.types import Block
from lib.core.errors import InputError
from lib.engine.family import Family

if TYPE_CHECKING:
    from lib.config import Embedding


EMBEDDER = "embedder"  # what messages call an embedder's block if they do not know its place


class EmbedderError(InputError):
    """An embedder cannot be built, loaded or used as asked."""


class SettingError(EmbedderError):
    """A key of an embedder's block is not as it has to be."""

    def __init__(self, key: str, problem: str, where: str = EMBEDDER) -> None:
        """Say that `key` of the block at `where` in the config `problem`: "must be lower"."""
        super().__init__(f"{where}.{key} {problem}")
        self.key, self.problem = key, problem

    def at(self, where: str) -> SettingError:
        """The same of a block whose place in the config is known."""
        return SettingError(self.key, self.problem, where)


class Arm(nn.Module, ABC):
    """An embedder: networks of several architectures to one latent space and back.

    An arm is built from the families, its config and the shape of an image [C, H, W]; what it takes
    from the training networks it takes in `prepare`. Its state dict holds all it needs.

    Attributes:
        step: the (0-based) step of training under way. What changes from step to step and is
            neither a parameter nor a buffer has to follow from it, so that training can be resumed.
    """

    step = 0

    class Options(Block):
        """Keys of the arm's own, in the config's block `embedder.options`."""

    def __init__(
        self, families: Mapping[str, Family], cfg: Embedding, image: tuple[int, ...], classes: int
    ) -> None:
        """Build the parameters; `image` is [C, H, W]."""
        super().__init__()
        self.families, self.cfg, self.classes = dict(families), cfg, classes
        self.options = self.read_options(cfg)

    def _apply(self, fn, recurse: bool = True) -> Arm:
        # The families run beside the arm, outside its state dict, and have to follow it.
        for family in self.families.values():
            family.module._apply(fn)
        return super()._apply(fn, recurse)

    @classmethod
    def read_options(cls, cfg: Embedding) -> Options:
        """The checked keys of the block `embedder.options`.

        Raises:
            SettingError: naming the key, its value and what is allowed.
        """
        try:
            return cls.Options.model_validate(cfg.options)
        except ValidationError as error:
            found = faults(error, cls.Options)
            raise SettingError("options", f"of arm `{cfg.arm}`:\n{found}") from None

    @classmethod
    def check(cls, cfg: Embedding) -> None:
        """Refuse a config that no such arm can be built with, before any work starts.

        Raises:
            SettingError: naming the key, its value and what is allowed.
        """
        cls.read_options(cfg)

    @abstractmethod
    def prepare(
        self,
        networks: Mapping[str, Tensor],
        scores: Mapping[str, Tensor],
        x: Tensor,
        rng: torch.Generator,
    ) -> None:
        """Take statistics from training networks [n, P], their validation scores [n] and images."""

    def settle(self, networks: Mapping[str, Tensor], rng: torch.Generator) -> None:
        """Take statistics from training networks [n, P] again, once all is learnt; an arm may."""

    @abstractmethod
    def observe(self, architecture: str, flat: Tensor) -> Tensor:
        """What the encoder sees of networks [n, P], [n, ...]: the part without learnt weights."""

    @abstractmethod
    def embed(self, architecture: str, seen: Tensor) -> Tensor:
        """Latents [n, D] of what was observed [n, ...]: the learnt part."""

    def encode(self, architecture: str, flat: Tensor) -> Tensor:
        """Latents [n, D] of networks [n, P] of one architecture."""
        return self.embed(architecture, self.observe(architecture, flat))

    @abstractmethod
    def classify(self, latent: Tensor) -> Tensor:
        """Architecture logits [n, A] of latents [n, D], in class order."""

    @abstractmethod
    def decode(self, architecture: str, latent: Tensor) -> Tensor:
        """Networks [n, P] of one architecture from latents [n, D]."""

    def run(self, architecture: str, latent: Tensor, x: Tensor) -> Tensor:
        """Logits [n, B, K] of the networks decoded from latents [n, D], on images [B, C, H, W]."""
        return self.families[architecture].run(self.decode(architecture, latent), x)

    def perturb(self, architecture: str, flat: Tensor, rng: torch.Generator) -> Tensor:
        """Training networks [n, P] changed at random, as augmentation; an arm may say how."""
        return flat


class FieldArm(Arm):
    """An arm that runs fields at points to encode them, and so can be shown warped ones.

    Attributes:
        probes: the points [B, 3] at which it sees a field.
    """

    probes: Tensor

    @abstractmethod
    def observe_at(self, flat: Tensor, points: Tensor) -> Tensor:
        """As `observe`, of warped fields: those whose value at a probe is that at `points`.

        Args:
            flat: fields [n, P].
            points: where each has the values that its warped version has at the probes, [n, B, 3].
        """


_registry: dict[str, type[Arm]] = {}


def arm(name: str) -> Callable[[type[Arm]], type[Arm]]:
    """Register an arm under the name that configs call it by.

    Raises:
        EmbedderError: another module has taken the name already.
    """

    def register(cls: type[Arm]) -> type[Arm]:
        taken = _registry.get(name)
        if taken and taken.__module__ != cls.__module__:
            raise EmbedderError(
                f"embedder arm {name!r} of {cls.__module__} is already defined in "
                f"{taken.__module__}; pick another name"
            )
        _registry[name] = cls
        return cls

    return register


def find_arm(name: str) -> type[Arm]:
    """The arm of this name; every module of `lib.embed.arms` is looked through.

    Raises:
        EmbedderError: naming the known arms.
    """
    package = importlib.import_module("lib.embed.arms")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"lib.embed.arms.{module.name}")
    if name not in _registry:
        raise EmbedderError(
            f"unknown embedder arm {name!r}, known are {', '.join(sorted(_registry))}"
        )
    return _registry[name]
