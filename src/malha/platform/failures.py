"""Failures that are kept as text: a sentence and its facts, found again in the text when somebody reads it.

What went wrong with a server of others is kept in English, where it happened (a log, a delivery, a queue), and read
later by people of any language. `Failures` knows the sentences that may be kept; in a text that is one of them it finds
the facts, and says it in the reader's language. Any other text, as the words of the other server, is shown as it is.

    said = Failures(OutwardUnreachable.says, N_("All connection attempts failed"))
    said.shown("10.0.0.1 cannot be reached: All connection attempts failed")
"""

import re
from functools import lru_cache

from malha.platform import sealing
from malha.platform.i18n import N_, Phrase, _
from malha.platform.outward import OutwardRefused, OutwardUnanswered, OutwardUnreachable

DEEPEST = 3  # a fact may be a sentence, and one of its facts too
LONGEST = 2_000  # characters of a text that is looked at
KEPT = 1_024  # texts of which it is known what was found
_FACT = re.compile(r"\\\{([a-z_]+)\\\}")

OUTWARD = (
    OutwardRefused.says,
    OutwardUnreachable.says,
    OutwardUnanswered.says,
    sealing.SealBroken.says,
    # Why an address is not asked.
    N_("it leads into a network that is not public"),
    N_("it is not https"),
    N_("it is no web address"),
    N_("it holds a user or a password"),
    # What the network, the name service and TLS answer.
    N_("no address"),
    N_("All connection attempts failed"),
    N_("[Errno -2] Name or service not known"),
    N_("[Errno -3] Temporary failure in name resolution"),
    N_("[Errno -5] No address associated with hostname"),
    N_("[Errno 104] Connection reset by peer"),
    N_("[Errno 111] Connection refused"),
    N_("[Errno 111] Connect call failed {address}"),
    N_("[Errno 113] No route to host"),
    N_("ConnectTimeout"),
    N_("ReadTimeout"),
    N_("TimeoutError"),
    N_("Server disconnected without sending a response."),
    N_("{status}, a redirect"),
    N_("{status}, an endless answer"),
    N_("{status}, packed as {packing}"),
    # Why what was in line for a webhook is not sent.
    N_("The log no longer holds this event."),
    N_("It waited for too long."),
    N_("The webhook may not be told of this any more."),
)


class Failures:
    """Sentences that may be kept, and what is found of them in a text."""

    def __init__(self, *sentences: str) -> None:
        """`sentences` are message ids with `{facts}`; of several that fit the one with most own words counts.

        Lists and exports of thousands of rows are looked through: all sentences are one expression, of which the first
        part that fits counts, and what was found of a text is kept for a while, for most rows fail alike.
        """
        ordered = sorted(set(sentences), key=lambda msgid: (-len(_own(msgid)), msgid))
        self._form = re.compile("|".join(f"({_form(msgid)})" for msgid in ordered), re.DOTALL)
        self._at: dict[int, tuple[str, list[str]]] = {}
        group = 1
        for msgid in ordered:
            names = _FACT.findall(re.escape(msgid))
            self._at[group] = msgid, names
            group += 1 + len(names)
        self._kept = lru_cache(KEPT)(self._look)

    def found(self, text: str) -> Phrase | None:
        """Return the sentence that a text is, with its facts; None where it is none of them."""
        return self._kept(text, DEEPEST)

    def _look(self, text: str, deep: int) -> Phrase | None:
        if not text or len(text) > LONGEST or deep == 0:
            return None
        match = self._form.fullmatch(text)
        if match is None or match.lastindex is None:
            return None
        msgid, names = self._at[match.lastindex]  # the group of a sentence is the last one to close
        facts = zip(names, match.groups()[match.lastindex :], strict=False)
        return Phrase(msgid, {name: self._look(fact, deep - 1) or fact for name, fact in facts})

    def shown(self, text: str | None) -> str:
        """Return a kept text in the reader's language; one that is no sentence of these as it is."""
        found = self.found(text or "")
        return _(found.msgid, **found.facts) if found else text or ""


def _own(msgid: str) -> str:
    return re.sub(r"\{[a-z_]+\}", "", msgid)


def _form(msgid: str) -> str:
    return _FACT.sub("(.+?)", re.escape(msgid))


shown = Failures(*OUTWARD).shown
