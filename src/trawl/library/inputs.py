"""What a caller passes in: query parts, query lines, cursors and names of documents."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trawl.errors import NotFoundError, QueryError, ReadError
from trawl.ingest import document_id_of, uri_of
from trawl.query import And, Filter, ParsedQuery, Term, parse_filter, parse_query
from trawl.readers import media_type_of, read
from trawl.search import QueryPart, SearchOptions, search_options
from trawl.store import DocumentRow
from trawl.types import Part, Passages, Picture, Recording, Sound

if TYPE_CHECKING:
    from PIL.Image import Image

_AUDIO_QUERY_S = 60.0
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
        image: str | Path | Image | None = None,
        audio: str | Path | Sound | None = None,
        like: str | None = None,
        parts: Sequence[QueryPart] = (),
    ) -> tuple[QueryPart, ...]:
        """Return all query parts. Raises `QueryError`, and what `like` raises."""
        found = list(parts)
        if text is not None:
            found.insert(0, QueryPart("text", text))
        if image is not None:
            found.append(QueryPart("image", load_picture(image, self._max_pixels)))
        if audio is not None:
            found.append(QueryPart("audio", load_sound(audio, self._max_pixels)))
        if like is not None:
            found.append(self._like(like, 1.0))
        return tuple(found)

    def line(self, line: str, options: SearchOptions, *, files: bool = True) -> LineQuery:
        """Parse a query line and combine its options with `options`.

        With `files` off, the line may not name files. Raises `QueryError`, `FilterError`,
        and what `like` raises.
        """
        parsed = parse_query(line)
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
    """Parse the filters that are text, and return the conjunction of all that are not None."""
    parsed = [parse_filter(one) if isinstance(one, str) else one for one in filters]
    given = tuple(one for one in parsed if one is not None)
    return And(given) if len(given) > 1 else next(iter(given), None)


def load_picture(image: str | Path | Image, max_pixels: int) -> Image:
    """Return the picture in RGB. Raises `QueryError` if a file is not a picture."""
    if not isinstance(image, str | Path):
        return image.convert("RGB")
    for part in _read(Path(image), max_pixels):
        if isinstance(part, Picture):
            return part.image
    raise QueryError(f"{image} is not a picture; an image query needs one")


def load_sound(audio: str | Path | Sound, max_pixels: int) -> Sound:
    """Return the first minute of a sound file. Raises `QueryError` if it is not a sound."""
    if isinstance(audio, Sound):
        return audio
    for part in _read(Path(audio), max_pixels):
        if not isinstance(part, Passages | Picture):
            return _first_minute(part)
    raise QueryError(f"{audio} is not a sound; an audio query needs one")


def _read(path: Path, max_pixels: int) -> Sequence[Part]:
    try:
        media_type = media_type_of(path)
        if media_type is None:
            raise ReadError("unsupported file type")
        return read(path, media_type, max_pixels=max_pixels).parts
    except OSError as error:
        raise QueryError(f"cannot read {path}: {error.strerror or error}") from error
    except ReadError as error:
        raise QueryError(f"cannot search with {path}: {error}") from error


def _first_minute(recording: Recording) -> Sound:
    for _, sound in recording.windows(_AUDIO_QUERY_S, _AUDIO_QUERY_S):
        return sound
    raise QueryError("the sound is empty")


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


# --- names of documents --------------------------------------------------------------


def candidate_ids(name: str) -> list[str]:
    """Return the document ids that a name (an id or a path) may mean, likeliest first."""
    found = [name, name.partition(":")[0]] if name.isascii() else []  # ids are ASCII
    return [*found, document_id_of(name), *map(document_id_of, _path_uris(name))]


def matching_ids(names: Iterable[str | Path], rows: Iterable[DocumentRow]) -> list[str]:
    """Return the ids of the documents that the names mean; a directory means all below it.

    Raises `NotFoundError` if a name matches no document.
    """
    known = list(rows)
    matched: dict[str, None] = {}
    for name in map(str, names):
        uris = {name, *_path_uris(name)}
        prefixes = tuple(uri.rstrip("/") + "/" for uri in uris if uri)
        ids = [
            row.document_id
            for row in known
            if row.document_id == name or row.uri in uris or row.uri.startswith(prefixes)
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
        return [uri_of(Path(name).resolve())]
    return []
