"""``trawl list`` and ``trawl edit``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from trawl.cli.options import (
    DEFAULT_LIBRARIES,
    DEFAULT_LIBRARY,
    JsonOption,
    LibrariesOption,
    LibraryOption,
    open_libraries,
    open_library,
)
from trawl.cli.output import print_json

_OPERATION = re.compile(r"(?P<key>[^=]*?)(?P<sign>[+-]?)=(?P<text>.*)", re.DOTALL)


def list_(
    library: LibrariesOption = DEFAULT_LIBRARIES,
    where: Annotated[
        str | None,
        typer.Option(
            "--where", "-w", metavar="FILTER", help="Only documents that match this filter."
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="KEY",
            help="Sort by a metadata key, title, added_at or size_bytes; -KEY sorts in "
            "descending order.  [default: path]",
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, help="Maximum number of documents.")
    ] = 50,
    offset: Annotated[
        int, typer.Option("--offset", metavar="N", min=0, help="Number of documents to skip.")
    ] = 0,
    facet: Annotated[
        list[str] | None,
        typer.Option(
            "--facet",
            metavar="KEY",
            help="Count the values of a metadata key among all documents that match. Repeatable.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """List documents: all of them, or those that match a filter.

    \b
    Examples:
      trawl list
      trawl list --where "year >= 2020" --sort -year --facet topic
      trawl list --sort -added_at --limit 10
    """
    from trawl.cli.output import console, list_json, print_message
    from trawl.cli.render import print_list

    with open_libraries(library) as opened:
        page = opened.document_page(
            failed=False, where=where, sort=sort, offset=offset, limit=limit
        )
        facets = opened.facets(facet, where=where) if facet else ()
    if json:
        print_json(list_json(page.documents, page.total, facets))
        return
    print_list(console(), page.documents, sort, facets)
    shown = offset + len(page.documents)
    noun = "document" if page.total == 1 else "documents"
    message = f"{page.total:,} {noun}" + (" match the filter" if where is not None else "")
    if page.documents and len(page.documents) < page.total:
        message += f"; this is {offset + 1:,} to {shown:,}"
        message += f", the next page begins with --offset {shown}" if shown < page.total else ""
    print_message(message)


def edit(
    target: Annotated[
        str, typer.Argument(metavar="ID|PATH", help="Document id, or path of a file.")
    ],
    changes: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE...",
            help="KEY=VALUE sets, KEY=[A, B] sets a list, KEY+=A adds to a list, KEY-=A removes "
            "from it, KEY= removes the key.",
            show_default=False,
        ),
    ],
    library: LibraryOption = DEFAULT_LIBRARY,
    json: JsonOption = False,
) -> None:
    """Edit a document's metadata, title or caption.

    title= replaces the file's title, and caption= the caption of a picture or a sound, for
    search too; without a value, they restore the file's. Edits survive re-adding the file.

    \b
    Examples:
      trawl edit photo.jpg title="The harbour" caption="Ships at the quay, 1931"
      trawl edit papers/muon.md year=2024 tags+=decay tags-=draft
      trawl edit 3f2a9c0e5b7d41c8a6e0f913 'authors=[Marie Curie, Pierre Curie]' draft=
    """
    values, added, removed = _parsed(changes)
    with open_library(library) as opened:
        changed = opened.set_metadata(target, values, add=added, remove=removed)
    if json:
        from trawl.cli.output import edited_json

        print_json(edited_json(changed))
        return
    from trawl.cli.output import console
    from trawl.cli.render import print_edited

    print_edited(console(), changed, {**added, **removed, **values})


def _parsed(
    changes: Sequence[str],
) -> tuple[dict[str, Any], dict[str, list[str]], dict[str, list[str]]]:
    """Return the values to set, and the items to add to and to remove from lists, by key."""
    from trawl.errors import UsageError
    from trawl.readers.values import coerce_option

    values: dict[str, Any] = {}
    lists: dict[str, dict[str, list[str]]] = {"+": {}, "-": {}}
    for change in changes:
        parsed = _OPERATION.fullmatch(change)
        if parsed is None:
            raise UsageError(f"{change!r} is not KEY=VALUE, such as year=2024 or tags+=draft")
        sign, text = parsed["sign"], parsed["text"]
        key, value = coerce_option(f"{parsed['key']}={text}")
        if sign and not text.strip():
            raise UsageError(f"{change!r} has no value; name the item, such as {key}{sign}=draft")
        if sign:
            items = value if isinstance(value, list) else [text.strip()]
            lists[sign].setdefault(key, []).extend(items)
        elif key in values:
            raise UsageError(f"{key!r} is set twice")
        else:
            # A title of 1984 is text.
            given = text if key in ("title", "caption") else value
            values[key] = None if not text.strip() else given
    return values, lists["+"], lists["-"]
