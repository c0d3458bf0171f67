"""Orders by what a person may hold in their hands: also the code on a parcel, and the key on a fiscal document."""

import msgspec

from malha.fiscal import reads as fiscal
from malha.fulfillment import reads
from malha.ordering import finding_reads
from malha.ordering.listing import Wanted
from malha.platform.db import Tx
from malha.platform.ids import UUID

KEY_LENGTH = 44  # of a fiscal document's access key
CODE_LENGTHS = range(8, 61)  # of tracking codes; what is shorter is a word


async def find(tx: Tx, text: str) -> list[UUID]:
    """Return the orders a person may mean by `text`, as `ordering.finding_reads.find` does, or by their papers.

    An access key is known by its length; a tracking code is one word with a digit in it. Spaces in them do not count.
    """
    bare = "".join(text.split())
    if len(bare) == KEY_LENGTH and bare.isalnum() and (found := await fiscal.orders_of_key(tx, bare.upper())):
        return found
    parcels = []
    if len(bare) in CODE_LENGTHS and any(c.isdigit() for c in bare):
        parcels = await reads.orders_of_tracking(tx, sorted({text.strip(), bare, bare.upper()}))
    return list(dict.fromkeys([*parcels, *await finding_reads.find(tx, text)]))


async def sought(tx: Tx, wanted: Wanted) -> Wanted:
    """Return what is wanted with what its search finds: a page and its count need not look twice."""
    if not wanted.search.strip() or wanted.found is not None:
        return wanted
    return msgspec.structs.replace(wanted, found=tuple(await find(tx, wanted.search)))
