"""The Mercosur nomenclature: which codes of eight digits exist, from a list carried with the program.

The list ages between releases, so a code it does not hold is a warning and no refusal.
"""

import gzip
from functools import lru_cache
from importlib.resources import files


@lru_cache(maxsize=1)
def _codes() -> frozenset[str]:
    raw = (files("malha.catalog") / "data" / "ncm.txt.gz").read_bytes()
    return frozenset(gzip.decompress(raw).decode().split())


def is_known_ncm(code: str) -> bool:
    """Tell whether the list holds a code of eight digits."""
    return code in _codes()
