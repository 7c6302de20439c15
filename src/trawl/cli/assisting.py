"""`trawl mcp`: a library for assistants."""

from __future__ import annotations

import gc

from trawl.cli.options import DEFAULT_LIBRARY, LibraryOption


def mcp(library: LibraryOption = DEFAULT_LIBRARY) -> None:
    """Offer the library to assistants, as tools (MCP).

    Started by an assistant, which talks to it over stdin and stdout by the Model Context
    Protocol: search, similar, show and status; pictures come back as pictures
    (docs/clients.md). With --server, the library is the server's.

    \b
    Examples:
      trawl mcp --library ~/papers.trawl
    """
    from trawl import __version__
    from trawl.cli.remote import opened
    from trawl.errors import SettingsError

    try:
        from trawl.mcp import serve
    except ModuleNotFoundError as error:
        missing = (error.name or "the SDK").partition(".")[0]
        raise SettingsError(
            f"trawl mcp needs {missing}; install it with: pip install 'trawl-multimodal[mcp]'"
        ) from error
    with opened(library) as asked:
        gc.enable()
        serve(asked, __version__)
