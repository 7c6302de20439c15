"""The options that commands share, and how a command prints its JSON."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

LibraryOption: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--library", "-l", metavar="DIR", envvar="TRAWL_LIBRARY", help="Where the library is."
    ),
]
JsonOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print one line of JSON (docs/json.md) for programs.")
]
DEFAULT_LIBRARY = Path("trawl-library")


def print_json(found: dict[str, Any]) -> None:
    """Write one line of JSON to stdout."""
    from trawl.cli.contract import encode

    sys.stdout.buffer.write(encode(found))
    sys.stdout.flush()
