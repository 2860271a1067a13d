"""Zoos on disk: checksummed HDF5 shards of networks (FORMAT.md) and the catalogue over them."""

from lib.store.catalogue import Catalogue, CatalogueError
from lib.store.format import Shard, ShardError, write_shard
from lib.store.reader import Header, iterate, read_header, read_instances, read_shard, verify

__all__ = [
    "Catalogue",
    "CatalogueError",
    "Header",
    "Shard",
    "ShardError",
    "iterate",
    "read_header",
    "read_instances",
    "read_shard",
    "verify",
    "write_shard",
]
