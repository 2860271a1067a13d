"""The embedder as a product: load it, encode networks to latents, decode latents to networks."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from lib import nets
from lib.config import Embedding
from lib.core.atomic import atomic
from lib.core.repro import digest_arrays, versions
from lib.core.tensors import save_file
from lib.core.untrusted import regular
from lib.data.images import ImageSplit
from lib.embed.arm import EMBEDDER, Arm, EmbedderError, SettingError, find_arm
from lib.engine.family import Family
from lib.nets.fuse import Pairs, bn_pairs, fuse_state
from lib.zoo.exchange.wrapped import unwrapped
from lib.zoo.store import Catalogue

TYPE, VERSION = "netspace-embedder", 1
MOST = 1 << 28  # parameters of a network
Network = nn.Module | Mapping[str, Tensor] | str


def make_arm(
    cfg: Embedding,
    architectures: Sequence[str],
    image: tuple[int, ...],
    classes: int,
    field: Mapping[str, Any] | None = None,
    where: str = EMBEDDER,
) -> Arm:
    """A freshly initialised arm for these architectures and images [C, H, W].

    Args:
        cfg: the arm and how it is trained.
        architectures: of the networks, in class order.
        image: shape of an input; (3,) for fields.
        classes: number of outputs; 1 for fields.
        field: for signed distance fields, widths and omega that they are built with.
        where: the place of `cfg` in the config, for messages.

    Raises:
        EmbedderError: the arm does not take such a config, or a network is too large to embed.
    """
    if field:
        families = {name: Family.of_field(name, **field) for name in architectures}
    else:
        channels, size, _ = image
        families = {name: Family.of(name, channels, size, classes) for name in architectures}
    for name, family in families.items():
        if family.layout.size > MOST:
            raise EmbedderError(f"a {name} of {family.layout.size} parameters cannot be embedded")
    try:
        return find_arm(cfg.arm)(families, cfg, image, classes)
    except SettingError as error:
        raise error.at(where) from None


def card_of(images: ImageSplit, seed: int) -> dict[str, Any]:
    """The part of an embedder's card that says what its networks are given, and its seed."""
    return {
        "image": tuple(images.x.shape[1:]),
        "mean": images.mean,
        "std": images.std,
        "classes": images.classes,
        "dataset": images.name,
        "dataset_sha256": images.digest,
        "seed": seed,
    }


class Embedder:
    """A trained embedder: networks to latents [D] and latents to ready networks.

    Attributes:
        arm: the trained modules.
        card: what the embedder is and how it was made (plain data).
    """

    def __init__(self, arm: Arm, card: Mapping[str, Any]) -> None:
        """Wrap a trained arm; `card` is filled up by `save`."""
        self.arm, self.card = arm.eval().requires_grad_(False), dict(card)
        self._modules: dict[str, tuple[nn.Module, Pairs]] = {}

    @property
    def device(self) -> torch.device:
        """Where the arm runs, latents are returned and decoded networks lie."""
        return next(self.arm.parameters()).device

    @property
    def architectures(self) -> tuple[str, ...]:
        """Names of the architectures in class order."""
        return tuple(self.arm.families)

    def encode(self, network: Network, catalogue: Catalogue | str | Path | None = None) -> Tensor:
        """The latent [D] of a network.

        Args:
            network: a module or state dict of one of the architectures, with batch norm or fused,
                or the id of a network in `catalogue`.
            catalogue: where to look an id up.

        Raises:
            EmbedderError: the parameters are of none of the architectures or not finite, or an id
                came without a catalogue.
            CatalogueError: the catalogue has no such network.
        """
        if isinstance(network, str):
            if catalogue is None:
                raise EmbedderError(f"to encode {network!r} by its id, give the catalogue it is in")
            if not isinstance(catalogue, Catalogue):
                catalogue = Catalogue.load(catalogue)
            network = catalogue.state_dict(network)
        name, flat = self.identify(network)
        with torch.no_grad():
            return self.arm.encode(name, flat[None])[0]

    def decode(self, latent: Tensor, architecture: str | None = None) -> nn.Module:
        """A ready network from a latent [D], in eval mode; its `architecture` says which it is.

        Args:
            latent: a point of the latent space.
            architecture: decode as this one instead of the predicted one.

        Raises:
            EmbedderError: the latent is not of this space, or the architecture not known.
        """
        latent = torch.as_tensor(latent, dtype=torch.float32, device=self.device)
        wanted = f"a latent of this embedder is {self.arm.cfg.latent} finite numbers, got"
        if latent.shape != (self.arm.cfg.latent,):
            raise EmbedderError(f"{wanted} shape {tuple(latent.shape)}")
        if not latent.isfinite().all():
            raise EmbedderError(f"{wanted} {int((~latent.isfinite()).sum())} NaN or infinite ones")
        name = architecture or self.predict(latent)
        if name not in self.arm.families:
            raise EmbedderError(
                f"this embedder cannot decode {name!r}, only {', '.join(self.architectures)}"
            )
        family = self.arm.families[name]
        with torch.no_grad():
            flat = self.arm.decode(name, latent[None])[0]
        module = copy.deepcopy(family.module)
        module.load_state_dict({k: v.clone() for k, v in family.layout.unflatten(flat).items()})
        module.architecture = name
        return module.eval()

    def predict(self, latent: Tensor) -> str:
        """The architecture that a latent [D] stands for."""
        with torch.no_grad():
            classes = self.arm.classify(latent[None].to(self.device))
        return self.architectures[int(classes[0].argmax())]

    def identify(self, network: nn.Module | Mapping[str, Tensor]) -> tuple[str, Tensor]:
        """Architecture and flat vector [P] (batch norm fused) of a module or state dict.

        What wrappers (DataParallel, torch.compile, Lightning, ...) put before the names is taken
        off; parameters may be of any precision.

        Raises:
            EmbedderError: the parameters are of none of the architectures, or not finite.
        """
        state = network.state_dict() if isinstance(network, nn.Module) else network
        if not (isinstance(state, Mapping) and all(isinstance(v, Tensor) for v in state.values())):
            raise EmbedderError(
                "a network is a module, a state dict of tensors or the id of one in a catalogue, "
                f"got {type(network).__name__}"
            )
        state = {name: value.float() for name, value in state.items()}
        image = self.card["image"]
        for name, family in self.arm.families.items():
            fused = {entry.name: entry.shape for entry in family.layout.entries}
            found = self._part(state, fused)
            if found is None:
                if "field" in self.card:
                    continue
                module, pairs = self._unfused(name)
                found = self._part(state, _shapes(module.state_dict()))
                if found is None:
                    continue
                found = fuse_state(found, pairs, module)
            flat = family.layout.flatten(found).to(self.device)
            if not flat.isfinite().all():
                raise EmbedderError(f"this {name} has parameters that are NaN or infinite")
            return name, flat
        raise EmbedderError(
            "these parameters are of none of the architectures of this embedder ("
            f"{', '.join(self.architectures)} for images of shape "
            f"{'x'.join(map(str, image))}, {len(self.card['classes'])} classes)"
        )

    def _part(
        self, state: Mapping[str, Tensor], wanted: Mapping[str, tuple[int, ...]]
    ) -> dict[str, Tensor] | None:
        """The part of a state that has these names, but for a prefix, and these shapes."""
        try:
            found = unwrapped(state, wanted)
        except ValueError as error:
            raise EmbedderError(str(error)) from None
        if found is None or any(tuple(v.shape) != wanted[k] for k, v in found.items()):
            return None
        return found

    def _unfused(self, name: str) -> tuple[nn.Module, Pairs]:
        if name not in self._modules:
            channels, size, _ = self.card["image"]
            with torch.random.fork_rng(devices=[]):
                module = nets.build(name, channels, size, self.arm.classes)
            self._modules[name] = module, bn_pairs(module)
        return self._modules[name]

    def save(self, path: str | Path) -> None:
        """Write `<path>` (safetensors) and its card `<path>.json`, each in one step."""
        state = {name: value.cpu().contiguous() for name, value in self.arm.state_dict().items()}
        arrays = {name: value.numpy() for name, value in state.items()}
        card = {
            **self.card,
            "type": TYPE,
            "version": VERSION,
            "architectures": list(self.architectures),
            "embedder": self.arm.cfg.model_dump(mode="json"),
            "versions": versions(),
            "parameters": {name: s.layout.size for name, s in self.arm.families.items()},
            "digest": digest_arrays(arrays),
        }
        with atomic(path) as temporary:
            save_file(state, temporary)
        with atomic(card_path(path)) as temporary:
            temporary.write_text(json.dumps(card, indent=2) + "\n")


def card_path(path: str | Path) -> Path:
    """Where the card of an embedder file lies."""
    return Path(f"{path}.json")


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}


def load_embedder(path: str | Path, device: str = "cpu") -> Embedder:
    """The embedder saved at `path`, on `device`; nothing is unpickled, its content is checked.

    Raises:
        EmbedderError: a file is missing, damaged, or not an embedder of a version known here.
    """
    try:
        card = json.loads(regular(card_path(path)).read_text())
        if card.get("type") != TYPE or card.get("version") != VERSION:
            raise EmbedderError(f"{card_path(path)}: not an embedder of version {VERSION}")
        state = load_file(regular(path))
        arrays = {name: np.ascontiguousarray(value.numpy()) for name, value in state.items()}
        if digest_arrays(arrays) != card["digest"]:
            raise EmbedderError(f"{path}: its content does not match the digest in its card")
        parts = (
            Embedding.model_validate(card["embedder"]),
            card["architectures"],
            tuple(card["image"]),
            len(card["classes"]),
            card.get("field"),
        )
        with torch.random.fork_rng(devices=[]):
            with torch.device("meta"):  # what the card asks for takes no memory before it fits
                wanted = _shapes(make_arm(*parts).state_dict())
            if wanted != _shapes(state):
                raise EmbedderError(f"{path}: its tensors are not those that its card speaks of")
            arm = make_arm(*parts)
        arm.load_state_dict(state)
    except FileNotFoundError as error:
        missing = error.filename or path
        raise EmbedderError(f"no embedder at {path}: {missing} is missing") from None
    except EmbedderError:
        raise
    except (
        ValueError,
        KeyError,
        AttributeError,
        TypeError,
        RuntimeError,
        OSError,
        OverflowError,
        MemoryError,
        SafetensorError,
    ) as error:
        raise EmbedderError(f"{path}: not a whole embedder: {error}") from None
    return Embedder(arm.to(device), card)
