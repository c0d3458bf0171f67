"""Cross-site request forgery: is this unsafe request sent by our own pages?

Browsers say where a request comes from in `Sec-Fetch-Site` (secure origins) and in `Origin`. Neither can be set by a
page's script, so no token has to travel. Only requests a browser signs by itself, with a cookie, are at risk: keys are
not.
"""

from collections.abc import Collection

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def is_own(
    method: str, *, fetch_site: str | None, origin: str | None, own_origins: Collection[str], has_cookie: bool
) -> bool:
    """Return whether a request may change something.

    Args:
        method: HTTP method.
        fetch_site: the `Sec-Fetch-Site` header. `none` is a person who typed the address.
        origin: the `Origin` header.
        own_origins: origins of this server, like `https://oms.example.com`.
        has_cookie: whether the request carries a session. Without one and without any browser's mark it is a program.
    """
    if method in SAFE_METHODS:
        return True
    if fetch_site is not None:
        return fetch_site in {"same-origin", "none"}
    if origin is not None:
        return origin in own_origins
    return not has_cookie
