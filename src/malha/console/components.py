"""The components page: every part that pages are made of, in every state, light beside dark.

For those who make pages, and for the tests that look at them. It is drawn from the same words, macros and style sheets
as the pages themselves; the people and goods on it are invented.
"""

from datetime import timedelta
from typing import Any

from litestar import get
from litestar.response import Response

from malha.console import brazil_map, plots, render, shell, views, web, words
from malha.console.finding import Group, Item
from malha.console.views import Bar, Row
from malha.platform.clock import now
from malha.platform.i18n import N_, _

HOURS = [31, 19, 12, 9, 14, 36, 84, 181, 300, 360, 231, *[0] * 13]
USUAL = [28, 20, 13, 10, 13, 33, 76, 170, 262, 318, 344, 352, 330, 300, 292, 301, 318, 312, 290, 262, 236, 180, 112, 61]
TO_STATES = {"SP": 412, "MG": 160, "RJ": 171, "BA": 96, "PE": 124, "CE": 61, "PR": 70, "RS": 66, "PA": 18, "GO": 24}


def saved_views() -> Bar:
    """Return the menu of saved views: a default, a shared one, and another person's."""

    def row(number: int, name: str, **said: Any) -> Row:
        usual = {"current": False, "own": True, "is_default": False, "role": "", "shared": "", "owner": "Helena Prates"}
        return Row(id=number, name=name, href="/components", **{**usual, **said})

    return Bar(
        of="orders",
        path=views.LISTS["orders"].path,
        query="view=late",
        rows=[
            row(1, "Nordeste, expressa", current=True, is_default=True),
            row(2, "Retirada hoje", role="store_lead", shared=_("Store lead")),
            row(3, "Fraude acima de R$ 2.000", own=False, owner="Otávio Brandão"),
        ],
        audiences=[("store_lead", _("Store lead"))],
    )


def found() -> list[Group]:
    """Return what the command bar shows."""
    order = Item(
        kind="order", key="104797", icon="shopping-bag", code="#104797", text="Caio Menezes", href="/components",
        note=_("{time} late", time="42 min"), note_class="m-late",
    )  # fmt: skip
    goods = Item(kind="variant", key="AR-3307-TE", icon="barcode", text="Toalha de banho Felpa 500 g",
                 href="/components", note="AR-3307-TE")  # fmt: skip
    page = Item(kind="page", key="home", icon="home", text=_("Home"), href="/components")
    return [Group(N_("Chosen lately"), [order, goods]), Group(N_("Pages"), [page])]


@get("/components", opt={"permission": "settings:manage"})
async def show(request: web.Asking) -> Response[str]:
    """Show the components."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "components")
    most = max(TO_STATES.values())
    return render.html(
        "components/page.html",
        shell=around,
        may=around.may,
        at=now(),
        hour=timedelta(hours=1),
        signs=list(words.STATUS.values()),
        units=list(words.UNIT.values()),
        spark=plots.spark(HOURS[:11]),
        hours=plots.hours(HOURS, USUAL, 10.7),
        map=brazil_map.shapes(),
        shades={uf: plots.heat(TO_STATES.get(uf, 0), most) for uf in brazil_map.shapes().states},
        bar=saved_views(),
        groups=found(),
    )


HANDLERS = [show]
