"""Orders that lived before: brought through the ordinary life cycle, each step at the time it really happened.

Imports of history and the demo use it. Nothing is written past the services: an order is released, picked, packed and
shipped by the same functions people press, so that stock, money and units add up; only afterwards, still in the same
transaction, instants are restated to when things happened.
"""

from malha.history.life import Ends, Story, live

__all__ = ["Ends", "Story", "live"]
