"""What the names in a shard may be made of (lib/zoo/store/FORMAT.md, section 2)."""

import re

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,199}")
ALLOWED = (
    "letters of the English alphabet, digits and _ . : -, at most 200, not beginning with . : -"
)
