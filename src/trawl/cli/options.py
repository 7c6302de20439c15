"""Options that several commands share, and the library or server that they select."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer
from typer.core import TyperArgument, TyperCommand

if TYPE_CHECKING:
    from trawl.library import Library
    from trawl.library.interface import SearchLibrary


class Command(TyperCommand):
    """A command whose help shows the name of an argument without its Python type."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and options."""
        for param in self.params:
            if isinstance(param, TyperArgument):
                param.display_type_rich = lambda ctx: None  # type: ignore[method-assign]
        super().format_options(ctx, formatter)


LibraryOption: TypeAlias = Annotated[
    str,
    typer.Option(
        "--library",
        "-l",
        metavar="DIR",
        envvar="TRAWL_LIBRARY",
        help="Directory of the library, or its address in an object store: s3://, gs:// or az://.",
    ),
]
JsonOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print one line of JSON (docs/json.md).")
]
MetaOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--meta",
        "-m",
        metavar="KEY=VALUE|KEY=",
        help="Metadata for every file, kept when it is added again; KEY= takes it back. "
        "Repeatable.",
    ),
]
PruneOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--prune", help="Also remove documents of the given directories whose files are gone."
    ),
]
RetryFailedOption: TypeAlias = Annotated[
    bool,
    typer.Option("--retry-failed", help="Add only the files that could not be added before."),
]
SkipDuplicatesOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--skip-duplicates",
        help="Leave out new files that nearly repeat a document: resized or cropped pictures, "
        "edited texts.",
    ),
]
WorkersOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        help="Files to read at the same time.  [default: number of processors, at most 8] With "
        "--engine ray: number of workers.  [default: one per processor]",
    ),
]
EngineOption: TypeAlias = Annotated[
    Literal["local", "ray"],
    typer.Option(
        "--engine", help="What reads and embeds the files: this process, or a Ray cluster."
    ),
]
AddressOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="HOST:PORT",
        help="With --engine ray: the cluster to join, auto for the one of this machine; a new one "
        "on this machine if unset.",
    ),
]
GpusOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--gpus",
        metavar="N",
        help="With --engine ray: GPUs per worker, such as 0.25.  [default: 0]",
    ),
]
UriKeyOption: TypeAlias = Annotated[
    str, typer.Option("--uri-key", metavar="KEY", help="With -: the key that names a record.")
]
TextKeyOption: TypeAlias = Annotated[
    str, typer.Option("--text-key", metavar="KEY", help="With -: the key of a record's text.")
]
WeightOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--weight",
        metavar="SOURCE=X",
        help="Weight of a source, such as bm25=0.5; 0 disables the source. Repeatable.",
    ),
]
DEFAULT_LIBRARY = "trawl-library"

_LOCAL_COMMANDS = frozenset({"init", "demo", "serve", "eval", "models", "watch"})
_server: str | None = None


def parse_weights(pairs: Iterable[str]) -> dict[str, float]:
    """Parse pairs such as "bm25=0.5". Raises `UsageError`."""
    from trawl.errors import UsageError

    weights: dict[str, float] = {}
    for pair in pairs:
        source, _, number = pair.rpartition("=")
        try:
            weights[source.strip()] = float(number)
        except ValueError:
            source = ""
        if not source.strip():
            raise UsageError(f"--weight {pair}: expected SOURCE=NUMBER, such as bm25=0.5")
    return weights


def select_server(server: str | None, command: str, *, is_explicit: bool) -> None:
    """Run `command` against a server, or against a local library if `server` is None.

    Commands that work only on this machine ignore a server from the environment. Raises
    `UsageError` if such a command is given the option itself (`is_explicit`).
    """
    global _server
    if server is not None and command in _LOCAL_COMMANDS:
        if is_explicit:
            from trawl.errors import UsageError

            raise UsageError(f"trawl {command} works on this machine only; omit --server")
        server = None
    _server = server


def use_one_blas_thread() -> None:
    """Limit matrix products to one thread each, unless set. Call it before NumPy loads.

    Files and requests are worked on in parallel already; threads within each matrix product
    tripled the CPU time of a search (docs/benchmarks.md). With another number, the last bits of
    vectors differ.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def library_name(library: str) -> str:
    """Return the server's address, or the library's as the user wrote it."""
    return library if _server is None else _server


def full_address(library: str) -> str:
    """Return the absolute path of a library, or its address in an object store."""
    from trawl.locations import is_remote

    return library if is_remote(library) else os.path.abspath(library)


@contextmanager
def open_library(library: str, *, create: bool = False, **settings: Any) -> Iterator[SearchLibrary]:
    """Open the library, or connect to the selected server.

    With `create`, a missing library is created, and a message is printed. `settings` that are
    None are unset; a server has its own.
    """
    if _server is not None:
        from trawl.errors import UsageError

        if any(value is not None for value in settings.values()):
            raise UsageError("--workers requires a local library; omit --server")
        with _connect(_server) as remote:
            yield remote
        return
    with open_local_library(library, create=create, **settings) as local:
        yield local


@contextmanager
def open_local_library(library: str, *, create: bool = False, **settings: Any) -> Iterator[Library]:
    """Open the library on this machine, as `open_library` does."""
    from trawl.errors import LibraryMissingError
    from trawl.library import Library

    try:
        local = Library(library, **settings)
    except LibraryMissingError:
        if not create:
            raise
        from trawl.cli.output import print_message

        local = Library(library, create=True, **settings)
        print_message(f"created a library at {library}")
    with local:
        yield local


@contextmanager
def _connect(server: str) -> Iterator[SearchLibrary]:
    from trawl.errors import SettingsError, UsageError
    from trawl.settings import load_settings

    if not server.startswith(("http://", "https://")):
        raise UsageError(f"--server {server}: expected a URL such as http://127.0.0.1:8000")
    try:
        from trawl.client import Client
        from trawl.client.remote_library import RemoteLibrary
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"--server requires {error.name}; install it with: "
            "pip install 'trawl-multimodal[client]'"
        ) from error
    with Client(server, key=load_settings().api_key) as client:
        yield RemoteLibrary(client)
