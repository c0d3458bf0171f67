"""What is decided about a partner without asking anybody: names, keys, what is wanted, what is said."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import msgspec

from malha.channels.contract import (
    AdjustmentTold,
    Answer,
    ReceiptTold,
    RequestAnswer,
    ShipmentTold,
    ShortLine,
    StockTold,
    ToldLine,
)
from malha.ordering.model import Unit
from malha.platform.i18n import N_
from malha.platform.ids import UUID

PREFIX = "partner:"
SPACE = uuid5(NAMESPACE_URL, "urn:malha:partner")
_encode = msgspec.json.Encoder(order="deterministic").encode

# Why a row or a file is held; `{field}` and `{value}` are what it says there.
PROBLEMS: Mapping[str, str] = {
    "unreadable": N_("The row cannot be read: {value}. Check its quotation marks."),
    "too_many_cells": N_(
        "The row has more cells than there are columns. Put texts with separators in quotation marks."
    ),
    "empty_field": N_("{field} is empty. Fill it in."),
    "no_quantity": N_("{field}: “{value}” is no whole number. Write it without decimals."),
    "no_weight": N_("{field}: “{value}” is no weight in kilograms."),
    "no_moment": N_("{field}: “{value}” is no date. Write it like 2026-11-27T14:30:00-03:00 or 27/11/2026 14:30."),
    "unknown_word": N_("{field}: “{value}” is none of the words that are understood."),
    "no_amount": N_("{field}: “{value}” is no amount of money. Write it like 1234,56."),
    "no_size": N_("{field}: “{value}” is no size in centimetres."),
    "no_gtin": N_("{field}: “{value}” is no GTIN, which has 8 to 14 digits. Write it as text, not as a number."),
    "no_origin": N_("{field}: “{value}” is no origin of goods: 0 to 8."),
    "no_tax_code": N_("{field}: “{value}” is not complete. An NCM has 8 digits, a CEST 7."),
    "no_picture": N_("{field}: “{value}” is no address of a picture. It begins with https://."),
    "too_long": N_("{field}: “{value}” is too long."),
    "other_value": N_("{field}: “{value}” is not what other rows of this order say. Write the same in all of them."),
    "other_person": N_("{field}: other rows of this order say something else. Write the same in all of them."),
    "beside_unreadable": N_("A row beside it cannot be read and may belong to this order: mend that one, send both."),
    "nothing_said": N_("The row says neither how many left nor how many are short."),
    "with_others": N_("Another row of the same statement has an error: all of them are taken together."),
    "other_moment": N_("{field}: the rows of a stock file are of one moment."),
    "unknown_request": N_("{field}: we asked for nothing of the name “{value}”."),
    "unknown_sku": N_("{field}: there is no SKU “{value}”. Create its product first, or correct the code."),
    "unknown_location": N_("{field}: “{value}” is none of the locations of this connection."),
    "other_location": N_(
        "{field}: the stock source of the connection does not speak for “{value}”. Add it there, or leave its rows out."
    ),
    "unknown_notice": N_("{field}: we told of nothing of the name “{value}”."),
    "refused": N_("It could not be recorded: {value}"),
    "stock_row": "{value}",
}
# Why a whole file is held.
FILE_PROBLEMS: Mapping[str, str] = {
    "unknown_file": N_("Nothing says what a file of this name tells. Rename it, or add its name to the connection."),
    "no_table": N_("The file is no CSV table."),
    "empty": N_("The file is empty."),
    "stray_byte": N_("The file is UTF-8 but for a byte in line {value}. Write all of it as UTF-8, and send it again."),
    "other_encoding": N_(
        "Line {value} holds a letter that is neither UTF-8 nor Windows-1252. Write it as UTF-8, and send it again."
    ),
    "missing_columns": N_("Columns are missing: {value}."),
    "too_many_rows": N_("The file has too many rows. Send it in parts."),
    "too_large": N_("The file is too large. Send it in parts."),
    "stock_unreadable": N_("A row cannot be read ({value}), and what is on its shelf would count as gone."),
    "stock_in_part": N_(
        "These are only the rows to mend of a stock file, and what it leaves out would count as gone. "
        "Write the whole file again."
    ),
    "no_source": N_("The connection names no stock source. Declare one and name it in the connection."),
    "refused": N_("The stock was refused: {value}"),
}


def request_name(number: int) -> str:
    """Return what a partner calls a piece of work."""
    return f"F{number}"


def notice_name(kind: str, number: int) -> str:
    """Return what a partner calls goods that will come."""
    return f"{'PO' if kind == 'purchase' else 'TR'}{number}"


def entity_of(answer: Answer) -> str:
    """Return what an answer is about: those about one thing are handled in their order."""
    match answer:
        case RequestAnswer(request=request) | ShipmentTold(request=request):
            return f"{PREFIX}{request}"[:200]
        case AdjustmentTold():
            return f"{PREFIX}{answer.location}:{answer.sku}"[:200]
        case ReceiptTold():
            return f"{PREFIX}{answer.notice}"[:200]


def dedup_of(answer: Answer) -> str:
    """Return what makes an answer this one: the partner's own name of it, else all that it says."""
    match answer:
        case ShipmentTold(request=request, confirmation=own) if own:
            name = f"ship:{request}:{own}"
        case ReceiptTold():
            name = f"receipt:{answer.reference}:{answer.notice}"
        case AdjustmentTold():
            name = f"adjust:{answer.reference}:{answer.location}:{answer.sku}"
        case _:
            name = ""
    # What was mended is another statement, even under the partner's old name of it.
    digest = hashlib.sha256(_encode(answer)).hexdigest()[:32]
    return f"{PREFIX}{name[:120]}:{digest}"


def receipt_id(connection: int, told: ReceiptTold) -> UUID:
    """Return our id of a partner's receipt: the same receipt is one."""
    return uuid5(SPACE, f"{connection}:{told.reference}:{told.notice}:{told.location}")


def fingerprint(name: str, body: bytes, modified: int | None) -> bytes:
    """Return what makes a file this one. A stock file is said anew when it is written anew, whatever it says."""
    about = f"{name}\x00{'' if modified is None else modified}\x00".encode()
    return hashlib.sha256(about + body).digest()


def still_wanted(units: Iterable[Unit], works: Sequence[UUID]) -> dict[tuple[int, int], int]:
    """Return the living units of pieces of work by (line, SKU)."""
    found: dict[tuple[int, int], int] = {}
    for u in units:
        if u.fulfillment_id in works and u.sku_id is not None and u.state != "cancelled":
            found[u.line, u.sku_id] = found.get((u.line, u.sku_id), 0) + u.quantity
    return found


class NotAsked(Exception):
    """More of a SKU is told than was asked for and is still open."""

    def __init__(self, sku: str, left: int) -> None:
        self.sku = sku
        self.left = left
        super().__init__(sku)


def share_out(
    told: Sequence[ToldLine] | Sequence[ShortLine], skus: Mapping[str, int], left: dict[tuple[int, int], int]
) -> list[tuple[int, int, int, Any]]:
    """Spread told units over the lines that want them, and take them from `left`: (line, SKU id, units, told).

    Raises:
        NotAsked: there are fewer.
    """
    shares: list[tuple[int, int, int, Any]] = []
    for each in told:
        need = each.quantity
        for line, sku_id in sorted(left):
            if sku_id != skus.get(each.sku) or each.line not in {None, line}:
                continue
            units = min(need, left[line, sku_id])
            if units:
                shares.append((line, sku_id, units, each))
                left[line, sku_id] -= units
                need -= units
        if need:
            raise NotAsked(each.sku, each.quantity - need)
    return shares


def table_of(stock: StockTold, codes: Mapping[str, str]) -> Iterator[bytes]:
    """Yield a stock, row by row, as a table with our codes of locations: of those of `codes`, ours by theirs."""
    yield b"location;sku;on_hand\n"
    for each in stock.lines:
        if each.location in codes:
            cells = (codes[each.location], each.sku, str(each.quantity))
            yield ";".join('"' + cell.replace('"', '""') + '"' for cell in cells).encode() + b"\n"
