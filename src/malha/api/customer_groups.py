"""Customer groups: names for what channels say of buyers, and the allotments that are open to them."""

from malha.api.network import Stored
from malha.api.work import Work, command, query
from malha.inventory.allotments import groups
from malha.inventory.allotments.groups import CustomerGroup, CustomerGroupDraft

TAG = "allotments"


class NewCustomerGroup(CustomerGroupDraft, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A customer group, with the code that channels state."""

    code: str


@query("/customer-groups", permission="stock:read", tag=TAG)
async def list_customer_groups(work: Work) -> list[CustomerGroup]:
    """List customer groups by code, each with the active allotments that name it."""
    return await groups.groups(work.tx)


@query("/customer-groups/{code:str}", permission="stock:read", tag=TAG)
async def show_customer_group(work: Work, code: str) -> CustomerGroup:
    """Return a customer group."""
    found = await groups.group(work.tx, code)
    work.tag(found.version)
    return found


@command("/customer-groups", permission="stock:write", status=201, tag=TAG)
async def create_customer_group(work: Work, data: NewCustomerGroup) -> Stored:
    """Name a customer group. Orders may state any code, known or not; a name lets people choose it."""
    made = await groups.put(work.tx, data.code, CustomerGroupDraft(name=data.name, note=data.note), None)
    work.created(f"/v1/customer-groups/{made.code}")
    work.tag(made.version)
    return Stored(made.code, made.version)


@command(
    "/customer-groups/{code:str}",
    method="PUT",
    permission="stock:write",
    everywhere=True,
    versioned="required",
    tag=TAG,
)
async def change_customer_group(work: Work, code: str, data: CustomerGroupDraft) -> Stored:
    """Change the name and note of a customer group."""
    version = (await groups.group(work.tx, code)).version
    work.expect(version)
    changed = await groups.put(work.tx, code, data, version)
    work.tag(changed.version)
    return Stored(code, changed.version)


@command(
    "/customer-groups/{code:str}",
    method="DELETE",
    permission="stock:write",
    everywhere=True,
    versioned="required",
    tag=TAG,
)
async def delete_customer_group(work: Work, code: str) -> None:
    """Forget a customer group that no active allotment names. Orders keep what they stated."""
    version = (await groups.group(work.tx, code)).version
    work.expect(version)
    await groups.remove(work.tx, code, version)


handlers = [
    list_customer_groups,
    show_customer_group,
    create_customer_group,
    change_customer_group,
    delete_customer_group,
]
