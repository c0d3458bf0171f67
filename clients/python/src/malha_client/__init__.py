"""A typed client of Malha's API.

    from malha_client import Client
    from malha_client.models import NewOrder

    with Client("https://oms.example", key="mk_...") as malha:
        for order in malha.iter_orders(q="maria"):
            print(order.number)
        for event in malha.follow(after=cursor, types=["order.*"]):
            handle(event)
            remember(event.cursor)

`AsyncClient` has the same methods, to be awaited. Requests that are safe to repeat are repeated: after connection
errors, and after 429 and 503 as `Retry-After` says. Every POST carries an `Idempotency-Key`, so they are too.
What is refused raises a `Problem`. `verify` checks a webhook and returns its event.
"""

from malha_client.core import Retries
from malha_client.operations import AsyncClient, Client
from malha_client.problems import (
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    NotSignedIn,
    Problem,
    ServerFault,
    Stale,
    TooManyRequests,
    Unreachable,
)
from malha_client.webhooks import NotVerified, verify

__all__ = [
    "AsyncClient",
    "Client",
    "Conflict",
    "Forbidden",
    "Gone",
    "Invalid",
    "NotFound",
    "NotSignedIn",
    "NotVerified",
    "Problem",
    "Retries",
    "ServerFault",
    "Stale",
    "TooManyRequests",
    "Unreachable",
    "verify",
]
