"""``trawl edit``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from trawl.cli.options import DEFAULT_LIBRARY, JsonOption, LibraryOption, open_library
from trawl.cli.output import print_json

_OPERATION = re.compile(r"(?P<key>[^=]*?)(?P<sign>[+-]?)=(?P<text>.*)", re.DOTALL)


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
