"""Refusals about fiscal documents."""

from malha.platform.errors import FieldError, MalhaError, NotFound


class WorkNotFound(NotFound):
    """No units belong to this piece of work."""

    code = "fiscal_work_not_found"
    says = "There is no fulfillment {key} with units."
    mend = "Check the identifier."


class DocumentNotFound(NotFound):
    """There is no such document."""

    code = "document_not_found"
    says = "There is no fiscal document {key}."
    mend = "Check the identifier or the access key."


class NotPacked(MalhaError):
    """A document covers what was packed: before that, quantities may still change."""

    status = 409
    code = "not_packed"
    says = "{quantity} units of this work are not packed: they are {state}."
    mend = "Pack everything first; short picks change what the document must cover."


class DocumentExists(MalhaError):
    """One living document covers a piece of work."""

    status = 409
    code = "document_exists"
    says = "The document {model} series {series} number {number} already covers this work."
    mend = "Cancel that document first if another one is to take its place."


class DocumentUsed(MalhaError):
    """The access key was recorded for other goods."""

    status = 409
    code = "document_used"
    says = "The access key {access_key} was already recorded for other goods."
    mend = "Check the key: each document covers one piece of work."


class NumberUsed(MalhaError):
    """An issuer's number names one document."""

    status = 409
    code = "document_number_used"
    says = "Number {number} of series {series} was already recorded with another access key."
    mend = "Check the key; a number is used once, for ever."


class DocumentDiffers(FieldError):
    """The document does not cover exactly what was packed."""

    code = "document_differs"
    says = "Places where the document differs from what was packed: {count}."
    mend = "Issue a document that covers exactly the packed units, or correct the packing."


class GoodsLeft(MalhaError):
    """The goods are on their way with this document: it cannot be cancelled any more."""

    status = 409
    code = "goods_left"
    says = "The goods have left with this document."
    mend = "Take them back with a return document."


class DocumentNotLiving(MalhaError):
    """Only an authorised document can be cancelled."""

    status = 409
    code = "document_not_living"
    says = "The document is {state}."
    mend = "Nothing needs to be done."
