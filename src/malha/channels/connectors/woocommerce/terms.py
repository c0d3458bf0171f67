"""What a shop has besides products: categories, tags, brands, attributes of its own, units.

Of the first three what is missing is made. A name that is there already comes back as an error with its id, so making
is looking up, and does no harm twice. What was found is kept for one call: somebody may delete it before the next.
"""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from malha.channels.connectors.woocommerce.asking import NoRoute, ask
from malha.channels.connectors.woocommerce.goods import batch_rows, result_of
from malha.channels.connectors.woocommerce.showing import Units
from malha.channels.connectors.woocommerce.words import PAGE, Setting
from malha.channels.contract import Ctx, Ok, Rejected, Unknown, Unsure

OPERATION = "upsert_products"
ROUTES = {"categories": "/products/categories", "tags": "/products/tags", "brand": "/products/brands"}
TOP = 0  # the parent of what stands at the top


class Terms:
    """What of a shop was looked up in one call about listings."""

    def __init__(self, ctx: Ctx) -> None:
        self._ctx = ctx
        self._known: dict[tuple[str, int, str], int | Rejected] = {}
        self._attributes: Mapping[str, int] | None = None
        self._units: Units | None = None

    async def ids_of(self, field: str, texts: Iterable[str]) -> dict[str, list[int] | Rejected | None]:
        """Return the ids that texts of a field mean; None where the shop has no such terms, a refusal where it says no.

        Raises:
            Unsure, Retryable: as asking does; nothing is the worse for it.
        """
        paths = {text: paths_of(field, text) for text in texts}
        found: dict[tuple[str, ...], int | Rejected] = {(): TOP}
        try:
            await self._look_up(field, [path for each in paths.values() for path in each], found)
        except NoRoute:
            if field != "brand":  # which a shop may not have
                raise
            return dict.fromkeys(paths)
        said: dict[str, list[int] | Rejected | None] = {}
        for text, each in paths.items():
            ids = [found[path] for path in each]
            refused = next((id_ for id_ in ids if isinstance(id_, Rejected)), None)
            said[text] = refused or list(dict.fromkeys(id_ for id_ in ids if isinstance(id_, int)))
        return said

    async def _look_up(
        self, field: str, paths: Sequence[tuple[str, ...]], found: dict[tuple[str, ...], int | Rejected]
    ) -> None:
        """Look all paths up, level by level: what is within something can be made only when that is there."""
        for depth in range(1, max(map(len, paths), default=0) + 1):
            wanted: dict[tuple[int, str], list[tuple[str, ...]]] = {}
            for path in {path[:depth] for path in paths if len(path) >= depth}:
                parent = found[path[:-1]]
                if isinstance(parent, Rejected):
                    found[path] = parent
                elif field == "categories" and depth == 1 and path[0].isascii() and path[0].isdigit():
                    found[path] = int(path[0])
                else:
                    wanted.setdefault((parent, path[-1]), []).append(path)
            await self._make(field, [key for key in wanted if (field, *key) not in self._known])
            for key, those in wanted.items():
                found |= dict.fromkeys(those, self._known[field, *key])

    async def _make(self, field: str, wanted: Sequence[tuple[int, str]]) -> None:
        for n in range(0, len(wanted), PAGE):
            part = sorted(wanted[n : n + PAGE])
            items = [{"name": name, **({"parent": parent} if parent != TOP else {})} for parent, name in part]
            rows = await batch_rows(self._ctx, f"{ROUTES[field]}/batch", "create", items, OPERATION)
            for key, row in zip(part, rows, strict=True):
                self._known[field, *key] = _id_of(field, row)

    async def attributes(self) -> Mapping[str, int]:
        """Return the shop's own attributes, which its filters know: ids by name."""
        if self._attributes is None:
            rows = await ask(self._ctx, "GET", "/products/attributes", list[dict[str, Any]], OPERATION)  # all at once
            self._attributes = {_plain(row.get("name")): row["id"] for row in rows if row.get("id")}
        return self._attributes

    async def units(self) -> Units:
        """Return what the shop weighs and measures in."""
        if self._units is None:
            told = await ask(self._ctx, "GET", "/settings/products", list[Setting], OPERATION)
            known = {each.id: str(each.value) for each in told}
            usual = Units()
            self._units = Units(
                known.get("woocommerce_weight_unit", usual.weight),
                known.get("woocommerce_dimension_unit", usual.length),
            )
        return self._units


def paths_of(field: str, text: str) -> list[tuple[str, ...]]:
    """Return what a text names, each from the top: one brand, tags apart by commas, categories by bars."""
    if field == "brand":
        return [(text.strip(),)]
    parts = text.split("," if field == "tags" else "|")
    levels = [[part] if field == "tags" else part.split(">") for part in parts]
    named = [tuple(name.strip() for name in path if name.strip()) for path in levels]
    return list(dict.fromkeys(path for path in named if path))


def _id_of(field: str, row: Mapping[str, Any]) -> int | Rejected:
    match result_of(row):
        case Ok():
            return int(row["id"])
        case Unknown(why):
            raise Unsure(why)
        case Rejected(code, message):
            data = row["error"].get("data")
            there = data.get("resource_id") if isinstance(data, dict) else None
            return there if code == "term_exists" and isinstance(there, int) else Rejected(code, message, field)


def _plain(name: Any) -> str:
    return html.unescape(str(name or "")).strip().casefold()
