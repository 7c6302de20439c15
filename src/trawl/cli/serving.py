"""The commands that serve a library: ``trawl serve`` and ``trawl mcp``."""

from __future__ import annotations

import gc
from typing import Annotated

import typer

from trawl.cli.options import (
    DEFAULT_LIBRARIES,
    JsonOption,
    LibrariesOption,
    full_address,
    open_libraries,
    use_one_blas_thread,
)
from trawl.cli.output import print_json


def serve(
    library: LibrariesOption = DEFAULT_LIBRARIES,
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="ADDRESS", help="Address to bind.  [default: 127.0.0.1]"),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", "-p", metavar="N", help="Port to bind.  [default: 8000]"),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", help="Number of processes.  [default: 1]"),
    ] = None,
    root_path: Annotated[
        str | None,
        typer.Option(
            "--root-path", metavar="PATH", help="Path prefix behind a proxy, such as /trawl."
        ),
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Allow a public address without API keys."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Serve the library over HTTP. Stop with Ctrl-C.

    A public address requires API keys (docs/http.md) or --insecure, since everyone who can
    connect can read the library.

    \b
    Examples:
      trawl serve
      trawl serve --library ~/papers.trawl --port 8080 --workers 2
      trawl serve --library ~/papers.trawl --library http://photos:8000
    """
    use_one_blas_thread()
    from trawl.server import run

    def announce(address: str) -> None:
        if json:
            named = ", ".join(map(full_address, library))
            print_json({"library": named, "url": address})
        else:
            named = ", ".join(library)
            typer.echo(f"serving {named} at {address} (API documentation: {address}/docs)")
            typer.echo("stop with Ctrl-C")

    gc.enable()
    run(
        library[0] if len(library) == 1 else tuple(library),
        host,
        port,
        announce=announce,
        workers=workers,
        root_path=root_path,
        insecure=insecure or None,
    )


def mcp(library: LibrariesOption = DEFAULT_LIBRARIES) -> None:
    """Serve the library to AI assistants (MCP).

    Configure an assistant to start this command (docs/clients.md): it uses stdin and stdout.
    The tools are search, similar, show and status. With --server, they use the server's
    library.

    \b
    Examples:
      trawl mcp --library ~/papers.trawl
    """
    from trawl import __version__
    from trawl.errors import SettingsError

    try:
        from trawl.mcp import serve as serve_mcp
    except ModuleNotFoundError as error:
        missing = (error.name or "the SDK").partition(".")[0]
        raise SettingsError(
            f"trawl mcp requires {missing}; install it with: pip install 'trawl-multimodal[mcp]'"
        ) from error
    with open_libraries(library) as opened:
        gc.enable()
        serve_mcp(opened, __version__)
