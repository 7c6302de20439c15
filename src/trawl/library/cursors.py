"""Cursors: where the next page begins, in the library as it was at the first."""

from __future__ import annotations

import re

from trawl.errors import QueryError

_FORM = re.compile(r"v(\d{1,18})-(\d{1,6})")


def write(version: int, offset: int) -> str:
    """Give the cursor of the hits after `offset` in a version."""
    return f"v{version}-{offset}"


def read(cursor: str) -> tuple[int, int]:
    """Give the version and the offset. Raises `QueryError` for what is no cursor."""
    found = _FORM.fullmatch(cursor)
    if found is None:
        raise QueryError(f"{cursor!r} is no cursor; give the one of the answer before")
    return int(found[1]), int(found[2])
