"""Statements that erase a person. Private to `privacy`.

They reach into tables of many capabilities, which is otherwise nobody's right: whether nothing of a person is left can
only be seen, and tested, where all of it is in one place. `places` says of every column of the schema what becomes of
it. Lock order: subscribers by name, identities, the profile, orders by id, messages; then what hangs on them.
"""

from typing import Final, LiteralString

from psycopg import sql

from malha.privacy.places import FILES, Place, Shape
from malha.privacy.reads import names, text_of

# --- which rows ---

# Those that were found beforehand, by their places; and those that were written since, by this very transaction too. Of
# all others the second reads no text, whatever the planner holds for cheap.
FOUND: Final[LiteralString] = "ctid = ANY (%(rows)s::text[]::tid[]) AND ({named})"
LATER: Final[LiteralString] = "CASE WHEN age(xmin) <= age(%(begun)s::text::xid) THEN {named} ELSE false END"

# --- locks ---

# No subscriber handles an event meanwhile: what one has read is written by now, what it reads next has nothing of the
# person. Batches pass over a subscriber that is locked; replays wait.
LOCK_SUBSCRIBERS = "SELECT name FROM subscriber ORDER BY name FOR NO KEY UPDATE"
# Who takes messages up passes over locked ones.
LOCK_MESSAGES = """
SELECT id FROM message WHERE order_id = ANY (%(orders)s::uuid[]) ORDER BY id FOR UPDATE
"""

# --- what is filed under the person's orders ---

# Municipality and state stay, with the part of the CEP that is a district's.
FORGET_ORDERS = """
UPDATE sales_order SET buyer_name = '', buyer_document = NULL, buyer_email = NULL, buyer_phone = NULL,
    request_key = CASE WHEN request_key ~* %(words)s::text OR request_key ~* %(numbers)s::text THEN NULL
                       ELSE request_key END,
    ship_to = CASE WHEN ship_to IS NULL THEN NULL ELSE jsonb_strip_nulls(jsonb_build_object(
        'city', ship_to -> 'city', 'state', ship_to -> 'state', 'country', ship_to -> 'country',
        'ibge', ship_to -> 'ibge', 'postal_code', CASE WHEN length(ship_to ->> 'postal_code') = 8
                            THEN left(ship_to ->> 'postal_code', 5) || '000' END)) END
WHERE id = ANY (%(orders)s::uuid[])
"""
DROP_DETAILS = "DELETE FROM order_details WHERE order_id = ANY (%(orders)s::uuid[])"
DROP_TAGS = """
DELETE FROM order_tag WHERE order_id = ANY (%(orders)s::uuid[])
  AND (tag ~* %(words)s::text OR tag ~* %(numbers)s::text)
"""
# What a person may search them by besides number and SKUs.
FORGET_SEARCH = """
UPDATE order_search s SET document = w.document
FROM (SELECT o.id, btrim(lower(concat_ws(' ', o.number, o.external_id,
             (SELECT string_agg(DISTINCT concat_ws(' ', l.sku_text, nullif(v.sku, l.sku_text)), ' ')
              FROM order_line l LEFT JOIN variant v ON v.id = l.sku_id WHERE l.order_id = o.id)))) AS document
      FROM sales_order o WHERE o.id = ANY (%(orders)s::uuid[]) ORDER BY o.id) AS w
WHERE s.order_id = w.id
"""
FORGET_NOTES = "UPDATE order_note SET text = '***' WHERE order_id = ANY (%(orders)s::uuid[])"
# Words of people; what the system itself wrote down is a code or a number.
FORGET_HOLDS = """
UPDATE order_hold SET detail = detail - 'note' - 'text' - 'address' - 'buyer' - 'value',
    resolution = CASE WHEN resolved_by ~ '^(person|key)' THEN '***' ELSE resolution END
WHERE order_id = ANY (%(orders)s::uuid[])
"""
FORGET_PROMISES = "UPDATE order_promise SET note = '' WHERE order_id = ANY (%(orders)s::uuid[])"
FORGET_PARCELS = """
UPDATE shipment SET tracking_code = NULL, tracking_url = NULL, received_by = NULL
WHERE order_id = ANY (%(orders)s::uuid[])
"""
FORGET_PICKUPS = "UPDATE fulfillment_order SET pickup_code = NULL WHERE order_id = ANY (%(orders)s::uuid[])"
# Where goods were to go, as it was asked and answered: a CEP is as near as an address where a street has its own.
FORGET_DECISIONS = """
UPDATE routing_decision SET asked = regexp_replace(asked::text, %(ceps)s::text, '\\1000', 'g')::json,
    promise = regexp_replace(promise::text, %(ceps)s::text, '\\1000', 'g')::json,
    record = regexp_replace(record::text, %(ceps)s::text, '\\1000', 'g')::json
WHERE order_id = ANY (%(orders)s::uuid[]) AND concat(asked::text, promise::text, record::text) ~ %(ceps)s::text
"""
# Payment facts stay, by amount and reference; a reference that names the person keeps that it was one.
FORGET_TENDERS = """
UPDATE tender SET reference = regexp_replace(regexp_replace(reference, %(words)s::text, '***', 'gi'),
                                             %(numbers)s::text, '0', 'gi')
WHERE order_id = ANY (%(orders)s::uuid[])
  AND (reference ~* %(words)s::text OR reference ~* %(numbers)s::text)
"""
# Unique by tender, kind and reference: told apart by their own identifiers.
FORGET_PAYMENTS = """
UPDATE payment_entry e SET reference = 'erased ' || e.id
WHERE e.tender_id = ANY (ARRAY(SELECT id FROM tender WHERE order_id = ANY (%(orders)s::uuid[])))
  AND (e.reference ~* %(words)s::text OR e.reference ~* %(numbers)s::text)
"""

FORGET_CLAIMS = """
DELETE FROM payment_claim
WHERE order_id = ANY (%(orders)s::uuid[]) AND (reference ~* %(words)s::text OR reference ~* %(numbers)s::text)
"""

# --- messages ---

# Under their references, before those go.
DROP_RECEIPTS = """
DELETE FROM message_receipt r USING message m
WHERE m.order_id = ANY (%(orders)s::uuid[]) AND r.channel = m.channel AND r.reference = m.reference
"""
# What waited is never sent. One whose end is not known takes none any more.
FORGET_MESSAGES = """
UPDATE message SET address = NULL, facts = '{}', subject = NULL, body = NULL, answer = NULL, reference = NULL,
    reason = CASE WHEN state IN ('queued', 'uncertain') THEN 'erased' ELSE reason END,
    done_at = CASE WHEN state = 'queued' THEN now() ELSE done_at END,
    state = CASE WHEN state = 'queued' THEN 'skipped' ELSE state END
WHERE order_id = ANY (%(orders)s::uuid[])
"""
DROP_SUPPRESSIONS = "DELETE FROM message_suppression WHERE address = ANY (%(addresses)s::text[])"
# That there was a yes or a no, and when, stays as the proof the law asks for (art. 8); how it was proved names people.
FORGET_CONSENTS = """
UPDATE message_consent SET proof = '', key = NULL WHERE customer_id = ANY (%(profiles)s::uuid[])
"""
DROP_PREFERENCES = "DELETE FROM message_preference WHERE customer_id = ANY (%(profiles)s::uuid[])"

# --- what happened ---

# What people typed goes, whatever it says; codes and numbers stay, so that who reads the log later understands it. What
# names the person goes wherever it is. In this order: an event that the sequencer moves meanwhile is found in the log.
_FACTS: Final[LiteralString] = """
    regexp_replace(regexp_replace(coalesce((
        SELECT jsonb_object_agg(f.key, CASE
            WHEN f.value = '""' THEN f.value
            WHEN actor ~ '^(person|key)' AND (f.key IN ('note', 'resolution', 'text')
                 OR (f.key = 'reason' AND type = 'order.cancelled') OR (f.key = 'why' AND type = 'order.slot_changed'))
                THEN '"***"'::jsonb
            WHEN f.key = 'shipments' AND jsonb_typeof(f.value) = 'array'
                THEN (SELECT coalesce(jsonb_agg(s || '{"tracking_code": null, "tracking_url": null}'), '[]')
                      FROM jsonb_array_elements(f.value) AS s)
            ELSE f.value END)
        FROM jsonb_each({facts}) AS f), '{}')::text, %(words)s::text, '***', 'gi'), %(numbers)s::text, '0', 'gi')
"""
_OF_PAYLOAD: Final[LiteralString] = _FACTS.replace("{facts}", "payload::jsonb")
_OF_FACTS: Final[LiteralString] = _FACTS.replace("{facts}", "facts")
FORGET_OUTBOX = f"UPDATE outbox SET payload = {_OF_PAYLOAD}::json WHERE key = ANY (%(keys)s::text[])"
# By primary key: those that were looked for beforehand, and what came since.
FORGET_EVENTS = f"UPDATE event SET payload = {_OF_PAYLOAD}::json WHERE position = ANY (%(positions)s::bigint[])"
FORGET_LATER_EVENTS = f"""
UPDATE event SET payload = {_OF_PAYLOAD}::json
WHERE position > %(log_end)s::bigint AND key = ANY (%(keys)s::text[])
"""
FORGET_PARKED = f"UPDATE parked_event SET payload = {_OF_PAYLOAD}::json WHERE key = ANY (%(keys)s::text[])"
FORGET_TIMELINE = f"UPDATE order_timeline SET facts = {_OF_FACTS}::jsonb WHERE order_id = ANY (%(orders)s::uuid[])"

# Reasons and notes of the trail of these records. Index audit_entity.
_WORDS: Final[LiteralString] = """
    (SELECT coalesce(jsonb_object_agg(f.key, CASE
         WHEN jsonb_typeof(f.value) = 'string' AND f.value <> '""'
              AND (f.key IN ('why', 'note', 'reason', 'proof', 'text', 'resolution')
                   OR (f.key = 'source' AND a.entity = 'message_preference')) THEN '"***"'::jsonb
         ELSE f.value END), '{}') FROM jsonb_each({side}::jsonb) AS f)::json
"""
FORGET_TRAIL = f"""
UPDATE audit a SET
    before = CASE WHEN json_typeof(a.before) = 'object' THEN {_WORDS.replace("{side}", "a.before")} ELSE a.before END,
    after = CASE WHEN json_typeof(a.after) = 'object' THEN {_WORDS.replace("{side}", "a.after")} ELSE a.after END
FROM unnest(%(entities)s::text[], %(ids)s::text[]) AS w (entity, id)
WHERE a.entity = w.entity AND a.entity_id = w.id
"""

# --- tables that people brought ---

# A file cannot be emptied in part. Of imports that ended it is not needed; one not written yet is brought again.
STOP_IMPORTS = """
UPDATE import_run SET state = 'stopped', ended_at = now() WHERE kind = 'customers' AND state IN ('mapping', 'checked')
"""
DROP_FILES = """
DELETE FROM import_part p USING import_run r
WHERE r.id = p.run_id AND r.kind = 'customers' AND r.state IN ('done', 'stopped', 'failed', 'undone')
"""
DROP_SAMPLES = """
UPDATE import_run SET sample = '[]'
WHERE kind = 'customers' AND state IN ('done', 'stopped', 'failed', 'undone') AND sample <> '[]'
"""
# Rows that name the person, with whatever else they say of them.
DROP_FLAWS = """
DELETE FROM import_flaw f USING import_run r
WHERE r.id = f.run_id AND r.kind = 'customers'
  AND (f.cells::text ~* %(words)s::text OR f.cells::text ~* %(numbers)s::text)
"""
# Not taken back any more: the profile is gone for good.
DROP_TRACES = """
DELETE FROM import_trace t USING import_run r
WHERE r.id = t.run_id AND r.kind = 'customers' AND t.key = ANY (%(keys)s::text[])
"""

ADD_ERASURE = """
INSERT INTO customer_erasure (customer_id, actor, person, reason, orders, messages, documents)
SELECT %(customer)s::uuid, %(actor)s::text, %(person)s::text,
       regexp_replace(regexp_replace(%(reason)s::text, %(words)s::text, '***', 'gi'), %(numbers)s::text, '0', 'gi'),
       %(order_count)s::int, %(message_count)s::int,
       (SELECT count(DISTINCT x.document_id) FROM fiscal_line x WHERE x.order_id = ANY (%(orders)s::uuid[]))
"""

# --- what is filed under something else ---

_SWEEP: Final[LiteralString] = "UPDATE {table} SET {column} = {said} WHERE {which}"
_SAID: Final[LiteralString] = "regexp_replace(regexp_replace({text}, {words}, '***', 'gi'), {numbers}, '0', 'gi')"


def sweep(place: Place, which: LiteralString) -> sql.Composed:
    """Return the statement that takes what names a person out of a column of `FOUND` or `LATER` rows.

    A number leaves a 0: JSON stays JSON.
    """
    words, numbers, text = sql.SQL("%(words)s::text"), sql.SQL("%(numbers)s::text"), text_of(place)
    said: sql.Composable = sql.SQL(_SAID).format(text=text, words=words, numbers=numbers)
    if place.shape is Shape.BYTES:
        said = sql.SQL("convert_to({}, 'LATIN1')").format(said)
    elif place.shape is not Shape.TEXT:
        said = sql.SQL("({})::{}").format(said, sql.SQL("json" if place.shape is Shape.JSON else "jsonb"))
    return sql.SQL(_SWEEP).format(
        table=sql.Identifier(place.table),
        column=sql.Identifier(place.column),
        said=said,
        which=sql.SQL(which).format(named=names(place)),
    )


def empty_files(which: LiteralString) -> sql.Composed:
    """Return the statement that empties `FOUND` or `LATER` files with the person in them, if they are done with.

    One that a partner was sent, or sent, is kept for a look only.
    """
    named = sql.SQL("ended_at IS NOT NULL AND {names}").format(names=names(FILES))
    emptied = sql.SQL("UPDATE partner_file SET content = '***'::bytea WHERE {which}")
    return emptied.format(which=sql.SQL(which).format(named=named))


# --- looking through large tables for a while ---

# One that was refused is begun anew.
ADD_SEARCH = """
INSERT INTO erasure_search (customer_id, actor, person, reason)
VALUES (%(customer)s::uuid, %(actor)s::text, %(person)s::text, %(reason)s::text)
ON CONFLICT (customer_id) DO UPDATE
SET actor = excluded.actor, person = excluded.person, reason = excluded.reason, begun_at = now(), tries = 0,
    known = NULL, since = NULL, log_end = NULL, positions = NULL, refused = NULL
WHERE erasure_search.refused IS NOT NULL
"""
LOCK_SEARCH = "SELECT FROM erasure_search WHERE customer_id = %(customer)s::uuid AND refused IS NULL FOR UPDATE"
START_SEARCH = """
UPDATE erasure_search
SET known = %(known)s::text, since = %(since)s::text, log_end = %(log_end)s::bigint,
    positions = %(positions)s::bigint[], tries = tries + 1
WHERE customer_id = %(customer)s::uuid
"""
DROP_PLACES = "DELETE FROM erasure_search_place WHERE customer_id = %(customer)s::uuid"
# What is written behind the last page from now on is later than all that is looked for.
ADD_PLACES = """
INSERT INTO erasure_search_place (customer_id, place, file, blocks)
SELECT %(customer)s::uuid, p, pg_relation_filenode(t.id),
       pg_relation_size(t.id) / current_setting('block_size')::int
FROM unnest(%(places)s::text[]) AS p, to_regclass(split_part(p, '.', 1)) AS t (id)
"""
KEEP_FOUND = """
UPDATE erasure_search_place SET looked = least(%(behind)s::bigint, blocks), found = found || %(found)s::text[]
WHERE customer_id = %(customer)s::uuid AND place = %(place)s::text
"""
BEGIN_ANEW = "UPDATE erasure_search SET since = NULL WHERE customer_id = %(customer)s::uuid"
REFUSE_SEARCH = "UPDATE erasure_search SET refused = %(refused)s::jsonb WHERE customer_id = %(customer)s::uuid"
END_SEARCH = "DELETE FROM erasure_search WHERE customer_id = %(customer)s::uuid"

# --- secrets ---


def reseal(table: str, column: str) -> sql.Composed:
    """Return the statement that puts sealed secrets in the place of others: no two are ever the same bytes."""
    put = sql.SQL(
        "UPDATE {table} AS t SET {column} = w.fresh FROM unnest(%(was)s::bytea[], %(fresh)s::bytea[]) AS w (was, fresh)"
        " WHERE t.{column} = w.was"
    )
    return put.format(table=sql.Identifier(table), column=sql.Identifier(column))
