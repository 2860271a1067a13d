"""Zoos on disk: checksummed HDF5 shards of networks (FORMAT.md) and the catalogue over them."""

from lib.zoo.store.catalogue import Catalogue
from lib.zoo.store.format import CatalogueError, Shard, ShardError
from lib.zoo.store.header import Header
from lib.zoo.store.reader import iterate, read_header, read_instances, read_shard, verify
from lib.zoo.store.where import ConditionError
from lib.zoo.store.writer import write_shard

__all__ = [
    "Catalogue",
    "CatalogueError",
    "ConditionError",
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
