"""The home page: what came in today against a usual day, what needs a person and why, where the work is.

It also looks at the last seven or thirty days (`home_period`), and at one location at a time. Every figure leads to the
list it counts. A person with some locations sees those; what needs a permission they lack is absent. The page keeps
itself up to date: it is read anew when orders change.
"""

from typing import Any
from urllib.parse import urlencode

from litestar import Request, get
from litestar.response import Response

from malha.console import brazil_map, home_period, plots, render, shell, web
from malha.console import home_parts as parts
from malha.console.first_steps import first_steps
from malha.console.home_facts import Facts, facts_of
from malha.ordering.listing import View
from malha.platform.clock import now
from malha.platform.i18n import _, n_
from malha.platform.text import fold


def _address(**said: Any) -> str:
    shown = {name: value for name, value in said.items() if value}
    return f"/?{urlencode(shown)}" if shown else "/"


@get("/", opt={"permission": "orders:read"})
async def home(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the home page: of today, or of the last days."""
    asked = request.query_params.get("period", "")
    days = next((count for count in home_period.PERIODS if str(count) == asked), 0)
    async with web.reading(request) as tx:
        facts = await facts_of(tx, request)
        steps = await first_steps(tx, facts) if not days else []
        period = await home_period.period_of(tx, request, facts, days) if days else None
        around = await shell.around(
            tx, request, "home", open_orders=None if facts.location else facts.counts[View.OPEN]
        )
    at = render.local(now())
    terms: dict[str, Any] = {
        "shell": around,
        "may": around.may,
        "greeting": parts.greeting(at, facts.caller.name),
        "address": _address(period=days, location=facts.location),
        "location": facts.location,
        "days": days,
        "choices": sorted(((p.code, p.name) for p in facts.every_place), key=lambda choice: fold(choice[1])),
        "periods": [
            (
                n_("{n} day", "{n} days", count) if count else _("Today"),
                _address(period=count, location=facts.location),
                count == days,
            )
            for count in (0, *home_period.PERIODS)
        ],
        "map": brazil_map.shapes(),
        "first_steps": steps,
        **(_of_today(facts, parts.day_line(at)) if period is None else _of_period(period)),
    }
    return render.html("home/body.html" if web.wants_part(request) else "home/page.html", **terms)


def _of_today(facts: Facts, line: str) -> dict[str, Any]:
    todo = parts.todos(facts)
    usual = facts.usual
    return {
        "period": None,
        "line": line,
        "kpis": parts.strip(facts),
        "todos": todo,
        "shown_todos": parts.SHOWN_TODOS,
        "oldest": min((t.since for t in todo if t.since), default=None),
        "hours": plots.hours(facts.day.by_hour, usual.by_hour, facts.hour),
        "by_hour": [(h, n, usual.by_hour[h] if usual.days else None) for h, n in enumerate(facts.day.by_hour)],
        "usual_days": usual.days,
        "today_orders": facts.day.orders,
        "by_now": round(plots.so_far(usual.by_hour, facts.hour)) if usual.days else None,
        "channels": parts.channel_rows(facts),
        "states": parts.state_shapes(facts),
        "points": parts.points(facts),
        "pickups": facts.day.orders - sum(facts.day.by_state.values()),
        "most": max(facts.day.by_state.values(), default=0),
        "places": parts.place_rows(facts),
        "more_places": max(0, len(facts.places) - parts.SHOWN_LOCATIONS),
        "all_places": facts.board() or "/orders",
    }


def _of_period(period: home_period.Period) -> dict[str, Any]:
    return {
        "period": period,
        "line": period.line,
        "kpis": period.kpis,
        "channels": period.channels,
        "states": period.states,
        "points": [],
        "pickups": period.pickups,
        "most": period.most,
        "places": period.places,
    }


HANDLERS = [home]
