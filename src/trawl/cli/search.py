"""``trawl search``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer

from trawl.cli.options import (
    DEFAULT_LIBRARIES,
    Command,
    JsonOption,
    LibrariesOption,
    WeightOption,
    open_libraries,
    parse_weights,
    report_missing,
)
from trawl.cli.output import print_json

if TYPE_CHECKING:
    from trawl.search import SearchKeywords
    from trawl.types import Answer

# Copies of the types in `trawl.types` and `trawl.ranking`, which import NumPy; a test
# compares them. Typer repeats an option only if its type is an enumeration.
Modality = StrEnum("Modality", {"text": "text", "image": "image", "audio": "audio"})
Fusion: TypeAlias = Literal["calibrated", "rrf", "weighted"]


class SearchCommand(Command):
    """A command whose options take their help from the fields of `SearchOptions`."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Fill in the help texts, which are imported only here: `--help` of this command."""
        from trawl.search.options import SearchOptions

        fields = SearchOptions.model_fields
        for param in self.params:
            name = param.name or ""
            field = fields.get({"facet": "facets", "every": "all"}.get(name, name))
            if field is not None and not getattr(param, "help", None):
                repeatable = " Repeatable." if getattr(param, "multiple", False) else ""
                param.help = f"{field.description}{repeatable}"  # type: ignore[attr-defined]
        super().format_options(ctx, formatter)


def search(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="QUERY", help="Query text; - reads it from stdin."),
    ] = None,
    library: LibrariesOption = DEFAULT_LIBRARIES,
    image: Annotated[
        Path | None, typer.Option("--image", metavar="FILE", help="Search by an image.")
    ] = None,
    audio: Annotated[
        Path | None, typer.Option("--audio", metavar="FILE", help="Search by a sound.")
    ] = None,
    like: Annotated[
        str | None, typer.Option("--like", metavar="CHUNK_ID", help="Search by an earlier hit.")
    ] = None,
    modality: Annotated[
        list[Modality] | None, typer.Option("--modality", metavar="text|image|audio")
    ] = None,
    where: Annotated[str | None, typer.Option("--where", "-w", metavar="FILTER")] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Treat QUERY as plain text, without operators.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N")] = 10,
    offset: Annotated[int, typer.Option("--offset", metavar="N")] = 0,
    cursor: Annotated[str | None, typer.Option("--cursor", metavar="CURSOR")] = None,
    balance: Annotated[bool, typer.Option("--balance")] = False,
    quota: Annotated[
        list[str] | None,
        typer.Option(
            "--quota", metavar="MODALITY=N", help="Reserve N results for a modality. Repeatable."
        ),
    ] = None,
    interleave: Annotated[bool, typer.Option("--interleave")] = False,
    nearest: Annotated[bool, typer.Option("--nearest/--no-nearest")] = True,
    every: Annotated[bool, typer.Option("--all")] = False,
    per_document: Annotated[int | None, typer.Option("--per-document", metavar="N")] = None,
    skip_duplicates: Annotated[bool, typer.Option("--skip-duplicates")] = False,
    group: Annotated[bool, typer.Option("--group")] = False,
    diversity: Annotated[float, typer.Option("--diversity", metavar="X")] = 0.0,
    sort: Annotated[str | None, typer.Option("--sort", metavar="KEY")] = None,
    facet: Annotated[list[str] | None, typer.Option("--facet", metavar="KEY")] = None,
    fusion: Annotated[Fusion, typer.Option("--fusion", metavar="NAME")] = "calibrated",
    weight: WeightOption = None,
    rrf_k: Annotated[float, typer.Option("--rrf-k", metavar="K")] = 60.0,
    rerank: Annotated[str | None, typer.Option("--rerank", metavar="MODEL")] = None,
    task: Annotated[str | None, typer.Option("--task", metavar="NAME")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Explain each hit's rank.")] = False,
    json: JsonOption = False,
) -> None:
    """Search by text, an image, a sound, or several of them.

    QUERY is text, with optional operators: "a phrase", +must, -without, year:>=2020,
    modality:image, image:plot.png^0.5 (docs/queries.md). QUERY, --image, --audio and
    --like are combined into one query. FILTER compares metadata keys, modality, title,
    uri and media_type: year >= 2020 and source in ('arXiv', 'CERN'). Filters alone list
    what matches them.

    \b
    Examples:
      trawl search muon decay signature
      trawl search "rain on a roof" --modality audio
      trawl search 'muon decay -cosmic year:>=2020 image:plot.png^0.5'
      trawl search --image plot.png --where "year >= 2020 and tags contains 'physics'"
      echo "police siren" | trawl search - --json
    """
    line = _from_stdin() if words == ["-"] else " ".join(words) if words else None
    _check(line, is_given=bool(image or audio or like or where or modality))
    options: SearchKeywords = {
        "modality": [each.value for each in modality or ()],
        "limit": limit,
        "offset": offset,
        "cursor": cursor,
        "balance": balance,
        "quotas": _parse_quotas(quota or ()),  # type: ignore[typeddict-item]
        "interleave": interleave,
        "nearest": nearest,
        "all": every,
        "per_document": per_document,
        "skip_duplicates": skip_duplicates,
        "group": group,
        "diversity": diversity,
        "sort": sort,
        "facets": facet,
        "fusion": fusion,
        "weights": parse_weights(weight or ()),
        "rrf_k": rrf_k,
        "rerank": rerank,
        "task": task,
    }
    with open_libraries(library) as opened:
        if line is None or plain:
            answer = opened.search(
                line, image=image, audio=audio, like=like, where=where, **options
            )
        else:
            answer = opened.query(line, image=image, audio=audio, like=like, where=where, **options)
    report_missing(answer)
    if json:
        from trawl.cli.output import answer_json

        print_json(answer_json(answer))
    else:
        _print(answer, is_filtered=where is not None, nearest=nearest, explain=explain)


def _parse_quotas(pairs: Iterable[str]) -> dict[str, int]:
    """Parse pairs such as "image=3". Raises `UsageError`."""
    from trawl.errors import UsageError

    quotas: dict[str, int] = {}
    for pair in pairs:
        modality, _, places = pair.partition("=")
        if not places.isdecimal():
            raise UsageError(f"--quota {pair}: expected MODALITY=N, such as image=3")
        quotas[modality.strip()] = int(places)
    return quotas


def _check(line: str | None, *, is_given: bool) -> None:
    from trawl.errors import QueryError

    if line is not None and any("\ud800" <= character <= "\udfff" for character in line):
        raise QueryError("the query is not valid UTF-8")
    if line is None and not is_given:
        raise QueryError(
            "no query; give QUERY, --image FILE, --audio FILE, --like CHUNK_ID or --where FILTER"
        )


def _print(answer: Answer, *, is_filtered: bool, nearest: bool, explain: bool) -> None:
    from trawl.cli.output import console, print_message
    from trawl.cli.render import print_answer

    print_answer(console(), answer, explain=explain)
    if not answer.hits and answer.no_good_match and not nearest:
        print_message("no good match; list the nearest results with --nearest")
    elif answer.total is not None:
        verb = "document matches" if answer.total == 1 else "documents match"
        print_message(f"{answer.total:,} {verb}" if answer.total else "no document matches")
    elif not answer.hits:
        print_message("no results" + (" match the filter" if is_filtered else ""))
    elif answer.no_good_match:
        print_message("no good match; these are the nearest results")
    if answer.more:
        print_message(f"{answer.more} more, less likely; list them with --all")
    for notice in answer.notices:
        print_message(notice)
    if answer.cursor is not None and sys.stdout.isatty():
        print_message(f"next page: --cursor {answer.cursor}")


def _from_stdin() -> str:
    from trawl.errors import QueryError

    try:
        return sys.stdin.buffer.read().decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise QueryError(f"the query on stdin is not valid UTF-8, at byte {error.start}") from error
