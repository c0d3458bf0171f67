"""The home page: what came in today against a usual day, what needs a person and why, where the work is.

Every figure leads to the list it counts. A person with some locations sees those; what needs a permission they lack is
absent. The page keeps itself up to date: it is read anew when orders change.
"""

from typing import Any

from litestar import Request, get
from litestar.response import Response

from malha.console import brazil_map, plots, render, shell, web
from malha.console import home_parts as parts
from malha.console.home_facts import facts_of
from malha.ordering.reads import View
from malha.platform.clock import now


@get("/", opt={"permission": "orders:read"})
async def home(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the home page."""
    async with web.reading(request) as tx:
        facts = await facts_of(tx, request)
        around = await shell.around(tx, request, "home", open_orders=facts.counts[View.OPEN])
    at = render.local(now())
    todo = parts.todos(facts)
    drawn = brazil_map.shapes()
    return render.html(
        "home/body.html" if web.wants_part(request) else "home/page.html",
        shell=around,
        may=around.may,
        greeting=parts.greeting(at, facts.caller.name),
        day_line=parts.day_line(at),
        kpis=parts.strip(facts),
        todos=todo,
        shown_todos=parts.SHOWN_TODOS,
        oldest=min((t.since for t in todo if t.since), default=None),
        hours=plots.hours(facts.day.by_hour, facts.usual.by_hour, facts.hour),
        by_hour=[(h, n, facts.usual.by_hour[h] if facts.usual.days else None) for h, n in enumerate(facts.day.by_hour)],
        usual_days=facts.usual.days,
        today_orders=facts.day.orders,
        by_now=round(plots.so_far(facts.usual.by_hour, facts.hour)) if facts.usual.days else None,
        channels=parts.channel_rows(facts),
        map=drawn,
        states=parts.state_shapes(facts),
        points=parts.points(facts),
        pickups=facts.day.orders - sum(facts.day.by_state.values()),
        most=max(facts.day.by_state.values(), default=0),
        places=parts.place_rows(facts),
        more_places=max(0, len(facts.places) - parts.SHOWN_LOCATIONS),
        all_places=facts.board() or "/orders",
    )


HANDLERS = [home]
