"""Refusals of the HTTP edge itself: before a use case is reached, or instead of an answer."""

from malha.platform.errors import Conflict, Forbidden, MalhaError, NotFound


class MalformedBody(MalhaError):
    """The body cannot be read at all."""

    status = 400
    code = "malformed_body"
    says = "The body is not valid JSON: {reason}."
    mend = "Send JSON in UTF-8 with `Content-Type: application/json`."


class BodyNotTaken(MalhaError):
    """An operation that takes no body got one: what it says would be lost without a word."""

    status = 422
    code = "body_not_taken"
    says = "{method} {path} takes no body."
    mend = "Leave it out. What the operation takes is told at /v1/docs: its parameters stand in the address."


class BadRequest(MalhaError):
    """The request is not one this server can read: headers, host, form encoding."""

    status = 400
    code = "unreadable_request"
    says = "The request cannot be read: {reason}."
    mend = "Correct it and send it again."


class NoSuchRoute(MalhaError):
    """No page and no API operation has this address."""

    status = 404
    code = "no_such_route"
    says = "There is nothing at {path}."
    mend = "Check the address. All operations are listed at /v1/docs."


class NoSuchNumber(NotFound):
    """An address names something by a number that is larger than any is: nothing has it."""

    code = "no_such_number"
    says = "There is nothing with the number {key}: none is that large."
    mend = "Check the number in the address."


class MethodNotAllowed(MalhaError):
    """The address exists, the method does not."""

    status = 405
    code = "method_not_allowed"
    says = "{path} does not take {method}."
    mend = "Use one of the methods in the `Allow` header."


class BodyTooLarge(MalhaError):
    """The body is larger than this server accepts; it was not read to its end."""

    status = 413
    code = "body_too_large"
    says = "The body is larger than {megabytes} MB."
    mend = "Send it in smaller parts. The limit is the setting `upload_limit_mb`."


class BodyEncoded(MalhaError):
    """The body is compressed. It is taken as it is sent, so nothing unfolds into more than was sent."""

    status = 415
    code = "body_encoded"
    says = "The body is sent with `Content-Encoding: {encoding}`, which this server does not unpack."
    mend = "Send the body as it is, without this header."


class FormTooLarge(MalhaError):
    """Somebody who is not signed in sends more than any form needs; it was not read to its end."""

    status = 413
    code = "form_too_large"
    says = "The body is larger than {kilobytes} KB, the most that is taken from somebody who is not signed in."
    mend = "Send less at a time, or sign in first."


class BodyBroken(MalhaError):
    """The connection ended before the body did, or a piece of it is none."""

    status = 400
    code = "body_broken"
    says = "The body broke off before its end."
    mend = "Send the request again, with its whole body."


class BodyTooSlow(MalhaError):
    """The body did not arrive in time; it was not read to its end."""

    status = 408
    code = "body_too_slow"
    says = "The body did not arrive in time: after {seconds} seconds it came too slowly."
    mend = "Send it again over a better connection, or in smaller parts."


class CrossSite(Forbidden):
    """A browser sent this from another site: refused, whoever is signed in."""

    code = "cross_site"
    says = "This request comes from another site."
    mend = "Open the page in this site and try again."


class StaleVersion(Conflict):
    """The record changed since the caller read it; nothing was written."""

    status = 412
    code = "stale_version"
    says = "This record is at version {current}, not {expected}."
    mend = "Read it again and repeat your change on what is there now."


class VersionRequired(MalhaError):
    """People edit this record side by side: a change must name the version it was made on."""

    status = 428
    code = "version_required"
    says = "This change must name the version it was made on."
    mend = "Send the `ETag` you read as `If-Match`."


class ValueRefused(MalhaError):
    """The database cannot hold a value: too large a number, a character it does not know."""

    status = 422
    code = "value_refused"
    says = "A value is outside what can be stored."
    mend = "Shorten texts, use numbers below 2,147,483,648, and send no NUL characters."


class ConstraintRefused(Conflict):
    """The change contradicts what is already there, in a way no use case explains better."""

    code = "constraint_refused"
    says = "The change contradicts other records."
    mend = "Check that what it refers to exists and is not there already."


class Unavailable(MalhaError):
    """The database does not answer. Nothing was changed."""

    status = 503
    code = "unavailable"
    says = "The database does not answer right now."
    mend = "Send the same request again in a few seconds."
    retry_after = 5


class Internal(MalhaError):
    """A fault of this program, in the log under the request's id."""

    status = 500
    code = "internal"
    says = "Something failed in this program."
    mend = "Try again. If it stays, tell support the request id {request_id}."
