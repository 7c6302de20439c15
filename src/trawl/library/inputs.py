"""What a caller passes in: query parts, query lines, cursors and names of documents."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from trawl.errors import FilterError, NotFoundError, QueryError, UsageError
from trawl.ingest import MEMBER, document_id_of, named_path, uri_of
from trawl.library.media import AudioInput, ImageInput, load_picture, load_sound
from trawl.query import And, Filter, ParsedQuery, Term, parse_filter, parse_query
from trawl.search import MAX_RESULTS, QueryPart, SearchOptions, search_options
from trawl.store import Named
from trawl.types import Answer

_FILTERS = get_args(Filter)
_CURSOR = re.compile(r"v(\d{1,18})-(\d{1,6})")


# --- queries -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LineQuery:
    """A line of the query language: its parts, its filter and its options."""

    parts: tuple[QueryPart, ...]
    where: Filter | None
    options: SearchOptions


class QueryInputs:
    """Turns the arguments of a search into query parts.

    `like` returns a chunk as a query part, by its id and weight.
    """

    def __init__(self, max_pixels: int, like: Callable[[str, float], QueryPart]) -> None:
        self._max_pixels = max_pixels
        self._like = like

    def parts(
        self,
        text: str | None = None,
        image: ImageInput | None = None,
        audio: AudioInput | None = None,
        like: str | None = None,
        parts: Sequence[QueryPart] = (),
    ) -> tuple[QueryPart, ...]:
        """Return all query parts. Raises `QueryError`, and what `like` raises."""
        found = _checked_parts(parts)
        if text is not None:
            found.insert(0, QueryPart("text", check_text(text)))
        if image is not None:
            found.append(QueryPart("image", load_picture(image, self._max_pixels)))
        if audio is not None:
            found.append(QueryPart("audio", load_sound(audio, self._max_pixels)))
        if like is not None:
            found.append(self._like(check_text(like, "like"), 1.0))
        return tuple(found)

    def line(self, line: str, options: SearchOptions, *, files: bool = True) -> LineQuery:
        """Parse a query line and combine its options with `options`.

        With `files` off, the line may not name files. Raises `QueryError`, `FilterError`,
        and what `like` raises.
        """
        parsed = parse_query(check_text(line, "line"))
        if not files and any(term.kind in ("image", "audio") for term in parsed.terms):
            raise QueryError("image: and audio: name files, which this query may not open")
        return LineQuery(
            parts=tuple(self._part(term) for term in parsed.terms),
            where=parsed.where,
            options=_combine(parsed, options),
        )

    def _part(self, term: Term) -> QueryPart:
        match term.kind:
            case "text":
                return QueryPart("text", term.value, term.weight)
            case "image":
                return QueryPart("image", load_picture(term.value, self._max_pixels), term.weight)
            case "audio":
                return QueryPart("audio", load_sound(term.value, self._max_pixels), term.weight)
            case _:
                return self._like(term.value, term.weight)


def _combine(parsed: ParsedQuery, options: SearchOptions) -> SearchOptions:
    """Return `options` narrowed to the modalities of a line, with its words added."""
    wanted = set(options.modality)
    if parsed.modalities:
        wanted = wanted & parsed.modalities if wanted else set(parsed.modalities)
        if not wanted:
            raise QueryError(
                "the query and the modality option exclude each other: no modality is left"
            )
    return search_options(
        options,
        modality=wanted,
        required=parsed.required + options.required,
        excluded=parsed.excluded + options.excluded,
        phrases=parsed.phrases + options.phrases,
        fuzzy=parsed.fuzzy + options.fuzzy,
    )


def join_filters(*filters: str | Filter | None) -> Filter | None:
    """Parse the filters that are text, and return the conjunction of all that are not None.

    Raises `FilterError`.
    """
    given = []
    for one in filters:
        if isinstance(one, str):
            given.append(parse_filter(one))
        elif one is not None:
            if not isinstance(one, _FILTERS):
                raise FilterError(f'a filter is text such as "year >= 2020", not {kind_of(one)}')
            given.append(one)
    return And(tuple(given)) if len(given) > 1 else next(iter(given), None)


def check_text(value: object, name: str = "text") -> str:
    """Return a text argument. Raises `QueryError` if it has another type."""
    if isinstance(value, str):
        return str(value)
    hint = "; pass media as image= or audio=" if name == "text" else ""
    raise QueryError(f"{name} must be text, not {kind_of(value)}{hint}")


def as_mapping(value: object, name: str) -> dict[str, Any]:
    """Return a mapping, or an empty one for None. Raises `UsageError`."""
    if value is not None and not isinstance(value, Mapping):
        raise UsageError(f"{name} must be a dict, not {kind_of(value)}")
    return dict(value or {})


def _checked_parts(parts: Any) -> list[QueryPart]:
    if not isinstance(parts, list | tuple):
        raise QueryError(f"parts must be a list of QueryPart objects, not {kind_of(parts)}")
    for one in parts:
        if not isinstance(one, QueryPart):
            raise QueryError(f"a part must be a QueryPart, not {kind_of(one)}")
    return list(parts)


def kind_of(value: object) -> str:
    """Return the type of a wrong argument, in words."""
    return f"a {type(value).__name__}"


# --- cursors -------------------------------------------------------------------------


def format_cursor(version: int, offset: int) -> str:
    """Return the cursor for the results after `offset` in a version of the library."""
    return f"v{version}-{offset}"


def parse_cursor(cursor: str) -> tuple[int, int]:
    """Return a cursor's version and offset. Raises `QueryError`."""
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise QueryError(f"invalid cursor {cursor!r}; use the cursor of the previous page")
    return int(match[1]), int(match[2])


def next_offset(answer: Answer, options: SearchOptions, *, is_query: bool) -> int | None:
    """Return the offset of the page after an answer, or None if there is none."""
    end = options.offset + options.limit
    # A page with quotas may lack results of one modality and still not be the last.
    least = 1 if options.quotas and is_query else options.limit
    is_last = len(answer.hits) < least or (answer.total is not None and end >= answer.total)
    return None if is_last or end + options.limit > MAX_RESULTS else end


# --- names of documents --------------------------------------------------------------


def candidate_ids(name: str) -> list[str]:
    """Return the document ids that a name (an id or a path) may mean, likeliest first."""
    found = [name, name.partition(":")[0]] if name.isascii() else []  # ids are ASCII
    return [*found, document_id_of(name), *map(document_id_of, _path_uris(name))]


def name_of(target: object) -> str:
    """Return a document id or a path as text; a path may be bytes. Raises `UsageError`."""
    if not isinstance(target, str | bytes | os.PathLike):
        raise UsageError(f"expected an id or a path, not {kind_of(target)}")
    return os.fsdecode(target)


def names_of(targets: object) -> list[str]:
    """Return one id or path, or an iterable of them, as a list. Raises `UsageError`."""
    if isinstance(targets, Iterable) and not isinstance(targets, str | bytes | Mapping):
        return [name_of(one) for one in targets]
    return [name_of(targets)]


def paths_of(paths: object) -> list[str]:
    """Return paths to add as a list. Raises `UsageError`, which names the method for records."""
    single = isinstance(paths, str | bytes | os.PathLike | Mapping) or hasattr(paths, "shape")
    found: list[Any] = list(paths) if isinstance(paths, Iterable) and not single else [paths]
    for one in found:
        if not isinstance(one, str | bytes | os.PathLike):
            raise UsageError(
                f"add takes paths, not {kind_of(one)}; add texts, bytes, pictures and sounds with "
                'add_records([{"uri": "any unique name", "data": ...}])'
            )
    return [os.fsdecode(one) for one in found]


def matching_ids(names: Iterable[str | Path], rows: Iterable[Named]) -> list[str]:
    """Return the ids of the documents that the names mean.

    A directory means all below it, and an archive its members. Raises `NotFoundError` if a name
    matches no document.
    """
    known = list(rows)
    uri_of_id = {row.document_id: row.uri for row in known}
    matched: dict[str, None] = {}
    for name in map(str, names):
        uris = {name, *_path_uris(name)}
        folders = tuple(uri.rstrip("/") + "/" for uri in uris if uri)
        archives = tuple(uri + MEMBER for uri in (*uris, uri_of_id.get(name)) if uri)
        prefixes = (*folders, *archives)
        named_ids = {name, *map(document_id_of, uris)}
        ids = [
            row.document_id
            for row in known
            if row.document_id in named_ids
            or any(one in uris or one.startswith(prefixes) for one in (row.uri, *row.names))
        ]
        if not ids:
            raise NotFoundError(
                f"no document {name!r}; give a document id, or a file or directory that was added"
            )
        matched.update(dict.fromkeys(ids))
    return list(matched)


def _path_uris(name: str) -> list[str]:
    # Not every string is a valid path: it may be too long, or hold a NUL.
    with suppress(OSError, RuntimeError, ValueError):
        path = Path(name)
        return list(dict.fromkeys([uri_of(path.resolve()), uri_of(named_path(path))]))
    return []
