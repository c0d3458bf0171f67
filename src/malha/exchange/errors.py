"""Refusals of imports."""

from malha.platform.errors import MalhaError, NotFound


class ImportNotFound(NotFound):
    """There is no such import, or it is somebody else's."""

    code = "import_not_found"
    says = "There is no import {key}."
    mend = "Look at the list of imports."


class NothingToImportInto(MalhaError):
    """What rows of this kind are about cannot be there: there is no database yet, and none was made."""

    status = 409
    code = "nothing_to_import_into"
    says = "There is no database in {directory} yet, so nothing that these rows could be about."
    mend = (
        "Name the directory of yours in MALHA_DATA_DIR, or its database in DATABASE_URL. "
        "In a new one import products and locations first."
    )


class ImportBusy(MalhaError):
    """It is being checked or applied, or it has ended."""

    status = 409
    code = "import_not_open"
    says = "The import {number} is not waiting for anything now."
    mend = "Look at it again: it goes on, or it has ended."


class FileGone(MalhaError):
    """Files are kept for some days, and those of callers that wait not at all."""

    status = 409
    code = "import_file_gone"
    says = "The file of the import {number} is not kept."
    mend = "Send the file again: rows that are there already change nothing."


class NothingToUndo(MalhaError):
    """It wrote nothing, it cannot be undone, or it was long ago."""

    status = 409
    code = "nothing_to_undo"
    says = "The import {number} cannot be undone."
    mend = "Imports that wrote something can be, for {days} days and once."


class UploadTooLarge(MalhaError):
    """The file is larger than an import may be."""

    status = 413
    code = "upload_too_large"
    says = "The file is larger than {megabytes} MB."
    mend = "Send it in parts. The limit is the setting `import_limit_mb`."


class NoFile(MalhaError):
    """Nothing was sent."""

    status = 422
    code = "no_file"
    says = "No file was sent."
    mend = "Choose a CSV or Excel file."


class ColumnTwice(MalhaError):
    """Two headings were said to be the same column."""

    status = 422
    code = "column_twice"
    says = "The headings {first} and {second} cannot both be the column {column}."
    mend = "Choose another column for one of them, or none."
