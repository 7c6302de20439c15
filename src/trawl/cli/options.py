"""Options that several commands share, and the library or server that they select."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer
from typer.core import TyperArgument, TyperCommand

if TYPE_CHECKING:
    from trawl.library import Library
    from trawl.library.interface import SearchLibrary
    from trawl.types import Answer, Searched


class Command(TyperCommand):
    """A command whose help shows the name of an argument without its Python type.

    It refuses several libraries if it is for one.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments. Raises `UsageError` if an option for one library is repeated."""
        option: Any = next((one for one in self.params if one.name == "library"), None)
        if option is not None and option.multiple:
            # Otherwise, the value of the variable would be split at spaces.
            option.value_from_envvar = lambda ctx: _listed(option.resolve_envvar_value(ctx))
        elif option is not None:
            given = args[: args.index("--")] if "--" in args else args
            names = [one.partition("=")[0] for one in given]
            if sum(name in ("--library", "-l") for name in names) > 1:
                from trawl.errors import UsageError

                raise UsageError(
                    f"trawl {self.name} is for one library; give --library once. search, show, "
                    "list, status, serve and mcp take several"
                )
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and options."""
        for param in self.params:
            if isinstance(param, TyperArgument):
                param.display_type_rich = lambda ctx: None  # type: ignore[method-assign]
        super().format_options(ctx, formatter)


def _listed(value: str | None) -> list[str] | None:
    return None if value is None else [value]


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
LibrariesOption: TypeAlias = Annotated[
    list[str],
    typer.Option(
        "--library",
        "-l",
        metavar="DIR",
        envvar="TRAWL_LIBRARY",
        help="Directory of the library, its address in an object store (s3://, gs://, az://), a "
        "server's URL, or a catalogue of libraries (a .toml file). Repeatable: several are "
        "searched as one.",
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
CopyOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--copy",
        help="Also store a copy of each local file beside the library, for when the file is gone "
        "or on another machine.",
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
        "--engine",
        metavar="ENGINE",
        help="What reads and embeds the files: this process, or a Ray cluster.",
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
DEFAULT_LIBRARIES = [DEFAULT_LIBRARY]

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


def library_name(libraries: Sequence[str]) -> str:
    """Return the server's address, or the libraries' as the user wrote them."""
    return ", ".join(libraries) if _server is None else _server


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
def open_libraries(libraries: Sequence[str]) -> Iterator[SearchLibrary]:
    """Open a library for reading, or several as one, or connect to the selected server.

    Libraries that do not answer are named on stderr.
    """
    from trawl.libraries.catalogue import is_server, is_several

    if _server is not None or not is_several(libraries):
        if _server is None and is_server(libraries[0]):
            with _connect(libraries[0]) as remote:
                yield remote
            return
        with open_library(libraries[0]) as one:
            yield one
        return
    from trawl.libraries import Libraries

    with Libraries(libraries, on_missing=_report) as several:
        yield several


def report_missing(answer: Answer) -> None:
    """Print the libraries that did not take part in an answer, on stderr."""
    for one in answer.libraries:
        if one.error is not None:
            _report(one)


def _report(missing: Searched) -> None:
    from trawl.cli.output import print_message

    print_message(f"warning: without library {missing.name}: {missing.error}")


@contextmanager
def open_local_library(library: str, *, create: bool = False, **settings: Any) -> Iterator[Library]:
    """Open the library on this machine, as `open_library` does."""
    from trawl.errors import LibraryMissingError, UsageError
    from trawl.libraries.catalogue import is_catalogue, is_server
    from trawl.library import Library

    if is_server(library):
        raise UsageError(f"{library} is a server; use it with: trawl --server {library}")
    if is_catalogue(library):
        raise UsageError(
            f"{library} is a catalogue of libraries, and this command is for one of them; give "
            "that library's address"
        )
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
    from trawl.errors import UsageError
    from trawl.libraries.catalogue import is_server
    from trawl.libraries.opening import open_server
    from trawl.settings import load_settings

    if not is_server(server):
        raise UsageError(f"--server {server}: expected a URL such as http://127.0.0.1:8000")
    with closing(open_server(server, load_settings().api_key)) as remote:
        yield remote
