"""`trawl search`: what a person asks, put to the library."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer

from trawl.cli.options import (
    DEFAULT_LIBRARY,
    JsonOption,
    LibraryOption,
    WeightOption,
    print_json,
    read_weights,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trawl.types import Answer

# The same as in `trawl.types` and `trawl.ranking`, which cost NumPy to import; a test
# compares them. Typer repeats an option only of an enumeration, so one of them is.
Modality = StrEnum("Modality", {"text": "text", "image": "image", "audio": "audio"})
Fusion: TypeAlias = Literal["calibrated", "rrf", "weighted"]


def search(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="QUERY", help="What to look for; - reads it from stdin."),
    ] = None,
    library: LibraryOption = DEFAULT_LIBRARY,
    image: Annotated[
        Path | None, typer.Option("--image", metavar="FILE", help="A picture to look for.")
    ] = None,
    audio: Annotated[
        Path | None, typer.Option("--audio", metavar="FILE", help="A sound to look for.")
    ] = None,
    like: Annotated[
        str | None,
        typer.Option("--like", metavar="CHUNK_ID", help="A hit to find others like."),
    ] = None,
    modality: Annotated[
        list[Modality] | None,
        typer.Option(
            "--modality", metavar="text|image|audio", help="Find only these; may be repeated."
        ),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option("--where", "-w", metavar="FILTER", help="Find only what a filter lets by."),
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Take the query as plain words, signs and all.")
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", help="How many to list.")
    ] = 10,
    offset: Annotated[
        int, typer.Option("--offset", metavar="N", help="How many to pass over first.")
    ] = 0,
    cursor: Annotated[
        str | None,
        typer.Option(
            "--cursor", metavar="CURSOR", help="Go on where the answer that gave it ended."
        ),
    ] = None,
    balance: Annotated[
        bool, typer.Option("--balance", help="Give each modality an equal share of the list.")
    ] = False,
    quota: Annotated[
        list[str] | None,
        typer.Option(
            "--quota",
            metavar="MODALITY=N",
            help="Give a modality N places of the list; may be repeated.",
        ),
    ] = None,
    interleave: Annotated[
        bool, typer.Option("--interleave", help="Put the modalities of the list in turn.")
    ] = False,
    nearest: Annotated[
        bool,
        typer.Option(
            "--nearest/--no-nearest",
            help="Where nothing is a good match, list the nearest all the same.",
        ),
    ] = True,
    per_document: Annotated[
        int | None,
        typer.Option("--per-document", metavar="N", help="List at most N hits of a document."),
    ] = None,
    group: Annotated[
        bool, typer.Option("--group", help="Put the hits of a document together.")
    ] = False,
    diversity: Annotated[
        float, typer.Option("--diversity", metavar="X", help="Prefer different hits: 0 to 1.")
    ] = 0.0,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort", metavar="KEY", help="Order what is found by metadata; -KEY reversed."
        ),
    ] = None,
    facet: Annotated[
        list[str] | None,
        typer.Option("--facet", metavar="KEY", help="Count a key's values; may be repeated."),
    ] = None,
    fusion: Annotated[
        Fusion,
        typer.Option(
            "--fusion",
            metavar="NAME",
            help="How the lists become one: calibrated, rrf or weighted.",
        ),
    ] = "calibrated",
    weight: WeightOption = None,
    rrf_k: Annotated[
        float | None,
        typer.Option("--rrf-k", metavar="K", help="The constant of --fusion rrf; 60 if not given."),
    ] = None,
    rerank: Annotated[
        str | None,
        typer.Option(
            "--rerank", metavar="MODEL", help="Let a cross-encoder order the first 50 passages."
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say of each hit why it stands where it does.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Find passages, pictures and sounds, the best first.

    QUERY is plain words, with signs where you want more: "a phrase", -without, +must,
    year:>=2020, modality:image, image:plot.png^0.5 (docs/queries.md). Words, --image,
    --audio and --like given together look for one thing that is like all of them. A
    filter compares metadata, and "modality", "title", "uri", "media_type" with them:
    year >= 2020 and source in ('arXiv', 'CERN').

    \b
    Examples:
      trawl search muon decay signature
      trawl search "rain on a roof" --modality audio
      trawl search 'muon decay -cosmic year:>=2020 image:plot.png^0.5'
      trawl search --image plot.png --where "year >= 2020 and tags contains 'physics'"
      echo "police siren" | trawl search - --json
    """
    from trawl.cli.remote import opened

    line = _from_stdin() if words == ["-"] else " ".join(words) if words else None
    _check(line, anything=bool(image or audio or like))
    options: dict[str, Any] = {
        "image": image,
        "audio": audio,
        "like": like,
        "modality": [each.value for each in modality or ()],
        "where": where,
        "limit": limit,
        "offset": offset,
        "balance": balance,
        "quotas": _quotas(quota or ()),
        "interleave": interleave,
        "nearest": nearest,
        "per_document": per_document,
        "group": group,
        "diversity": diversity,
        "sort": sort,
        "facets": facet or (),
        "fusion": fusion,
        "weights": read_weights(weight or ()),
        **_given(cursor=cursor, rrf_k=rrf_k, rerank=rerank),
    }
    with opened(library) as asked:
        if line is None or plain:
            answer = asked.search(line, **options)
        else:
            answer = asked.query(line, **options)
    if json:
        from trawl.cli.contract import answer_json

        print_json(answer_json(answer))
    else:
        _print(answer, filtered=bool(where), nearest=nearest, explain=explain)


def _given(**options: Any) -> dict[str, Any]:
    """Give the options that are there; the library knows what the others are by default."""
    return {name: value for name, value in options.items() if value is not None}


def _quotas(given: Iterable[str]) -> dict[str, int]:
    """Read "image=3" and the like. Raises `UsageError`."""
    from trawl.errors import UsageError

    quotas: dict[str, int] = {}
    for quota in given:
        modality, _, places = quota.partition("=")
        if not places.isdecimal():
            raise UsageError(f"--quota {quota}: write it as MODALITY=N, such as image=3")
        quotas[modality.strip()] = int(places)
    return quotas


def _check(line: str | None, *, anything: bool) -> None:
    from trawl.errors import QueryError

    if line is not None and any("\ud800" <= character <= "\udfff" for character in line):
        raise QueryError("the query is not UTF-8; write it in UTF-8")
    if line is None and not anything:
        raise QueryError("nothing to look for; give words, --image FILE or --audio FILE")


def _print(answer: Answer, *, filtered: bool, nearest: bool, explain: bool) -> None:
    from trawl.cli.render import print_answer
    from trawl.cli.terminal import complain, console

    print_answer(console(), answer, explain=explain)
    if not answer.hits and answer.no_good_match and not nearest:
        complain("no good match; --nearest lists the nearest there are")
    elif not answer.hits:
        complain("nothing found" + (" that the filter lets by" if filtered else ""))
    elif answer.no_good_match:
        complain("no good match; these are the nearest there are")
    for notice in answer.notices:
        complain(notice)
    if answer.cursor is not None and sys.stdout.isatty():
        complain(f"more with --cursor {answer.cursor}")


def _from_stdin() -> str:
    from trawl.errors import QueryError

    try:
        return sys.stdin.buffer.read().decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise QueryError(f"the query on stdin is not UTF-8, at byte {error.start}") from error
