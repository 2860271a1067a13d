"""What the names in a shard may be made of (lib/zoo/store/FORMAT.md)."""

import re

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,199}")
ALLOWED = "at most 200 English letters, digits and _ . : -, beginning with a letter, digit or _"
