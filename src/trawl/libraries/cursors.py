"""Cursors of several libraries: the offset, and the version of each."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence

from trawl.errors import QueryError

_CURSOR = re.compile(r"m(\d{1,6})-([0-9a-f]{6})((?:-(?:\d{1,18}|x))+)")


def format_cursor(offset: int, versions: Mapping[str, int], names: Sequence[str]) -> str:
    """Return the cursor of the results after `offset`, from those libraries that answered."""
    found = "-".join(str(versions.get(name, "x")) for name in names)
    return f"m{offset}-{_tag(names)}-{found}"


def parse_cursor(cursor: str, names: Sequence[str]) -> tuple[int, dict[str, int | None]]:
    """Return a cursor's offset, and the version of each library, None if it did not answer.

    Raises `QueryError` if it is not a cursor of these libraries.
    """
    match = _CURSOR.fullmatch(cursor)
    found = match[3].split("-")[1:] if match is not None else []
    if match is None or match[2] != _tag(names) or len(found) != len(names):
        raise QueryError(
            f"invalid cursor {cursor!r}; use the cursor of the previous page, and the same "
            "libraries in the same order"
        )
    numbers = [None if one == "x" else int(one) for one in found]
    return int(match[1]), dict(zip(names, numbers, strict=True))


def _tag(names: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:6]
