"""`malha mail bounces`: mail that came back, read from standard input (one mail, for an MTA's pipe) or a Maildir.

    # Postfix, in an alias file of the user malha:   bounces: "|/usr/local/lib/malha/bin/malha mail bounces"
    malha mail bounces --maildir /var/mail/bounces

A mail of a Maildir that was read goes from `new` to `cur`; one that is no report is left there for a person. Exit code
75 (try again) when the database does not answer or anything else is in the way, so that an MTA keeps the mail.
"""

import asyncio
import email
import email.policy
import mailbox
import sys
from pathlib import Path
from typing import Annotated

import typer
from psycopg import OperationalError
from psycopg_pool import PoolTimeout

from malha.cli.runtime import runtime
from malha.flows import telling
from malha.notifications import dsn, returns
from malha.notifications.model import Channel
from malha.platform import signing
from malha.platform.db import Actor, Database
from malha.platform.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Mail that comes back.")
TRY_AGAIN = 75  # EX_TEMPFAIL
LARGEST = 2 << 20
MAILDIR_AT_ONCE = 1_000


@app.callback()
def _group() -> None:
    """Mail that comes back."""


@app.command()
def bounces(
    maildir: Annotated[Path | None, typer.Option(help="Read all new mails of a Maildir instead.")] = None,
) -> None:
    """Mark messages whose mail could not be delivered; their customers are told by the next means."""
    with runtime(migrate=False) as settings:
        try:
            asyncio.run(_read(settings, maildir))
        except (OperationalError, PoolTimeout) as error:
            sys.stderr.write(f"malha: the database does not answer: {error}\n")
            raise typer.Exit(TRY_AGAIN) from None


async def _read(settings: Settings, maildir: Path | None) -> None:
    async with Database(settings.database_url or "", settings.retailer, max_size=2) as db:
        if maildir is None:
            print(await take(db, settings, sys.stdin.buffer.read(LARGEST)))
            return
        box = mailbox.Maildir(str(maildir), create=False)
        for key in list(box.keys())[:MAILDIR_AT_ONCE]:
            held = box.get_message(key)
            if held.get_subdir() != "new":
                continue
            print(f"{key}: {await take(db, settings, box.get_bytes(key)[:LARGEST])}")
            held.set_subdir("cur")
            held.add_flag("S")
            box[key] = held


async def take(db: Database, settings: Settings, raw: bytes) -> str:
    """Take one mail of the box for bounces; return what it was: bounced, known, delayed, delivered, no_report, ..."""
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    report = dsn.read_report(signing.keys_of(settings), mail)
    if report.receipt is None:
        return report.why
    async with db.transaction(Actor("gateway", "email", "bounces")) as tx:
        done = await returns.record_receipts(tx, Channel.EMAIL, [report.receipt], await telling.means_now(tx))
        if done.bounced:
            await telling.send_soon(tx)
    return "bounced" if done.bounced else "known" if done.known else "no_message"
