"""What routing compares besides freight and handling: settings, tax costs, credits for aged stock, learned risks."""

from typing import Annotated

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.fiscal import tax_cost_reads, tax_costs
from malha.fiscal.tax_cost_reads import TaxCost
from malha.network.service import refuse_limited
from malha.routing import cost_draft_reads, cost_drafts, cost_reads, costs
from malha.routing.cost_draft_model import CostDraft, Drafted
from malha.routing.cost_model import Costs, Markdown, Risk

TAG = "routing"


class Version(msgspec.Struct, frozen=True):
    """The version that a change made; the next one names it in `If-Match`."""

    version: int


class TaxCosts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole table of tax costs."""

    rows: list[TaxCost]


class Markdowns(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole table of credits for aged stock."""

    rows: list[Markdown]


Note = Annotated[str, Meta(max_length=500)]


class NewCosts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A draft of costs, and why it is made."""

    content: Drafted
    note: Note = ""


class ChangedCosts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a draft is afterwards. `note` absent: as it is."""

    content: Drafted
    note: Note | None = None


@query("/routing-costs", permission="network:read", tag=TAG)
async def show_routing_costs(work: Work) -> Costs:
    """Return what routing compares besides freight and handling, and whom it leaves out. Zero or empty is off.

    Who is limited to some locations reads of those alone, and may change nothing.
    """
    work.tag(await cost_reads.version(work.tx))
    return await cost_reads.costs_seen(work.tx)


@command("/routing-costs", method="PUT", permission="network:write", everywhere=True, versioned="required", tag=TAG)
async def change_routing_costs(work: Work, data: Costs) -> Version:
    """Replace what routing compares. Orders planned from then on follow it within a second."""
    version = await cost_reads.version(work.tx)
    work.expect(version)
    changed = await costs.set_costs(work.tx, data, version)
    work.tag(changed)
    return Version(changed)


@query("/tax-costs", permission="network:read", tag=TAG)
async def show_tax_costs(work: Work) -> TaxCosts:
    """Return what selling costs in tax, by the states goods go between and the beginning of the NCM."""
    work.tag(await tax_cost_reads.version(work.tx))
    return TaxCosts(await tax_cost_reads.tax_costs(work.tx))


@command("/tax-costs", method="PUT", permission="network:write", everywhere=True, versioned="required", tag=TAG)
async def change_tax_costs(work: Work, data: TaxCosts) -> Version:
    """Replace the whole table of tax costs. An empty one costs nothing."""
    version = await tax_cost_reads.version(work.tx)
    work.expect(version)
    changed = await tax_costs.replace(work.tx, data.rows, version)
    work.tag(changed)
    return Version(changed)


@query("/markdown-credits", permission="network:read", tag=TAG)
async def show_markdown_credits(work: Work) -> Markdowns:
    """Return what getting rid of a unit of aged stock is worth, by SKU and location that the caller sees."""
    work.tag(await cost_reads.markdowns_version(work.tx))
    return Markdowns(await cost_reads.markdowns_seen(work.tx))


@command("/markdown-credits", method="PUT", permission="network:write", everywhere=True, versioned="required", tag=TAG)
async def change_markdown_credits(work: Work, data: Markdowns) -> Version:
    """Replace the whole table of credits for aged stock. A parcel's credits are at most what it costs otherwise."""
    version = await cost_reads.markdowns_version(work.tx)
    work.expect(version)
    changed = await costs.set_markdowns(work.tx, data.rows, version)
    work.tag(changed)
    return Version(changed)


@query("/routing-risks", permission="network:read", tag=TAG)
async def list_routing_risks(work: Work) -> list[Risk]:
    """List what was last learned of each location: work it gave back, promises that were broken."""
    return [risk for risk in await cost_reads.risks(work.tx) if work.actor.sees(risk.location_id)]


@query("/routing-cost-drafts", permission="network:read", tag=TAG)
async def list_cost_drafts(work: Work) -> list[CostDraft]:
    """List drafts of costs, the newest first, with what became of them."""
    refuse_limited(work.tx)
    return await cost_draft_reads.drafts(work.tx)


@query("/routing-cost-drafts/{id:int}", permission="network:read", tag=TAG)
async def show_cost_draft(work: Work, id: int) -> CostDraft:  # noqa: A002 -- the parameter's name in the path
    """Return a draft of costs, and its version as `ETag`."""
    refuse_limited(work.tx)
    found = await cost_drafts.show(work.tx, id)
    work.tag(found.version)
    return found


@command("/routing-cost-drafts", permission="network:write", status=201, tag=TAG)
async def draft_costs(work: Work, data: NewCosts) -> CostDraft:
    """Start a draft of costs: each part that it names is a whole, the others stay as they are in force.

    Nothing is decided by it. Simulations and drafts beside live orders try it (`cost_draft`).
    """
    made = await cost_drafts.start_draft(work.tx, data.content, note=data.note)
    work.created(f"/v1/routing-cost-drafts/{made.id}")
    work.tag(made.version)
    return made


@command(
    "/routing-cost-drafts/{id:int}",
    method="PUT",
    permission="network:write",
    everywhere=True,
    versioned="required",
    tag=TAG,
)
async def change_cost_draft(work: Work, id: int, data: ChangedCosts) -> CostDraft:  # noqa: A002
    """Change a draft of costs: it is afterwards what the body says."""
    found = await cost_drafts.show(work.tx, id)
    work.expect(found.version)
    changed = await cost_drafts.save_draft(work.tx, id, data.content, found.version, note=data.note)
    work.tag(changed.version)
    return changed


@command(
    "/routing-cost-drafts/{id:int}", method="DELETE", permission="network:write", everywhere=True, status=204, tag=TAG
)
async def drop_cost_draft(work: Work, id: int) -> None:  # noqa: A002
    """Throw a draft of costs away, unless it was put into force."""
    found = await cost_drafts.show(work.tx, id)
    await cost_drafts.drop_draft(work.tx, id, found.version)


@command(
    "/routing-cost-drafts/{id:int}/promote", permission="network:write", everywhere=True, versioned="required", tag=TAG
)
async def promote_cost_draft(work: Work, id: int) -> CostDraft:  # noqa: A002
    """Put a draft of costs into force at once, all its parts or none. What they were is kept with it."""
    found = await cost_drafts.show(work.tx, id)
    work.expect(found.version)
    return await cost_drafts.promote(work.tx, id, found.version)


@command("/routing-cost-drafts/{id:int}/take-back", permission="network:write", everywhere=True, tag=TAG)
async def take_back_cost_draft(work: Work, id: int) -> CostDraft:  # noqa: A002
    """Undo a promotion: each part is again what it was. Refused where one was changed since."""
    return await cost_drafts.take_back(work.tx, id)


handlers = [
    list_cost_drafts,
    show_cost_draft,
    draft_costs,
    change_cost_draft,
    drop_cost_draft,
    promote_cost_draft,
    take_back_cost_draft,
    show_routing_costs,
    change_routing_costs,
    show_tax_costs,
    change_tax_costs,
    show_markdown_credits,
    change_markdown_credits,
    list_routing_risks,
]
