"""Which customers a person may mean by a text: by what profiles say, and by the orders that the order list finds by it.

The order list and this search understand the same keys: a CPF or CNPJ, a telephone and an e-mail however they are
typed, also one that only an order has (mistyped, or of a profile that was merged since), and an order's number or the
channel's own id.
"""

from typing import LiteralString

from malha.customers import reads as customers
from malha.ordering.finding_reads import EXACT, FOUND_LIMIT, KEYED, exact_of, spellings_of
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.platform.text import whole_in

ORDERS = "orders:read"

# Whoever is limited to locations learns nothing from an order that is not, in part, at one of them; by primary keys.
_BUYERS: LiteralString = """
JOIN order_customer k ON k.order_id = f.id
WHERE %(scope)s::int[] IS NULL
   OR (SELECT true FROM order_unit u WHERE u.order_id = f.id AND u.location_id = ANY(%(scope)s::int[]) LIMIT 1)
"""
CUSTOMERS_OF_EXACT = f"SELECT DISTINCT k.customer_id FROM ({EXACT}) f {_BUYERS}"
# A key may be a SKU as well: who bought that is not meant, so what the order says of its buyer is compared.
CUSTOMERS_OF_KEY = f"""
SELECT DISTINCT k.customer_id FROM (
    SELECT o.id FROM ({KEYED}) w (id) JOIN sales_order o ON o.id = w.id
    WHERE lower(regexp_replace(o.buyer_document, '[^[:alnum:]]', '', 'g')) = ANY(%(spellings)s::text[])
       OR lower(o.buyer_email) = ANY(%(spellings)s::text[])
       OR regexp_replace(o.buyer_phone, '[^[:alnum:]]', '', 'g') = ANY(%(spellings)s::text[])) f {_BUYERS}
"""
# Unique index on number.
NUMBERED = "SELECT id FROM customer WHERE number = %(number)s::bigint"


async def find(tx: Tx, text: str) -> list[UUID] | None:
    """Return the customers a person may mean by `text`, at most `customers.reads.FOUND_LIMIT`; None: nothing is asked.

    Who has that number, and, for who may read orders, the buyers of an order with that number or channel's id answer
    first, as in the list of orders. Then what `customers.reads.find` finds; and where that is nothing, the buyers of
    orders with that document, e-mail or telephone.
    """
    asked = text.strip().removeprefix("#")
    scope = None if tx.actor.scope is None else list(tx.actor.scope)
    meant: list[UUID] = []
    if (number := whole_in(asked, 18)) is not None:
        meant += await tx.values(NUMBERED, {"number": number})
    if asked and tx.actor.may(ORDERS):
        meant += await tx.values(CUSTOMERS_OF_EXACT, {**exact_of(asked), "scope": scope})
    if meant and not await customers.is_identity(tx, text):
        return list(dict.fromkeys(meant))
    found = await customers.find(tx, text)
    if not meant and found == [] and tx.actor.may(ORDERS) and (spellings := spellings_of(asked)):
        return await tx.values(CUSTOMERS_OF_KEY, {"spellings": spellings, "most": FOUND_LIMIT, "scope": scope})
    return None if found is None else list(dict.fromkeys([*meant, *found]))
