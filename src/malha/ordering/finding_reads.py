"""Which orders a person may mean by a text: each key by its index, names by whole words first, parts of words last.

A search never looks at all orders one by one. What it finds first answers: a number, a channel's own id or its
beginning; a CPF, CNPJ, e-mail, telephone, SKU or GTIN as a whole word of the order's text; names by their words. Parts
of words are looked for among the newest orders, and among all of them only when nothing else was found.
"""

from collections.abc import Sequence
from typing import LiteralString

from malha.catalog import reads as catalog
from malha.customers.reads import REVEAL
from malha.platform.brazil import normalise_cnpj, normalise_document, normalise_phone
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.platform.text import fold, literal, whole_in

FOUND_LIMIT = 1_000  # orders a search looks at; a search that finds more is too wide to be read anyway
RECENT = 20_000  # orders a search looks through one by one, before it asks the index about all of them
# Found among those, and a thousand are found quicker by looking further than by the index, which would give all orders
# of all times to be sorted: looking through an order costs a third of fetching one that the index names.
MANY = 350
_GTIN_LENGTHS = frozenset({8, 12, 13, 14})
_FEWEST_DIGITS = 8  # of a key: a CPF has eleven, a telephone without its area eight
_FEWEST_LETTERS = 3  # of the beginning of a channel's own id

# A channel's own id is unique per channel: as many index look-ups as there are channels.
EXACT: LiteralString = """
SELECT o.id FROM sales_order o WHERE o.number = %(number)s::bigint
UNION
SELECT o.id FROM channel c JOIN sales_order o ON o.channel_id = c.id AND o.external_id = %(text)s::text
UNION
SELECT o.id FROM sales_order o WHERE o.id = %(id)s::uuid
"""
FIND_EXACT = EXACT
# A stretch of the unique index on (channel, external id) for each channel and spelling, the last first: ids of a
# channel grow, as a rule. `ends` is the first text behind all that begin with the one asked for, byte by byte.
FIND_BEGINNING = """
SELECT x.id
FROM channel c
CROSS JOIN unnest(%(begins)s::text[], %(ends)s::text[]) AS asked (begins, ends)
CROSS JOIN LATERAL (
    SELECT o.id, o.placed_at FROM sales_order o
    WHERE o.channel_id = c.id AND o.external_id >= asked.begins AND o.external_id < asked.ends
    ORDER BY o.channel_id DESC, o.external_id DESC LIMIT %(most)s::int
) x
ORDER BY x.placed_at DESC LIMIT %(most)s::int
"""
# The index on the words of the text, spelled as there: one of these spellings.
KEYED: LiteralString = """
SELECT s.order_id FROM order_search s
WHERE (string_to_array(s.document, ' '))[3:] && %(spellings)s::text[]
ORDER BY s.placed_at DESC LIMIT %(most)s::int
"""
FIND_KEY = KEYED
# The index on the words of the text: all of these.
FIND_WORDS = """
SELECT s.order_id FROM order_search s
WHERE (string_to_array(s.document, ' '))[3:] @> %(words)s::text[]
ORDER BY s.placed_at DESC LIMIT %(most)s::int
"""
# A stretch of the primary key of tags, newest first.
FIND_TAG = """
SELECT order_id FROM order_tag WHERE key = %(key)s::text ORDER BY placed_at DESC, order_id DESC LIMIT %(most)s::int
"""
# An order's text with as much of its buyer's document, e-mail and telephone as lists show: only that answers parts of
# words to who may not see the rest. Asked of what was found by the whole text, by primary key.
_DOCUMENT = "CASE WHEN length(o.bare) = 14 THEN lower(o.bare) ELSE substr(o.bare, 4, 6) END"
_PHONE = "concat_ws(' ', left(o.area, 2), right(o.buyer_phone, 4))"
_SHOWN: LiteralString = f"""(%(reveals)s::boolean OR EXISTS (
    SELECT FROM (
        SELECT x.*, regexp_replace(x.buyer_document, '[^[:alnum:]]', '', 'g') AS bare,
               regexp_replace(x.buyer_phone, '^[+]55', '') AS area
        FROM sales_order x WHERE x.id = s.order_id) o
    WHERE replace(replace(replace(replace(replace(s.document,
        coalesce(nullif(lower(o.buyer_document), ''), chr(1)), coalesce({_DOCUMENT}, '')),
        coalesce(nullif(lower(o.bare), ''), chr(1)), coalesce({_DOCUMENT}, '')),
        coalesce(nullif(lower(o.buyer_email), ''), chr(1)), '@' || coalesce(split_part(o.buyer_email, '@', 2), '')),
        coalesce(nullif(lower(o.buyer_phone), ''), chr(1)), coalesce({_PHONE}, '')),
        coalesce(nullif(regexp_replace(o.buyer_phone, '[^[:alnum:]]', '', 'g'), ''), chr(1)), coalesce({_PHONE}, ''))
    LIKE ALL(%(patterns)s::text[])))"""
# What many orders have, the newest have too: a word of a thousand orders is found among them at once, and one that the
# index would answer with half of the table never gets there. Primary key, backwards: ids begin with the time.
FIND_RECENT = f"""
SELECT s.order_id
FROM (SELECT * FROM order_search ORDER BY order_id DESC LIMIT %(recent)s::int OFFSET %(behind)s::int) s
WHERE s.document LIKE ALL(%(patterns)s::text[]) AND {_SHOWN}
ORDER BY s.placed_at DESC LIMIT %(most)s::int
"""
# Trigram index, by the two longest words: LIKE ALL cannot use it, so it only filters what they found. Newest first,
# because a search that finds too many is asked for what is going on now.
FIND_TEXT = f"""
SELECT s.order_id FROM order_search s
WHERE s.document LIKE %(longest)s::text AND s.document LIKE %(second)s::text
  AND s.document LIKE ALL(%(patterns)s::text[]) AND {_SHOWN}
ORDER BY s.placed_at DESC LIMIT %(most)s::int
"""


async def find(tx: Tx, text: str) -> list[UUID]:
    """Return the orders a person may mean by `text`, newest first, at most `FOUND_LIMIT`.

    A number, a channel's own id or an order's id answers from an index at once; so does a CPF or CNPJ, an e-mail, a
    telephone, a SKU or a GTIN, whatever punctuation it is typed with. Tags are found whole. Names are looked for by all
    their words, and then by parts of words. Parts of a document, an e-mail or a telephone that lists do not show find
    orders for who may see personal data.
    """
    asked = text.strip().removeprefix("#")
    if not asked:
        return []
    exact = await tx.values(FIND_EXACT, exact_of(asked))
    if exact:
        return exact
    words = [_bare_identity(word) for word in fold(asked).split()]
    if not words:
        return []
    most = {"most": FOUND_LIMIT}
    key = _key(asked, words)
    if key:
        words = [key]
        spellings = _spellings(asked, key)
        if len(key) in _GTIN_LENGTHS:
            spellings += [fold(card.sku) for card in await catalog.by_gtins(tx, [key])]
        found = await tx.values(FIND_KEY, {"spellings": spellings, **most})
        return found or await tx.values(FIND_BEGINNING, {**_beginnings(asked), **most}) or await _parts(tx, words)
    tagged = await tx.values(FIND_TAG, {"key": fold(asked), **most})
    recent = await _recent(tx, words)
    if len(recent) == FOUND_LIMIT and not tagged:
        return recent
    found = await tx.values(FIND_WORDS, {"words": words, **most})
    if len(words) == 1 and len(asked) >= _FEWEST_LETTERS:
        found += await tx.values(FIND_BEGINNING, {**_beginnings(asked), **most})
    found = [*tagged, *found]
    return list(dict.fromkeys([*tagged, *recent, *found]))[:FOUND_LIMIT] if found else await _parts(tx, words)


async def _recent(tx: Tx, words: Sequence[str]) -> list[UUID]:
    """Return which of the newest orders hold all of these parts of words; of more orders where many do."""
    asked = {"patterns": [_pattern(word) for word in words], "most": FOUND_LIMIT, "reveals": tx.actor.may(REVEAL)}
    found = await tx.values(FIND_RECENT, {**asked, "recent": RECENT, "behind": 0})
    if MANY <= len(found) < FOUND_LIMIT:
        further = RECENT * FOUND_LIMIT * 5 // len(found) // 4 - RECENT
        found += await tx.values(FIND_RECENT, {**asked, "recent": further, "behind": RECENT})
    return found[:FOUND_LIMIT]


async def _parts(tx: Tx, words: Sequence[str]) -> list[UUID]:
    """Return the orders whose text holds all of these parts of words."""
    patterns = [_pattern(word) for word in sorted(words, key=len, reverse=True)]
    asked = {"longest": patterns[0], "second": patterns[min(1, len(patterns) - 1)], "patterns": patterns}
    return await tx.values(FIND_TEXT, {**asked, "most": FOUND_LIMIT, "reveals": tx.actor.may(REVEAL)})


def exact_of(asked: str) -> dict[str, object]:
    """Return what a text asks for as a number, as a channel's own id and as the id of an order."""
    return {"number": whole_in(asked, 18), "text": asked, "id": _uuid(asked)}


def spellings_of(asked: str) -> list[str]:
    """Return how a CPF, a CNPJ, a telephone or an e-mail may stand in an order's text; nothing where it is none."""
    key = _key(asked, fold(asked).split())
    return _spellings(asked, key) if key else []


def _bare_identity(word: str) -> str:
    """Return a CPF or CNPJ among other words as an order's text has it: without punctuation."""
    document = normalise_document(word)
    return fold(document) if document else word


def _key(asked: str, words: Sequence[str]) -> str:
    """Return the key that a text is as an order's text spells it: a CPF, a CNPJ, a telephone, an e-mail; or nothing."""
    company = normalise_cnpj(asked)
    if company:  # its first twelve places may be letters
        return fold(company)
    digits = "".join(c for c in asked if c.isdigit())
    if len(digits) >= _FEWEST_DIGITS and not any(c.isalpha() for c in asked):
        return digits
    return words[0] if len(words) == 1 and "@" in asked else ""


def _spellings(asked: str, key: str) -> list[str]:
    """Return how a key may stand in an order's text: bare, and a telephone with and without its country."""
    phone = normalise_phone(asked)
    bare = phone.removeprefix("+") if phone else key
    return list(dict.fromkeys((key, bare, bare.removeprefix("55") if phone else key)))


def _beginnings(asked: str) -> dict[str, list[str]]:
    """Return the stretches of ids that begin with what was typed, as it was and in capitals."""
    begins = list(dict.fromkeys((asked, asked.upper(), asked.lower())))
    return {"begins": begins, "ends": [_behind(text) for text in begins]}


def _behind(text: str) -> str:
    """Return the first text that sorts behind all that begin with this one, in the order of code points."""
    last = ord(text[-1]) + 1
    return text[:-1] + chr(0xE000 if 0xD800 <= last < 0xE000 else min(last, 0x10FFFF))


def _pattern(word: str) -> str:
    return f"%{literal(word)}%"


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
