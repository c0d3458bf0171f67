"""Customer groups by name: what channels say of buyers, and which allotments are open to them.

A group has no list of members: with each order its channel says to which group the buyer belongs. A name that an
allotment uses is known from then on; one that nothing uses can be deleted.
"""

import msgspec

from malha.inventory.allotments import writes
from malha.inventory.allotments.errors import CustomerGroupInUse, CustomerGroupTaken, UnknownCustomerGroup
from malha.network import rules as network_rules
from malha.network.service import refuse_limited
from malha.platform import audit
from malha.platform.db import Tx
from malha.platform.errors import Conflict
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, Word

MOST = 80  # characters of a code, as orders may state it
NEEDED = N_("It must not be empty.")
TOO_LONG = N_("It is longer than {most} characters.")
NO_COMMA = N_("A code has no comma.")

# Few rows; allotments are few too.
GROUPS = """
SELECT g.code, g.name, g.note, g.version,
       ARRAY(SELECT a.code FROM allotment a WHERE a.state = 'active' AND g.code = ANY (a.customer_groups) ORDER BY 1)
           AS allotments
FROM customer_group g
WHERE %(code)s::text IS NULL OR g.code = %(code)s::text
ORDER BY g.code
"""


class CustomerGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A group of buyers. `allotments` are the codes of active ones that name it."""

    code: str
    name: str
    note: str
    version: int
    allotments: list[str]


class CustomerGroupDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A customer group as someone states it."""

    name: str
    note: str = ""


async def groups(tx: Tx, code: str | None = None) -> list[CustomerGroup]:
    """Return the customer groups by code, or the one with a code."""
    return await tx.all(CustomerGroup, GROUPS, {"code": code})


async def group(tx: Tx, code: str) -> CustomerGroup:
    """Return one customer group.

    Raises:
        UnknownCustomerGroup: there is none with this code.
    """
    found = next(iter(await groups(tx, code)), None)
    if found is None:
        raise UnknownCustomerGroup(key=code)
    return found


async def put(tx: Tx, code: str, draft: CustomerGroupDraft, version: int | None) -> CustomerGroup:
    """Create a group (`version` None), or change the name and note of one that still has `version`.

    Raises:
        SharedByAll: the actor is limited to some locations.
        Invalid: code or name is not possible.
        CustomerGroupTaken, UnknownCustomerGroup, Conflict: as their words say.
    """
    refuse_limited(tx)
    refuse([*_flaws(draft), *(_code_flaws(code) if version is None else ())])
    before = next(iter(await groups(tx, code)), None)
    if before is None and version is not None:
        raise UnknownCustomerGroup(key=code)
    row = {"code": code, "name": draft.name.strip(), "note": draft.note.strip(), "version": version}
    if not await tx.values(writes.INSERT_GROUP if version is None else writes.UPDATE_GROUP, row):
        if version is None:
            raise CustomerGroupTaken(key=code)
        raise Conflict(what=Word(N_("Customer group")), key=code)
    after = await group(tx, code)
    action = "create" if before is None else "change"
    await audit.record(tx, action=action, entity="customer_group", entity_id=code, before=before, after=after)
    return after


async def remove(tx: Tx, code: str, version: int) -> None:
    """Forget a group that no active allotment names. What orders stated stays with them.

    Raises:
        SharedByAll: the actor is limited to some locations.
        CustomerGroupInUse: an allotment names it.
        UnknownCustomerGroup, Conflict: as their words say.
    """
    refuse_limited(tx)
    await tx.tuples(writes.LOCK_ALL)  # no allotment comes to name it meanwhile
    before = await group(tx, code)
    if before.allotments:
        raise CustomerGroupInUse(key=code, allotments=", ".join(before.allotments))
    if not await tx.values(writes.DELETE_GROUP, {"code": code, "version": version}):
        raise Conflict(what=Word(N_("Customer group")), key=code)
    await audit.record(tx, action="delete", entity="customer_group", entity_id=code, before=before)


def _code_flaws(code: str) -> list[Flaw]:
    if not code.strip():
        return [Flaw("code", NEEDED)]
    flaws = [Flaw("code", NO_COMMA)] if "," in code else []  # forms list groups with commas between
    return [*flaws, *network_rules.check_new_code("code", code, MOST)]


def _flaws(draft: CustomerGroupDraft) -> list[Flaw]:
    flaws = [] if draft.name.strip() else [Flaw("name", NEEDED)]
    for at, text, most in (("name", draft.name, MOST), ("note", draft.note, 500)):
        if len(text) > most:
            flaws.append(Flaw(at, TOO_LONG, facts={"most": most}))
    return flaws
