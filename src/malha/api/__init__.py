"""The REST API: one module per capability, one pattern for every operation.

A module of this package declares operations with `query` (reads) and `command` (changes) and lists them in `handlers`;
the application finds them and serves them below `/v1`. An example, complete:

    from malha.api.work import Work, command, query
    from malha.ordering import cancelling, reads

    class CancelOrder(msgspec.Struct, forbid_unknown_fields=True):
        \"\"\"Why, and which units; without lines the whole order.\"\"\"

        reason: Annotated[str, Meta(min_length=1, max_length=200)]
        lines: list[LineQuantity] | None = None

    @query("/orders/{order_id:uuid}", permission="orders:read")
    async def get_order(work: Work, order_id: UUID) -> OrderView:
        \"\"\"Return an order with its lines and units.\"\"\"
        order = await reads.order(work.tx, order_id)
        if order is None:
            raise NotFound(what="order", key=order_id)
        work.tag(order.version)                      # ETag
        return order

    @command("/orders/{order_id:uuid}/cancel", permission="orders:cancel")
    async def cancel_order(work: Work, order_id: UUID, data: CancelOrder) -> Cancelled:
        \"\"\"Cancel an order or some of its units.

        What the first line says is the summary in the documentation, the rest its description.
        \"\"\"
        return await cancelling.cancel(work.tx, order_id, reason=data.reason, wishes=data.lines)

    handlers = [get_order, cancel_order]

What the pattern does, so that no operation does it again:

* `permission` is one of `identity.model.PERMISSIONS` (or `SIGNED_IN`, `PUBLIC`); the guard refuses before the body is
  read. Location scope is the service's and the read's own: `work.actor.sees(location_id)`, `work.actor.locations` (None
  is all). What concerns all of them says `everywhere=True`, and the guard refuses whoever is limited to some.
* `data` is decoded strictly into its msgspec type; all flaws are answered at once, with JSON pointers, as 422.
  `data: bytes` with `media_type="text/csv"` is the raw body. Other parameters come from the path and the query string:
  `cursor: str | None = None, limit: int | None = None` (`malha.platform.paging`).
* `work.tx` is one open transaction of the acting person or key (`work.actor`). It commits when the function returns and
  rolls back when it raises. The audit row (`audit.record(work.tx, ...)`) is the service's, in the same transaction.
* `Idempotency-Key` on a POST: the reply is stored in that same transaction and answered again to a repeated send.
  Replies of commands therefore hold identifiers and states, no personal data; where that cannot be,
  `work.keep(other_reply)` says what is stored. `idempotent=False` for operations with a natural key of their own.
* `versioned="optional"` or `"required"` for records people edit side by side: lock the row, `work.expect(version)`,
  change, `work.tag(new_version)`. 412 and 428 are answered by themselves.
* Return a struct (200), `work.created(location)` makes it 201, None is 204. `status=201` where it always is.
* `transaction=False` for operations that open their own (`async with work.transaction() as tx`): imports, the gate.
* Refusals are `MalhaError`s; they become `application/problem+json` in the caller's language. What a refused operation
  wrote is undone, unless it refuses with `work.refuse_counted(...)`: a wrong code stays a code that was tried.
"""
