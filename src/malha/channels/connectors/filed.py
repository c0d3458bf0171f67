"""What all connectors share whose peers put files on an SFTP server and take them from there.

Where the files are and how the peer writes is a `FilesConfig`; `Folders` looks, reads, and puts away. What a file tells
is the connector's own: it says which kinds there are, by the names of their patterns in the configuration.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, BinaryIO, ClassVar, Literal

import msgspec
from msgspec import Meta

from malha.channels.connectors import partner_tables as tables
from malha.channels.connectors.partner_tables import Style
from malha.channels.contract import Ctx, Files, FileServer, Health, Invalid, Missing, RemoteFile

MB = 1 << 20
PASSED_OVER = (".tmp", ".part", ".partial", ".filepart", ".crdownload", ".done")
MARKER = ".done"
Folder = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
Pattern = Annotated[str, Meta(min_length=1, max_length=100)]


class FilesConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the files are, and how the peer writes."""

    host: Annotated[str, Meta(min_length=1, max_length=253, title="Server", description="Name of the SFTP server.")]
    user: Annotated[str, Meta(min_length=1, max_length=100, title="User", description="Who we log in as.")]
    port: Annotated[int, Meta(ge=1, le=65_535, title="Port", description="Usually 22.")] = 22
    outgoing: Annotated[Folder, Meta(title="Folder we write into", description="The partner reads here.")] = "out"
    incoming: Annotated[Folder, Meta(title="Folder we read from", description="The partner writes here.")] = "in"
    processed: Annotated[Folder, Meta(title="Folder for what was read", description="Made if it is missing.")] = (
        "processed"
    )
    errors: Annotated[Folder, Meta(title="Folder for errors", description="Files to mend, and the rows.")] = "errors"
    encoding: Annotated[
        Literal["utf-8", "latin-1"],
        Meta(
            title="Encoding",
            description="Of what we write. UTF-8 is recognised when read, whatever is set here.",
            extra_json_schema={"x-choices": {"utf-8": "UTF-8", "latin-1": "Latin-1 (ISO 8859-1)"}},
        ),
    ] = "utf-8"
    delimiter: Annotated[
        Literal[";", ",", "\t", "|"],
        Meta(
            title="Separator",
            description="Between columns.",
            extra_json_schema={
                "x-choices": {";": "Semicolon (;)", ",": "Comma (,)", "\t": "Tab", "|": "Vertical bar (|)"}
            },
        ),
    ] = ";"
    numbers: Annotated[
        Literal["comma", "point"],
        Meta(
            title="Decimals",
            description="Whether 1,5 or 1.5 is one and a half.",
            extra_json_schema={"x-choices": {"comma": "With a comma: 1,5", "point": "With a point: 1.5"}},
        ),
    ] = "comma"
    timezone: Annotated[str, Meta(title="Time zone", description="Of times without one.")] = "America/Sao_Paulo"
    whole: Annotated[
        Literal["quiet", "marker"],
        Meta(
            title="When a file is whole",
            description="So that no half of a file is read.",
            extra_json_schema={
                "x-choices": {
                    "quiet": "It did not change between two looks",
                    "marker": "An empty file NAME.done is beside it",
                }
            },
        ),
    ] = "quiet"
    most_mb: Annotated[int, Meta(ge=1, le=64, title="Largest file", description="In megabytes.")] = 20


def style_of(config: FilesConfig) -> Style:
    """Return how the peer of a connection writes."""
    return Style(config.encoding, config.delimiter, config.numbers, config.timezone)


def files_of(ctx: Ctx) -> Files:
    """Return the way to the peer's files."""
    if ctx.files is None:
        raise Invalid("the runtime offers no files")
    return ctx.files


class Folders:
    """The part of `contract.FileSource` that does not depend on what files tell."""

    secrets: ClassVar[Mapping[str, str]] = {
        "password": "Password of the user, where there is no key",
        "private_key": "Private key of the user (OpenSSH or PEM)",
        "passphrase": "Passphrase of the private key, if it has one",
    }
    kinds: ClassVar[Sequence[str]]  # fields of the configuration, each a pattern of names or several with commas

    def kind_of(self, config: Any, name: str) -> str | None:
        """Return what a file of this name tells; None: nothing says so."""
        lower = name.lower()
        for kind in self.kinds:
            patterns = getattr(config, kind).lower().split(",")
            if any(fnmatchcase(lower, pattern.strip()) for pattern in patterns):
                return kind
        return None

    def server(self, config: FilesConfig) -> FileServer:
        """Return where the files are."""
        return FileServer(config.host, config.user, config.port)

    async def check(self, ctx: Ctx) -> Health:
        """List both folders; the facts say how many files of which kind wait.

        Raises:
            Invalid: there is no folder to read from.
        """
        config: FilesConfig = ctx.config
        waiting = await _waiting(ctx)
        try:
            written = await files_of(ctx).list(config.outgoing)
        except Missing:  # it is made with the first file
            written = []
        facts = {config.incoming: str(len(waiting)), config.outgoing: str(len(written))}
        for kind in (*self.kinds, None):
            found = [f for f in waiting if not passed_over(f.name) and self.kind_of(config, f.name) == kind]
            facts[f"waiting:{kind or 'unknown'}"] = str(len(found))
        says = f"{len(waiting)} in {config.incoming}, {len(written)} in {config.outgoing}"
        return Health(ok=True, says=says, facts=facts)

    async def look(self, ctx: Ctx) -> Sequence[RemoteFile]:
        """Return what waits: stock last, so that what left is known before what is there.

        Raises:
            Invalid: there is no folder to read from.
        """
        config: FilesConfig = ctx.config
        found = await _waiting(ctx)
        marked = {f.name.removesuffix(MARKER) for f in found if f.name.endswith(MARKER)}
        whole = [f for f in found if not passed_over(f.name) and (config.whole == "quiet" or f.name in marked)]
        return sorted(whole, key=lambda f: (self.kind_of(config, f.name) == "stock", f.modified, f.name))

    async def fetch(self, ctx: Ctx, name: str, into: BinaryIO) -> None:
        """Read a file into another one."""
        await files_of(ctx).read(f"{ctx.config.incoming}/{name}", into, most=ctx.config.most_mb * MB)

    async def put_away(self, ctx: Ctx, name: str, number: int, errors: bytes | None) -> None:
        """Move a file, and write the rows to mend beside it. One whose mark is gone is written anew, and stays."""
        config: FilesConfig = ctx.config
        stem, dot, ending = name.rpartition(".")
        stem, ending = (stem, f"{dot}{ending}") if stem else (name, "")
        if errors is not None:
            await files_of(ctx).write(config.errors, f"{stem}_{number}.errors.csv", errors)
        if config.whole == "marker":
            there = {f.name for f in await _waiting(ctx)}
            if name in there and f"{name}{MARKER}" not in there:
                return
        to = config.processed if errors is None else config.errors
        await files_of(ctx).move(f"{config.incoming}/{name}", f"{to}/{stem}_{number}{ending}")
        if config.whole == "marker":
            await files_of(ctx).remove(f"{config.incoming}/{name}{MARKER}")

    def error_file(self, config: FilesConfig, body: BinaryIO, errors: Mapping[int, str]) -> bytes:
        """Return the rows to mend."""
        try:
            return tables.mended(body, errors, style_of(config))
        except Invalid:
            return tables.written([tables.ERROR_COLUMN], [[says] for says in errors.values()], style_of(config))


async def _waiting(ctx: Ctx) -> Sequence[RemoteFile]:
    """Return what is in the folder that we read from.

    Raises:
        Invalid: there is none; it would look as if nothing came.
    """
    folder = ctx.config.incoming
    try:
        return await files_of(ctx).list(folder)
    except Missing:
        said = f"there is no folder {folder} at the server: make it there again, or correct its name in the connection"
        raise Invalid(said, field="incoming") from None


def passed_over(name: str) -> bool:
    """Tell whether a file is none to be read: hidden, still written, or a mark beside another one."""
    return name.startswith(".") or name.lower().endswith(PASSED_OVER)
