"""What each role may do, as a table people can read, and which roles demand a second factor."""

from typing import Any, NamedTuple

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.console import export, forms, render, shell, web
from malha.console.people import MANAGE, ROLE_KEYS, ROLE_USES
from malha.identity import reads, second_factor
from malha.identity.model import PERMISSIONS, ROLE_NAMES, ROLES, Role
from malha.platform.errors import NotFound
from malha.platform.i18n import N_, _
from malha.platform.sheets import Column, Kind

# Permissions by what they are about, in the order a retailer thinks of it.
AREAS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (N_("Orders"), ("orders", "intake", "payments")),
    (N_("Work and documents"), ("fulfillment", "fiscal")),
    (N_("Stock and catalogue"), ("stock", "catalog")),
    (N_("Customers"), ("customers",)),
    (N_("Network"), ("network",)),
    (N_("Administration"), ("identity", "settings", "audit", "doctor", "webhooks")),
)


class Group(NamedTuple):
    """Permissions of one area, each with its name and what it lets one do."""

    word: str
    permissions: tuple[tuple[str, str], ...]


def groups() -> tuple[Group, ...]:
    """Return every permission once, by area; one of an area nobody named comes at the end."""
    named = {prefix for _word, prefixes in AREAS for prefix in prefixes}
    others = tuple(sorted({name.partition(":")[0] for name in PERMISSIONS} - named))
    areas = (*AREAS, (N_("Others"), others)) if others else AREAS
    return tuple(
        Group(word, tuple((name, says) for name, says in PERMISSIONS.items() if name.partition(":")[0] in prefixes))
        for word, prefixes in areas
    )


@get("/roles", opt=MANAGE)
async def role_table(request: Request[Any, Any, Any]) -> Response[str]:
    """Show what each role may do."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "roles")
        counts = await reads.people_per_role(tx)
        demanding = await reads.demanding_roles(tx)
    return render.html(
        "people/roles.html",
        shell=around,
        may=around.may,
        exports=export.choices(str, "/roles:export"),
        groups=groups(),
        roles=[
            {
                "key": role.value,
                "name": _(ROLE_NAMES[role]),
                "use": _(ROLE_USES[role]),
                "holds": ROLES[role],
                "people": counts.get(role, (0, 0))[0],
                "without": counts.get(role, (0, 0))[1],
                "demanded": role in demanding,
            }
            for role in Role
        ],
    )


class RoleRow(NamedTuple):
    """A role in the file: every permission is a column."""

    role: Role
    people: int
    without: int
    demanded: bool


COLUMNS = (
    Column(N_("Role"), width=24), Column(N_("What for"), width=48), Column(N_("People"), Kind.WHOLE),
    Column(N_("Without a second factor"), Kind.WHOLE), Column(N_("Second factor")),
    *(Column(name, width=20, fixed=True) for group in groups() for name, _says in group.permissions),
)  # fmt: skip


@get(export.paths("/roles:export"), opt=MANAGE)
async def role_export(request: Request[Any, Any, Any]) -> Stream:
    """Send the table as a file: a line for each role, a column for each permission by its name."""
    async with web.reading(request) as tx:
        counts = await reads.people_per_role(tx)
        demanding = await reads.demanding_roles(tx)
    rows = [RoleRow(role, *counts.get(role, (0, 0)), role in demanding) for role in Role]

    def cells(row: RoleRow) -> list[Any]:
        holds = ROLES[row.role]
        may = [_("yes") if name in holds else _("no") for group in groups() for name, _says in group.permissions]
        demanded = _("yes") if row.demanded else _("no")
        return [_(ROLE_NAMES[row.role]), _(ROLE_USES[row.role]), row.people, row.without, demanded, *may]

    return export.send_all(request, "roles", COLUMNS, rows, cells)


@post("/roles/{role:str}/second-factor", opt={"permission": "settings:manage"}, status_code=303)
async def role_demand(request: Request[Any, Any, Any], role: FromPath[str]) -> Response[bytes]:
    """Demand a second factor of a role's people, or no more.

    Raises:
        NotFound: there is no such role.
    """
    if role not in ROLE_KEYS:
        raise NotFound(what="role", key=role)
    demanded = forms.said(await request.form(), "demanded", 5) == "yes"
    async with web.writing(request) as tx:
        await second_factor.demand(tx, Role(role), demanded=demanded)
    return web.see_other("/roles", notice=_("Saved"))


HANDLERS = [role_table, role_export, role_demand]
