"""The console's routes, as one router for the composition root, and how a refusal looks on a page."""

from functools import partial
from typing import Any

from litestar import Request, Response, Router, get
from litestar.params import FromPath

from malha.console import (
    account,
    actions,
    ahead,
    allotments,
    assets,
    attention,
    audit,
    balance,
    brought,
    bulk,
    bulk_actions,
    capacity,
    channel_stock,
    channels,
    companies,
    components,
    connection_categories,
    connection_fields,
    connection_health,
    connection_listing_fields,
    connection_listings,
    connection_mapping,
    connection_new_products,
    connection_products,
    connection_stock,
    connection_stuck,
    connection_troubles,
    connections,
    cost_drafts,
    counts,
    customer_merge,
    customers,
    drop_ships,
    feed_form,
    feeds,
    finding,
    fulfillment,
    groups,
    holds,
    home,
    keys,
    live,
    location_form,
    locations,
    me,
    menu,
    message_means,
    message_texts,
    messages,
    order,
    orders,
    owners,
    partners,
    payment_terms,
    people,
    personal_data,
    pick_list,
    pictures,
    product_form,
    products,
    products_together,
    promises,
    providers,
    refunds_due,
    render,
    roles,
    routing_costs,
    routing_rules,
    safety,
    selling,
    services,
    session,
    settings,
    settlements,
    shadows,
    shell,
    shortages,
    simulations,
    sku_ledger,
    slipping,
    stock,
    stock_acts,
    stock_item,
    stock_prices,
    stock_sync,
    stock_upload,
    supply,
    tables,
    taking,
    transfers,
    vendor_offers,
    views,
    web,
    webhooks,
)
from malha.identity.errors import NotSignedIn
from malha.identity.model import PERMISSIONS, PUBLIC
from malha.platform.errors import Conflict, Forbidden, MalhaError
from malha.platform.i18n import N_, _

# What the API says of these helps those who call it, not those who read pages: what is so, and how to mend it.
FOR_READERS: dict[str, tuple[str, str]] = {
    "no_such_route": ("", N_("Check the address, or search with Ctrl K from any page.")),
    "method_not_allowed": (
        N_("There is no page at {path}: what was sent there is done, or was refused."),
        N_("Go back, and look there for what became of it."),
    ),
    "unavailable": ("", N_("Nothing was changed. Try again in a few seconds.")),
    "busy": ("", N_("Nothing was changed. Try again in a moment.")),
}
# Over within seconds, whatever anybody does.
PASSING = frozenset({"unavailable", "busy"})


@get(f"{assets.PREFIX}/{{digest:str}}/{{path:path}}", opt={"permission": PUBLIC})
async def static_file(request: Request[Any, Any, Any], path: FromPath[str]) -> Response[bytes]:
    """Send a front-end file. Its address names the version, so a browser may keep it for ever."""
    accepts = "gzip" in request.headers.get("accept-encoding", "")
    file = assets.serve(path.lstrip("/"), accepts_gzip=accepts)
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    if file.encoding:
        headers["Content-Encoding"] = file.encoding
    return Response(file.body, media_type=file.media_type, headers=headers)


@get("/favicon.ico", opt={"permission": PUBLIC})
async def favicon() -> Response[bytes]:
    """Lead browsers that ask by themselves to the icon the pages name."""
    return Response(b"", status_code=301, headers={"Location": assets.address("img/favicon.svg")})


def refuse(request: Request[Any, Any, Any], error: MalhaError) -> Response[Any]:
    """Show a refusal: at the log-in, in the slot of the form that was sent, or as a page of its own."""
    web.speak_now(request)
    if isinstance(error, NotSignedIn):
        wanted = web.asked_address(request)
        if web.by_htmx(request):  # back to the page, not to the part of it that was asked for
            address = web.login_address(web.page_address(request))
            headers = {"HX-Redirect": address, web.SIGNED_OUT: "1", "Cache-Control": "no-store"}
            return Response(b"", status_code=200, headers=headers)
        return web.see_other(web.login_address(wanted if request.method == "GET" else "/"))
    caller = request.scope.get("user")
    if isinstance(error, Forbidden) and caller is not None and caller.must_enrol and request.method == "GET":
        return web.see_other("/account/second-factor")
    says, mend = web.refusal_text(error)
    if error.code in FOR_READERS:
        so, then = FOR_READERS[error.code]
        says, mend = _(so, **error.facts) if so else says, _(then)
    if isinstance(error, Forbidden) and (permission := PERMISSIONS.get(str(error.facts.get("permission")))):
        says = _("This needs a permission that you do not have: {permission}.", permission=_(permission))
    newest = str(error.facts.get("newest", ""))
    if (newest or error.code == Conflict.code) and web.by_htmx(request):
        mend = _("What you typed is still here. Look at what is so now, then load this page anew and repeat it.")
    # Only what was read: a form that was sent is not sent twice by itself.
    again = error.code in PASSING and request.method == "GET" and not web.by_htmx(request)
    if again:
        mend = _("Nothing was changed. This page tries again by itself.")
    at = web.problem_fields(error)
    wait = error.facts.get("retry_after", error.retry_after)
    later = {} if wait is None else {"Retry-After": str(wait)}
    if again:
        later["Refresh"] = str(wait or 1)
    terms: dict[str, Any] = {"says": says, "mend": mend, "problems": web.problems_text(error), "fields": at}
    if web.by_htmx(request):
        slot = request.headers.get("x-slot", "#refusal")
        headers = {"HX-Retarget": slot, "HX-Reswap": "innerHTML", "HX-Push-Url": "false", **later}
        return render.html("parts/refusal.html", status=error.status, headers=headers, newer_at=newest, **terms)
    may = caller.may if caller else lambda _permission: False
    page = menu.page_of(request.url.path, may, limited=caller is not None and caller.locations is not None)
    theme = shell.theme_of(request)
    return render.html("refused.html", status=error.status, headers=later, theme=theme, back=page, **terms)


router = partial(  # one for each application, which makes it its own
    Router,
    path="/",
    route_handlers=[
        static_file,
        favicon,
        *session.HANDLERS,
        *home.HANDLERS,
        *finding.HANDLERS,
        *views.HANDLERS,
        *me.HANDLERS,
        *components.HANDLERS,
        *orders.HANDLERS,
        *taking.HANDLERS,
        *bulk.HANDLERS,
        *bulk_actions.HANDLERS,
        order.order_peek,
        order.order_show,
        *actions.HANDLERS,
        *fulfillment.HANDLERS,
        *pick_list.HANDLERS,
        *payment_terms.HANDLERS,
        *channel_stock.HANDLERS,
        *feeds.HANDLERS,
        *feed_form.HANDLERS,
        *attention.HANDLERS,
        *connection_troubles.HANDLERS,
        *stock.HANDLERS,
        *sku_ledger.HANDLERS,
        *stock_item.HANDLERS,
        *balance.HANDLERS,
        *allotments.HANDLERS,
        *safety.HANDLERS,
        *capacity.HANDLERS,
        *stock_acts.HANDLERS,
        *supply.HANDLERS,
        *drop_ships.HANDLERS,
        *refunds_due.HANDLERS,
        *vendor_offers.HANDLERS,
        *ahead.HANDLERS,
        *transfers.HANDLERS,
        *brought.HANDLERS,
        *counts.HANDLERS,
        *stock_sync.HANDLERS,
        *stock_upload.HANDLERS,
        *groups.HANDLERS,
        *holds.HANDLERS,
        *selling.HANDLERS,
        *owners.HANDLERS,
        *settlements.HANDLERS,
        *routing_costs.HANDLERS,
        *stock_prices.HANDLERS,
        *cost_drafts.HANDLERS,
        *tables.HANDLERS,
        *products.HANDLERS,
        *products_together.HANDLERS,
        *product_form.HANDLERS,
        *customers.HANDLERS,
        *customer_merge.HANDLERS,
        *personal_data.HANDLERS,
        *people.HANDLERS,
        *pictures.HANDLERS,
        *roles.HANDLERS,
        *providers.HANDLERS,
        *keys.HANDLERS,
        *webhooks.HANDLERS,
        *account.HANDLERS,
        *audit.HANDLERS,
        *channels.HANDLERS,
        *connections.HANDLERS,
        *partners.HANDLERS,
        *connection_stock.HANDLERS,
        *connection_categories.HANDLERS,
        *connection_new_products.HANDLERS,
        *connection_stuck.HANDLERS,
        *connection_products.HANDLERS,
        *connection_mapping.HANDLERS,
        *connection_fields.HANDLERS,
        *connection_health.HANDLERS,
        *connection_listing_fields.HANDLERS,
        *connection_listings.HANDLERS,
        *companies.HANDLERS,
        *location_form.HANDLERS,
        *locations.HANDLERS,
        *services.HANDLERS,
        *shadows.HANDLERS,
        *shortages.HANDLERS,
        *routing_rules.HANDLERS,
        *simulations.HANDLERS,
        *promises.HANDLERS,
        *slipping.HANDLERS,
        *settings.HANDLERS,
        *messages.HANDLERS,
        *message_means.HANDLERS,
        *message_texts.HANDLERS,
        live.order_events,
        live.stock_events,
    ],
    before_request=web.speak,
    exception_handlers={MalhaError: refuse},
    include_in_schema=False,
)
