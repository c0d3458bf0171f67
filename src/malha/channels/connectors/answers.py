"""Answers of HTTP that are none of the peer's: what a connector says of one that it cannot read."""

from malha.channels.contract import Unsure

_PAGES = (b"<!doctype html", b"<html")


def unreadable(body: bytes, error: Exception) -> Unsure:
    """Return what an answer that cannot be read means: whatever was asked may have been done.

    A page of the web is called so: that of a log-in, of maintenance, of what stands before the shop.
    """
    if body[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_PAGES):
        return Unsure(
            "it answers with a web page, not with data: look whether its address is right,"
            " and whether a log-in or maintenance stands before it"
        )
    return Unsure(f"the answer cannot be read: {error}"[:200])
