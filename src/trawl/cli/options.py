"""The options that commands share, and how a command prints its JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterable
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
WeightOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--weight",
        metavar="SOURCE=X",
        help="Multiply what a source says (bm25=0.5; 0 silences it); may be repeated.",
    ),
]
DEFAULT_LIBRARY = Path("trawl-library")


def read_weights(given: Iterable[str]) -> dict[str, float]:
    """Read "bm25=0.5" and the like. Raises `UsageError`."""
    from trawl.errors import UsageError

    weights: dict[str, float] = {}
    for weight in given:
        source, _, number = weight.rpartition("=")
        try:
            weights[source.strip()] = float(number)
        except ValueError:
            source = ""
        if not source.strip():
            raise UsageError(f"--weight {weight}: write it as SOURCE=NUMBER, such as bm25=0.5")
    return weights


def print_json(found: dict[str, Any]) -> None:
    """Write one line of JSON to stdout."""
    from trawl.cli.contract import encode

    sys.stdout.buffer.write(encode(found))
    sys.stdout.flush()
