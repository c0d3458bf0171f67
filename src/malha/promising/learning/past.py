"""Orders and what became of them, as columns."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


# What an average over few orders leans on: the wider group it lies in.
PARENTS: dict[str, str | None] = {
    "all": None,
    "to_state": "all",
    "from_state": "all",
    "category": "all",
    "lane": "to_state",
    "to_area": "to_state",
    "lane_area": "lane",
    "to_place": "to_area",
    "seller": "from_state",
    "from_area": "from_state",
    "product": "seller",
}


@dataclass(slots=True)
class Past:
    """Orders in the order of their purchase. `keys` are dense codes by group, `facts` what was known at purchase."""

    bought: Floats
    handed: Floats  # to the carrier; infinity: not yet
    delivered: Floats  # infinity: not yet
    keys: dict[str, Ints]
    facts: dict[str, Floats] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.bought)

    @property
    def day(self) -> Ints:
        """Return the day of each purchase."""
        return np.floor(self.bought).astype(np.int64)

    @property
    def taken(self) -> Floats:
        """Return the days each order took; infinity where it is still coming."""
        return self.delivered - self.bought
