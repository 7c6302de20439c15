"""The commands. Each imports what it needs when it runs."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trawl.cli.options import DEFAULT_LIBRARY, JsonOption, LibraryOption, print_json

if TYPE_CHECKING:
    from trawl.cli.remote import Opened
    from trawl.types import Report


def init(
    library: LibraryOption = DEFAULT_LIBRARY,
    profile: Annotated[
        str | None,
        typer.Option("--profile", metavar="NAME", help="The models that it uses; mini if not set."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make an empty library. One that is there already is left as it is.

    \b
    Examples:
      trawl init
      trawl init --library ~/papers.trawl
    """
    from trawl.library import Library

    with Library(library, create=True, profile=profile) as opened:
        spaces = opened.status().spaces
    if json:
        from trawl.cli.contract import init_json

        print_json(init_json(str(library.absolute()), spaces))
        return
    from trawl.cli.terminal import clean, console

    names = ", ".join(f"{space.name}, {space.dimension} dimensions" for space in spaces)
    console().print(clean(f"library at {library} ({names}); fill it with: trawl add FOLDER"))


def add(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH", help="Files and folders.", show_default=False)
    ],
    library: LibraryOption = DEFAULT_LIBRARY,
    meta: Annotated[
        list[str] | None,
        typer.Option(
            "--meta", "-m", metavar="KEY=VALUE", help="Metadata of every file; may be repeated."
        ),
    ] = None,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Remove documents of these folders whose files are gone."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Add files and folders, or bring them up to date.

    What is unchanged is skipped, what changed is replaced, and the library is made if
    there is none. Files that cannot be read are listed with the
    reason, the rest go in, and the exit code is then 3.

    \b
    Examples:
      trawl add papers/ photos/
      trawl add talk.mp3 --meta year=2024 --meta speaker="Marie Curie"
      trawl add papers/ --prune
    """
    from trawl.cli.remote import opened
    from trawl.readers.values import coerce_option

    metadata = dict(coerce_option(option) for option in meta or ())
    with opened(library, create=True) as asked:
        gc.enable()
        try:
            report = _watched_add(asked, paths, metadata, prune=prune, json=json)
        except KeyboardInterrupt:
            from trawl.cli.terminal import complain

            complain("interrupted; what was stored stays, and the same command goes on from there")
            raise
    if json:
        from trawl.cli.contract import report_json

        print_json(report_json(report))
    else:
        from trawl.cli.render import print_report
        from trawl.cli.terminal import console

        print_report(console(), report)
    if report.failed:
        raise typer.Exit(3)


def show(
    target: Annotated[
        str, typer.Argument(metavar="ID|PATH", help="A document's or chunk's id, or a path.")
    ],
    library: LibraryOption = DEFAULT_LIBRARY,
    json: JsonOption = False,
) -> None:
    """Show a document and its chunks, or one chunk whole.

    \b
    Examples:
      trawl show papers/muon.md
      trawl show 3f2a9c0e5b7d41c8a6e0f913:2
    """
    from trawl.cli.remote import opened

    with opened(library) as asked:
        shown = asked.show(target)
    if json:
        from trawl.cli.contract import shown_json

        print_json(shown_json(shown))
        return
    from trawl.cli.render import print_shown
    from trawl.cli.terminal import console

    chunk_id = target if any(chunk.chunk_id == target for chunk in shown.chunks) else None
    print_shown(console(), shown, chunk_id)


def rm(
    targets: Annotated[
        list[str],
        typer.Argument(metavar="ID|PATH", help="Ids, files or folders that were added."),
    ],
    library: LibraryOption = DEFAULT_LIBRARY,
    json: JsonOption = False,
) -> None:
    """Remove documents; the files themselves stay.

    \b
    Examples:
      trawl rm papers/old.md
      trawl rm papers/ 3f2a9c0e5b7d41c8a6e0f913
    """
    from trawl.cli.remote import opened

    with opened(library) as asked:
        removed = asked.remove(targets)
    if json:
        from trawl.cli.contract import removed_json

        print_json(removed_json(removed))
        return
    typer.echo(f"removed {removed:,} document{'' if removed == 1 else 's'}")


def edit(
    document_id: Annotated[str, typer.Argument(metavar="ID", help="A document's id.")],
    changes: Annotated[
        list[str],
        typer.Argument(metavar="KEY=VALUE|KEY=", help="What to set; nothing takes the key away."),
    ],
    library: LibraryOption = DEFAULT_LIBRARY,
    json: JsonOption = False,
) -> None:
    """Change a document's metadata.

    The changes stay when its file is added again, and go with the document.

    \b
    Examples:
      trawl edit 3f2a9c0e5b7d41c8a6e0f913 year=2024 speaker="Marie Curie"
      trawl edit 3f2a9c0e5b7d41c8a6e0f913 draft=
    """
    from trawl.cli.remote import opened
    from trawl.readers.values import coerce_option

    pairs = [coerce_option(option) for option in changes]
    with opened(library) as asked:
        changed = asked.set_metadata(
            document_id, {key: None if value == "" else value for key, value in pairs}
        )
    if json:
        from trawl.cli.contract import edited_json

        print_json(edited_json(changed))
        return
    typer.echo(f"changed {len(dict(pairs)):,} key{'' if len(dict(pairs)) == 1 else 's'}")


def status(
    library: LibraryOption = DEFAULT_LIBRARY,
    failed: Annotated[
        bool, typer.Option("--failed", help="List the files that could not be read, and why.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Tell what is in the library, and what could not be read.

    \b
    Examples:
      trawl status
      trawl status --failed
    """
    from trawl.cli.remote import name_of, opened

    with opened(library) as asked:
        found = asked.status()
    if json:
        from trawl.cli.contract import status_json

        print_json(status_json(found, with_failures=failed))
        return
    from trawl.cli.render import print_status
    from trawl.cli.terminal import console

    print_status(console(), name_of(library), found, with_failures=failed)


def serve(
    library: LibraryOption = DEFAULT_LIBRARY,
    host: Annotated[
        str | None,
        typer.Option(
            "--host", metavar="ADDRESS", help="The address to listen on.  [default: 127.0.0.1]"
        ),
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", "-p", metavar="N", help="The port.  [default: 8000]")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", metavar="N", help="Processes that share the address.  [default: 1]"
        ),
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Serve on a public address although there are no keys."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Serve the library over HTTP until it is stopped (Ctrl-C).

    Anyone who can reach the address can read the library, so a public one needs keys
    (`docs/http.md`) or --insecure.

    \b
    Examples:
      trawl serve
      trawl serve --library ~/papers.trawl --port 8080 --workers 2
    """
    # Before NumPy is imported: requests are answered side by side, and threads within each
    # product of matrices made a search take three times the processor's time (docs/benchmarks.md).
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from trawl.server import run

    def announce(address: str) -> None:
        if json:
            print_json({"library": str(library.absolute()), "url": address})
        else:
            typer.echo(f"serving {library} at {address}; its interface: {address}/docs")
            typer.echo("stop with Ctrl-C")

    gc.enable()
    run(library, host, port, announce=announce, workers=workers, insecure=insecure or None)


def _watched_add(
    asked: Opened,
    paths: list[Path],
    metadata: dict[str, Any],
    *,
    prune: bool,
    json: bool,
) -> Report:
    """Add, with a progress bar where stderr is a terminal and a person reads the outcome."""
    if json or not sys.stderr.isatty():
        return asked.add(paths, metadata=metadata, prune=prune)
    from trawl.cli.progress import watched
    from trawl.cli.terminal import console

    with watched(console(stderr=True)) as move:
        return asked.add(paths, metadata=metadata, prune=prune, progress=move)
