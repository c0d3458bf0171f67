"""Refusals of what sources state."""

from malha.platform.errors import Conflict, FieldError, MalhaError, NotFound


class UnknownSource(NotFound):
    """Nobody of that name states stock here."""

    code = "unknown_stock_source"
    says = "There is no stock source {key}."
    mend = "Declare it under Stock sources, with the locations it speaks for."


class SourceInactive(MalhaError):
    """The source was switched off."""

    status = 409
    code = "stock_source_inactive"
    says = "The stock source {source} is switched off: nothing it states is taken."
    mend = "Switch it on under Stock sources."


class SourceChanged(Conflict):
    """Someone else saved the source between reading and saving."""

    code = "stock_source_changed"
    says = "Someone else changed the stock source {source} meanwhile."
    mend = "Look at what is there now and change it again."


class SourceExists(Conflict):
    """A source's code is its name in every message."""

    code = "stock_source_exists"
    says = "There is already a stock source {source}."
    mend = "Choose another code, or change that source."


class TwoTruths(MalhaError):
    """Two sources cannot both be the truth of one location: their snapshots would undo one another."""

    status = 409
    code = "two_sources_of_truth"
    says = "Location {location} already has {other} as its source of truth."
    mend = "Declare one of the two as secondary there: its snapshots are compared, not applied."


class InvalidSource(FieldError):
    """A field of the source is not acceptable."""

    code = "invalid_stock_source"


class NotItsLocation(MalhaError):
    """A snapshot speaks of a location its source was not declared for."""

    status = 409
    code = "not_its_location"
    says = "The stock source {source} is not declared for the location {location}."
    mend = "Declare it there, as the source of truth or as a secondary one."


class OlderSnapshot(MalhaError):
    """Numbers from before the last ones would undo what is known since."""

    status = 409
    code = "older_snapshot"
    says = "Snapshot {seq} of {source} is not newer than {last}, the last one that was accepted."
    mend = "Send a newer snapshot with a greater sequence."


class OlderAsOf(MalhaError):
    """The sequence grew, but the numbers are from before the last ones."""

    status = 409
    code = "older_as_of"
    says = "At {location} the last snapshot of {source} was as of {last}; this one is as of {as_of}, which is before."
    mend = "Send the numbers of now, with their own time."


class AsOfInFuture(MalhaError):
    """Nobody knows the stock of tomorrow."""

    status = 422
    code = "as_of_in_future"
    says = "The snapshot is as of {as_of}, which has not come yet."
    mend = "Set the clock of the source, or widen its clock tolerance."


class SnapshotNotFound(NotFound):
    """No snapshot with this id."""

    code = "snapshot_not_found"
    says = "There is no snapshot {key}."
    mend = "Look it up in the list of snapshots."


class SnapshotNotOpen(MalhaError):
    """The act does not fit where the snapshot stands."""

    status = 409
    code = "snapshot_not_open"
    says = "Snapshot {number} has moved on: this cannot be done with it any more."
    mend = "Look at where it stands now."


class SnapshotTooLarge(MalhaError):
    """More than a file of stock may have, packed or unpacked."""

    status = 413
    code = "snapshot_too_large"
    says = "The snapshot is larger than {megabytes} MB when it is unpacked."
    mend = "Send it by location. The limit is the setting `import_limit_mb`."


class PackedBomb(MalhaError):
    """A file that unpacks to hundreds of times its size was made to hurt."""

    status = 422
    code = "packed_bomb"
    says = "The file unpacks to more than {ratio} times its size: nothing of it was read."
    mend = "Send it unpacked."


class UnreadablePacking(MalhaError):
    """It says that it is gzip and is not, or it ends too soon."""

    status = 422
    code = "unreadable_packing"
    says = "The file is packed by gzip and cannot be unpacked: it is damaged or incomplete."
    mend = "Pack it again, or send it unpacked."


class EmptySnapshot(MalhaError):
    """A snapshot without rows would empty every shelf."""

    status = 422
    code = "empty_snapshot"
    says = "The snapshot has no rows: nothing was changed."
    mend = "Send at least one row. To empty a location, state its SKUs with 0."


class DriftNotFound(NotFound):
    """No such disagreement."""

    code = "drift_not_found"
    says = "There is no disagreement {key}."
    mend = "Look it up in the drift report."


class DriftSettled(Conflict):
    """Someone else, or a newer snapshot, was there before."""

    code = "drift_settled"
    says = "This disagreement changed or was settled meanwhile."
    mend = "Look at it again: nothing was changed by you."
