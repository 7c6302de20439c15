"""Split a reading into chunks without vectors."""

from __future__ import annotations

import io
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trawl.chunking import split_text
from trawl.encoders import TextEncoder
from trawl.likeness import picture_print, text_print
from trawl.store import passage_text, takes_caption
from trawl.types import (
    Box,
    Media,
    Modality,
    Passages,
    Picture,
    Reading,
    Recording,
    Region,
    Span,
)

if TYPE_CHECKING:
    from PIL.Image import Image

_THUMBNAIL_PX = 320

# A whole table is one chunk up to this many times the length of a passage.
_WHOLE = 4


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
    label: str = ""
    words: str = ""
    likeness: bytes = b""
    head: str = ""
    own_text: str | None = None


def draft_chunks(
    reading: Reading,
    *,
    title: str,
    caption: str,
    encoder: TextEncoder,
    options: ChunkingOptions,
    edited_caption: str | None = None,
) -> Iterator[Draft]:
    """Yield the drafts of a document in order. Its parts are read and decoded on the way.

    `caption` belongs to the document, hence to its images and sounds; it may be "".
    `edited_caption` replaces it. A picture inside a text has its own. Raises `ReadError` if the
    file is truncated or damaged.
    """
    is_text = not takes_caption(reading.media_type)
    for part in reading.parts:
        match part:
            case Passages():
                yield from _passages(part, title, encoder, options)
            case Picture():
                if is_text:
                    yield _picture(part, part.caption, None)
                else:
                    yield _picture(part, caption or part.caption, edited_caption)
            case _:
                yield from _windows(part, caption, edited_caption, options)


def _passages(
    part: Passages, title: str, encoder: TextEncoder, options: ChunkingOptions
) -> Iterator[Draft]:
    max_tokens = options.chunk_tokens * (_WHOLE if part.whole else 1)
    spans = split_text(
        part.text,
        encoder.token_spans(part.text),
        max_tokens=max_tokens,
        overlap=0 if part.whole else options.chunk_overlap_tokens,
    )
    for start, end in spans:
        text = part.text[start:end]
        head = ""
        if part.whole and start > spans[0][0]:
            head = part.text.strip().partition("\n")[0]  # the caption of the table
        yield Draft(
            modality="text",
            span=_span(part, start, end),
            text=text,
            media={"text": passage_text(title, head, text)},
            detail=_rows(part, start, end),
            label=part.label,
            head=head,
            likeness=text_print(text),
        )


def _span(part: Passages, start: int, end: int) -> Span:
    """Return the location of characters `start` to `end` of a part."""
    regions = _regions(part.regions, start, end)
    start_s = end_s = None
    if part.span_s is not None:
        begin, length = part.span_s[0], part.span_s[1] - part.span_s[0]
        start_s = round(begin + length * start / len(part.text), 3)
        end_s = round(begin + length * end / len(part.text), 3)
    return Span(
        start_char=part.start_char + start,
        end_char=part.start_char + end,
        page=regions[0].page if regions else part.page,
        box=regions[0].box if regions else None,
        start_s=start_s,
        end_s=end_s,
        section=part.section or None,
        regions=regions if len(regions) > 1 else (),
    )


def _regions(lines: Sequence[tuple[int, Region]], start: int, end: int) -> tuple[Region, ...]:
    """Return a region for each column or page that characters `start` to `end` cover."""
    first = max(0, bisect_right(lines, start, key=lambda line: line[0]) - 1)
    last = bisect_left(lines, end, key=lambda line: line[0])
    found: list[Region] = []
    previous: Box | None = None
    for _, line in lines[first:last]:
        if previous is not None and found[-1].page == line.page and _follows(line.box, previous):
            found[-1] = Region(line.page, _union(found[-1].box, line.box))
        else:
            found.append(line)
        previous = line.box
    return tuple(Region(one.page, _rounded(one.box)) for one in found)


def _follows(box: Box, previous: Box) -> bool:
    """Return whether a line is in the column of the line before it: below it, or beside it."""
    left, top, right, bottom = box
    shared = min(bottom, previous[3]) - max(top, previous[1])
    if shared > 0.5 * min(bottom - top, previous[3] - previous[1]):
        return True
    return top >= previous[1] and left < previous[2] and previous[0] < right


def _union(one: Box, other: Box) -> Box:
    return (
        min(one[0], other[0]),
        min(one[1], other[1]),
        max(one[2], other[2]),
        max(one[3], other[3]),
    )


def _rounded(box: Box) -> Box:
    """Return a box in hundredths of a point."""
    left, top, right, bottom = (round(side, 2) for side in box)
    return left, top, right, bottom


def _rows(part: Passages, start: int, end: int) -> str:
    """Return the rows of a table that a passage shows, such as "rows 2–5"; "" for other text."""
    if not part.rows:
        return ""
    begins = [begin for begin, _ in part.rows]
    first = part.rows[max(0, bisect_right(begins, start) - 1)][1]
    last = part.rows[bisect_right(begins, end - 1) - 1][1]
    return f"row {first}" if first == last else f"rows {first}–{last}"


def _picture(part: Picture, own: str, edited: str | None) -> Draft:
    caption = own if edited is None else edited
    media: dict[Modality, Media] = {"image": part.image}
    if caption:
        media["text"] = caption
    shot = ""
    if part.start_s is not None and part.end_s is not None:
        shot = f"{_clock(part.start_s)}–{_clock(part.end_s)}, "
    return Draft(
        modality="image",
        span=Span(
            page=part.page,
            box=_rounded(part.box) if part.box is not None else None,
            start_s=part.start_s,
            end_s=part.end_s,
            section=part.section or None,
        ),
        text=caption,
        media=media,
        thumbnail=_thumbnail(part.image),
        detail=f"{shot}{part.width_px} × {part.height_px} px",
        label=part.label,
        words=part.words,
        likeness=picture_print(part.image),
        own_text=None if edited is None else own,
    )


def _windows(
    part: Recording, own: str, edited: str | None, options: ChunkingOptions
) -> Iterator[Draft]:
    caption = own if edited is None else edited
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
            own_text=None if edited is None else own,
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
