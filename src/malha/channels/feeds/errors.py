"""Refusals about feeds."""

from malha.platform.errors import Conflict, MalhaError, NotFound


class FeedNotFound(NotFound):
    """There is no such feed."""

    code = "feed_not_found"
    says = "There is no feed {key}."


class FeedChanged(Conflict):
    """The feed changed since it was read, or its code is taken."""

    code = "feed_changed"
    says = "The feed {key} was changed by someone else meanwhile, or its code is taken."


class BuildNotFound(NotFound):
    """The feed has no such build."""

    code = "feed_build_not_found"
    says = "The feed {feed} has no build {key}."


class BuildRunning(MalhaError):
    """A feed is built once at a time."""

    status = 409
    code = "feed_build_running"
    says = "The feed {feed} is being built."
    mend = "Wait until it is done, or stop it."


class NoFileYet(MalhaError):
    """There is no such file: it was not built yet, or was replaced by newer ones."""

    status = 404
    code = "feed_file_absent"
    says = "There is no such file of the feed {feed}."
    mend = "Build the feed; the two newest files of each kind are kept."


class TooManyPulls(MalhaError):
    """The address was read too often within a minute."""

    status = 429
    code = "feed_pulled_too_often"
    says = "This file was read too often. Try again in {seconds} seconds."
    mend = "It changes no more often than it is built."
