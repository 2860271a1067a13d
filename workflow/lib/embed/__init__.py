"""Embedders: arms that encode and decode networks, their training, and the finished product."""

from lib.embed.product import Embedder, load_embedder

__all__ = ["Embedder", "load_embedder"]
