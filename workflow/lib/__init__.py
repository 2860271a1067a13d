"""The shared package of the study: zoos of networks and the latent spaces learnt from them."""

import importlib

# Found when first asked for, so that `import lib` alone stays quick.
_LAZY = {"load_network": "lib.zoo.exchange.network"}


def __getattr__(name: str):
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
