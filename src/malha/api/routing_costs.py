"""What routing compares besides freight and handling: settings, tax costs, credits for aged stock, learned risks."""

import msgspec

from malha.api.work import Work, command, query
from malha.fiscal import tax_cost_reads, tax_costs
from malha.fiscal.tax_cost_reads import TaxCost
from malha.network.service import refuse_limited
from malha.routing import cost_reads, costs
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


@query("/routing-costs", permission="network:read", tag=TAG)
async def show_routing_costs(work: Work) -> Costs:
    """Return what routing compares besides freight and handling, and whom it leaves out. Zero or empty is off."""
    refuse_limited(work.tx)
    work.tag(await cost_reads.version(work.tx))
    return await cost_reads.costs(work.tx)


@command("/routing-costs", method="PUT", permission="network:write", versioned="required", tag=TAG)
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


@command("/tax-costs", method="PUT", permission="network:write", versioned="required", tag=TAG)
async def change_tax_costs(work: Work, data: TaxCosts) -> Version:
    """Replace the whole table of tax costs. An empty one costs nothing."""
    version = await tax_cost_reads.version(work.tx)
    work.expect(version)
    changed = await tax_costs.replace(work.tx, data.rows, version)
    work.tag(changed)
    return Version(changed)


@query("/markdown-credits", permission="network:read", tag=TAG)
async def show_markdown_credits(work: Work) -> Markdowns:
    """Return what getting rid of a unit of aged stock is worth, by SKU and location."""
    refuse_limited(work.tx)
    work.tag(await cost_reads.markdowns_version(work.tx))
    return Markdowns(await cost_reads.markdowns(work.tx))


@command("/markdown-credits", method="PUT", permission="network:write", versioned="required", tag=TAG)
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


handlers = [
    show_routing_costs,
    change_routing_costs,
    show_tax_costs,
    change_tax_costs,
    show_markdown_credits,
    change_markdown_credits,
    list_routing_risks,
]
