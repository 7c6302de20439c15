"""Split a reading into chunks without vectors."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trawl.chunking import split_text
from trawl.encoders import TextEncoder
from trawl.types import Media, Modality, Passages, Picture, Reading, Recording, Span

if TYPE_CHECKING:
    from PIL.Image import Image

_THUMBNAIL_PX = 320


@dataclass(frozen=True, slots=True)
class ChunkingOptions:
    """How documents are split. Tokens are those of the library's first text encoder."""

    chunk_tokens: int = 200
    chunk_overlap_tokens: int = 40
    window_s: float = 10.0
    hop_s: float = 5.0


@dataclass(slots=True)
class Draft:
    """A chunk without vectors. `media` maps a modality to the item to embed."""

    modality: Modality
    span: Span
    text: str
    media: dict[Modality, Media] = field(default_factory=dict)
    thumbnail: bytes | None = None
    detail: str = ""


def draft_chunks(
    reading: Reading,
    *,
    title: str,
    caption: str,
    encoder: TextEncoder,
    options: ChunkingOptions,
) -> Iterator[Draft]:
    """Yield the drafts of a document in order. Recordings are decoded on the way.

    `caption` belongs to the document, hence to its images and sounds; it may be "". Raises
    `ReadError` if a recording is truncated or damaged.
    """
    for part in reading.parts:
        match part:
            case Passages():
                yield from _passages(part, title, encoder, options)
            case Picture():
                yield _picture(part, caption or part.caption)
            case _:
                yield from _windows(part, caption, options)


def _passages(
    part: Passages, title: str, encoder: TextEncoder, options: ChunkingOptions
) -> Iterator[Draft]:
    spans = split_text(
        part.text,
        encoder.token_spans(part.text),
        max_tokens=options.chunk_tokens,
        overlap=options.chunk_overlap_tokens,
    )
    for start, end in spans:
        text = part.text[start:end]
        yield Draft(
            modality="text",
            span=Span(
                start_char=part.start_char + start,
                end_char=part.start_char + end,
                page=part.page,
            ),
            text=text,
            # A passage from the middle of a text often does not mention its subject.
            media={"text": text if not title or title in text else f"{title}\n{text}"},
            detail=_rows(part, start, end),
        )


def _rows(part: Passages, start: int, end: int) -> str:
    """Return the rows of a table that a passage shows, such as "rows 2–5"; "" for other text."""
    if not part.rows:
        return ""
    begins = [begin for begin, _ in part.rows]
    first = part.rows[max(0, bisect_right(begins, start) - 1)][1]
    last = part.rows[bisect_right(begins, end - 1) - 1][1]
    return f"row {first}" if first == last else f"rows {first}–{last}"


def _picture(part: Picture, caption: str) -> Draft:
    media: dict[Modality, Media] = {"image": part.image}
    if caption:
        media["text"] = caption
    return Draft(
        modality="image",
        span=Span(page=part.page, box=part.box),
        text=caption,
        media=media,
        thumbnail=_thumbnail(part.image),
        detail=f"{part.width_px} × {part.height_px} px",
    )


def _windows(part: Recording, caption: str, options: ChunkingOptions) -> Iterator[Draft]:
    duration_s = part.duration_s
    for start_s, sound in part.windows(options.window_s, options.hop_s):
        end_s = min(start_s + sound.duration_s, duration_s)
        media: dict[Modality, Media] = {"audio": sound}
        if caption:
            media["text"] = caption
        yield Draft(
            modality="audio",
            span=Span(start_s=round(start_s, 3), end_s=round(end_s, 3)),
            text=caption,
            media=media,
            detail=f"{_clock(start_s)}–{_clock(end_s)} of {_clock(duration_s)}",
        )


def _clock(seconds: float) -> str:
    """Format seconds as 0:05.2 or 1:03:20, with tenths unless they are 0."""
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    shown = f"{rest:04.1f}".removesuffix(".0")
    return f"{hours}:{minutes:02d}:{shown}" if hours else f"{minutes}:{shown}"


def _thumbnail(image: Image) -> bytes:
    small = image.copy()
    small.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=80)
    return out.getvalue()
