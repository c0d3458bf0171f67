"""Tryton 8, an ERP, through its REST protocol with the key of a user application.

Products and stock come from it; sales, credits and what left go to it. Tryton knows no keys of ours, so what is told
once bears a mark in its reference and is found by it again. A sale is made as a draft, looked up by its mark, confirmed
only as the one of its mark and only with the very total of Malha: whatever broke on the way, a second draft is removed
instead of confirmed.

Money goes and comes as Tryton's Decimal. Tryton keeps quantities as numbers with a unit: they go as whole numbers and
are read as exact decimals.

`asking` is the way there; `documents`, `parcels`, `goods` and `parties` do what their names say, `closing` what is to
be done on a sale for units that will never leave; `values` holds how Tryton writes things.
"""

from malha.channels.connectors.tryton.connector import Tryton

__all__ = ["Tryton"]
