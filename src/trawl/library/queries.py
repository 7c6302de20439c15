"""What a person asks, as the parts of a query: words, chunks, pictures and sounds from files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trawl.errors import QueryError, ReadError
from trawl.query import And, Term, parse_filter, parse_query
from trawl.readers import media_type_of, read
from trawl.search import QueryPart
from trawl.types import MODALITIES, Modality, Part, Passages, Picture, Recording, Sound

if TYPE_CHECKING:
    from PIL.Image import Image

_AUDIO_QUERY_S = 60.0


class Questions:
    """Makes the parts of queries. `like` gives a chunk, by its id and its weight, as a part."""

    def __init__(self, max_pixels: int, like: Callable[[str, float], QueryPart]) -> None:
        self._max_pixels = max_pixels
        self._like = like

    def parts(
        self,
        text: str | None,
        image: str | Path | Image | None,
        audio: str | Path | Sound | None,
        like: str | None,
        parts: Sequence[QueryPart],
    ) -> list[QueryPart]:
        """Give all that is asked with. Raises `QueryError`, and what `like` raises."""
        asked = list(parts)
        if text is not None:
            asked.insert(0, QueryPart("text", text))
        if image is not None:
            asked.append(QueryPart("image", picture_of(image, self._max_pixels)))
        if audio is not None:
            asked.append(QueryPart("audio", sound_of(audio, self._max_pixels)))
        if like is not None:
            asked.append(self._like(like, 1.0))
        return asked

    def meant(
        self,
        line: str,
        where: str | None,
        modality: Modality | Collection[Modality] | None,
        *,
        files: bool,
    ) -> dict[str, Any]:
        """Give what a line says and what narrows it, by the names of `SearchOptions`.

        `files` says whether the line may name files. Raises `QueryError`, `FilterError`,
        and what `like` raises.
        """
        parsed = parse_query(line)
        if not files and any(term.kind in ("image", "audio") for term in parsed.terms):
            raise QueryError("image: and audio: name files, which are not opened for this query")
        filters = [parsed.where] if parsed.where is not None else []
        if where is not None:
            filters.append(parse_filter(where))
        wanted = {modality} if isinstance(modality, str) else set(modality or ())
        if parsed.modalities:
            wanted = wanted & parsed.modalities if wanted else set(parsed.modalities)
            if not wanted:
                raise QueryError("the query and the modality that was asked for leave none to find")
        return {
            "parts": [self._part(term) for term in parsed.terms],
            "modality": tuple(each for each in MODALITIES if each in wanted),
            "where": And(tuple(filters)) if filters else None,
            "required": parsed.required,
            "excluded": parsed.excluded,
            "phrases": parsed.phrases,
            "fuzzy": parsed.fuzzy,
        }

    def _part(self, term: Term) -> QueryPart:
        match term.kind:
            case "text":
                return QueryPart("text", term.value, term.weight)
            case "image":
                return QueryPart("image", picture_of(term.value, self._max_pixels), term.weight)
            case "audio":
                return QueryPart("audio", sound_of(term.value, self._max_pixels), term.weight)
            case _:
                return self._like(term.value, term.weight)


def picture_of(image: str | Path | Image, max_pixels: int) -> Image:
    """Give the picture to ask with, in RGB. Raises `QueryError` for what is none."""
    if not isinstance(image, str | Path):
        return image.convert("RGB")
    for part in _parts(Path(image), max_pixels):
        if isinstance(part, Picture):
            return part.image
    raise QueryError(f"{image} is not a picture; give one as the image of a query")


def sound_of(audio: str | Path | Sound, max_pixels: int) -> Sound:
    """Give the sound to ask with. Raises `QueryError` for what is none."""
    if isinstance(audio, Sound):
        return audio
    for part in _parts(Path(audio), max_pixels):
        if not isinstance(part, Passages | Picture):
            return _opening(part)
    raise QueryError(f"{audio} is not a sound; give one as the audio of a query")


def _parts(path: Path, max_pixels: int) -> Sequence[Part]:
    try:
        media_type = media_type_of(path)
        if media_type is None:
            raise ReadError("no reader for this kind of file")
        return read(path, media_type, max_pixels=max_pixels).parts
    except OSError as error:
        raise QueryError(f"{path} cannot be read: {error.strerror or error}") from error
    except ReadError as error:
        raise QueryError(f"{path} cannot be searched with: {error}") from error


def _opening(recording: Recording) -> Sound:
    """Give a recording's first minute: what is asked is one sound, not a whole evening."""
    for _, sound in recording.windows(_AUDIO_QUERY_S, _AUDIO_QUERY_S):
        return sound
    raise QueryError("the sound of the query is empty")
