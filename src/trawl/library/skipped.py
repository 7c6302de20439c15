"""The files of the added folders that are skipped because their type is not read.

They are listed in `skipped.json` of the library, at most `MOST_FILES` of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trawl.ingest import Plan, path_of
from trawl.locations import Location
from trawl.objects import is_object
from trawl.readers import media_type_of, suffix_of, why_skipped, why_unread
from trawl.types import Failure

FILE = "skipped.json"
MOST_FILES = 10_000


@dataclass(frozen=True, slots=True)
class Skipped:
    """The files that are skipped now, with the reasons; `unlisted` counts those not recorded."""

    files: tuple[Failure, ...]
    unlisted: int = 0


def record_skipped(library: Location, plan: Plan) -> None:
    """Replace what is recorded of the added folders. Requires the lock of the writer."""
    uris, unlisted = _load(library)
    others = [uri for uri in uris if not plan.covers(uri)]
    found = sorted({*others, *plan.skipped})
    # Files beyond the limit are counted again when their folder is.
    more = len(found) - MOST_FILES if len(found) > MOST_FILES else unlisted if others else 0
    listed = found[:MOST_FILES]
    if (listed, more) == (uris, unlisted):
        return
    text = json.dumps({"files": listed, "unlisted": more}, ensure_ascii=True, indent=0)
    library.write(FILE, f"{text}\n".encode())


def read_skipped(library: Location) -> Skipped:
    """Return the recorded files that still exist and are still not read.

    Objects of a store are returned as they were recorded.
    """
    uris, unlisted = _load(library)
    files = []
    for uri in uris:
        if is_object(uri):
            files.append(Failure(uri, why_skipped(suffix_of(uri))))
            continue
        path = path_of(uri)
        try:
            if path.is_file() and media_type_of(path) is None:
                files.append(Failure(uri, why_unread(path)))
        except OSError:  # not readable now; listed as it was
            files.append(Failure(uri, "cannot be opened"))
    return Skipped(tuple(files), unlisted)


def _load(library: Location) -> tuple[list[str], int]:
    """Return the recorded addresses and the number of those not recorded."""
    try:
        known: Any = json.loads(library.read(FILE))
        uris: Sequence[Any] = known["files"]
        return [str(uri) for uri in uris], int(known["unlisted"])
    except (OSError, ValueError, KeyError, TypeError):
        return [], 0  # none yet, or damaged: the next `add` writes it
