"""Refusals. One exception family for every edge: the API sends it as problem+json, pages show it in the reader's words.

A subclass is a fact of the domain: an HTTP status, a stable `code`, an English sentence with `{facts}` in it and a
second one that says how to mend it. Both sentences are gettext message ids (`malha.platform.i18n`), the constructor
takes the facts. Expected alternatives are values, never exceptions: an exception aborts the transaction.
"""

import errno
from typing import Any, ClassVar, Self


class MalhaError(Exception):
    """A refusal with an HTTP status and a stable code."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "bad_request"
    says: ClassVar[str] = "The request could not be carried out."
    mend: ClassVar[str] = ""
    retry_after: ClassVar[int | None] = None

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        super().__init__(self.says.format_map(_Facts(facts)))


class _Facts(dict[str, Any]):
    """A missing fact shows as its name: an error about an error helps nobody."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


class FieldError(MalhaError):
    """Base of refusals that point into a body: pass `problems=[{"at": "/lines/0/sku", "says": "..."}]`."""

    status = 422
    code = "invalid"
    says = "Fields that are not valid: {count}."
    mend = "Correct the listed fields and send the request again."


class NotFound(MalhaError):
    """There is no such record, or the asker may not see it."""

    status = 404
    code = "not_found"
    says = "There is no {what} {key}."
    mend = "Check the identifier, and that you may see this record."


class Conflict(MalhaError):
    """The record changed since it was read (`If-Match`)."""

    status = 409
    code = "conflict"
    says = "{what} {key} was changed by someone else meanwhile."
    mend = "Read it again and repeat your change."


class Busy(MalhaError):
    """A lock was not granted in time. Nothing was changed; the same request may be sent again."""

    status = 409
    code = "busy"
    says = "This record is being changed right now."
    mend = "Send the same request again in a moment."
    retry_after = 1


class DatabaseFull(MalhaError):
    """The database has no room left on its disk. Nothing was changed; what was acknowledged before is there."""

    status = 503
    code = "database_full"
    says = "The disk of the database is full: nothing can be stored."
    mend = "Make room on it, then send the same request again. What was acknowledged before is safe."
    retry_after = 30


class DiskFull(MalhaError):
    """A disk of this machine, like that of temporary files, has no room left. The database is not meant."""

    status = 503
    code = "disk_full"
    says = "A disk of this machine is full."
    mend = "Make room on it, also where temporary files are kept (TMPDIR), then do the same again."
    retry_after = 30

    @classmethod
    def told_by(cls, error: BaseException) -> Self | None:
        """Return what an error of the system tells of a disk; None: it tells of something else."""
        full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
        return cls() if full else None


class DatabaseReadOnly(MalhaError):
    """The database takes no changes: it is a standby, or was set so. Nothing was changed."""

    status = 503
    code = "database_read_only"
    says = "The database takes no changes: it is read-only."
    mend = "Have DATABASE_URL lead to the primary, or end default_transaction_read_only, then send the request again."
    retry_after = 30


class DatabaseExhausted(MalhaError):
    """The database has no memory, no connections or no temporary room left for this. Nothing was changed."""

    status = 503
    code = "database_exhausted"
    says = "The database has too little memory, connections or temporary room for this."
    mend = "Send the same request again later. If it stays so, its log says what is short."
    retry_after = 10


class Forbidden(MalhaError):
    """The person or key lacks a permission, or the location is outside its scope."""

    status = 403
    code = "forbidden"
    says = "This needs the permission {permission}."
    mend = "Ask an owner to grant it."
