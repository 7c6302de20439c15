"""The content of a file, as a reader returns it. `trawl.types` exports these types too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from PIL.Image import Image

    from trawl.types import Sound, Value

Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom. On a page, in points from the top left of the page as shown."""


@dataclass(frozen=True, slots=True)
class Region:
    """A box on a page. Pages count from 1."""

    page: int
    box: Box


@dataclass(frozen=True, slots=True)
class Link:
    """A reference between two chunks of one document.

    A passage `cites` a figure or table, whose `label` is "Figure 2"; the figure is `cited_by`
    the passage, whose `label` is its place: "page 3".
    """

    kind: Literal["cites", "cited_by"]
    chunk_id: str
    label: str


@dataclass(frozen=True, slots=True)
class Passages:
    """A stretch of running text that starts at character `start_char` of the document.

    `rows` are the (start in `text`, row number) of the records of a table, in order.
    `section` has the headings above the text, outermost first, joined by " › ". `label` is
    the number of a table ("Table 2"). `regions` are the (start in `text`, region) of the
    lines, in order. A text that is `whole`, such as a table, becomes one chunk if it is not
    too long. `span_s` is the start and end in a recording, in seconds, of a transcript.
    """

    text: str
    start_char: int = 0
    page: int | None = None
    rows: tuple[tuple[int, int], ...] = ()
    section: str = ""
    label: str = ""
    regions: tuple[tuple[int, Region], ...] = ()
    whole: bool = False
    span_s: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded image: RGB, upright, without alpha, and its caption.

    `width_px` and `height_px` are the original's size; `image` may be smaller. `label` is
    the number that the document gives it ("Figure 2", "Fig. S1"). `section` is that of
    `Passages`. `words` is text inside the picture: it is searched, but not shown as the
    caption. `start_s` and `end_s` are the seconds of a shot of a video.
    """

    image: Image
    width_px: int
    height_px: int
    caption: str = ""
    page: int | None = None
    box: Box | None = None
    label: str = ""
    section: str = ""
    words: str = ""
    start_s: float | None = None
    end_s: float | None = None


class Recording(Protocol):
    """An audio file that is decoded window by window, in constant memory."""

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        ...

    def windows(self, window_s: float, hop_s: float) -> Iterator[tuple[float, Sound]]:
        """Yield (start in seconds, sound) for each window; the last may be shorter.

        Raises `ReadError` if the stream is truncated or cannot be decoded.
        """
        ...


Part: TypeAlias = "Passages | Picture | Recording"


@dataclass(frozen=True, slots=True)
class Reading:
    """The content of one file, as a reader returns it.

    `parts` may be a generator, so that the pages of a long document are not in memory
    together: it is read once, in order, and raises `ReadError` if the rest of the file is
    damaged. `notices` name what of the file is left out or doubtful although the file is
    indexed. A reader appends to `late_notices` what it notices while its parts are read.
    """

    media_type: str
    title: str
    parts: Iterable[Part]
    metadata: Mapping[str, Value] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    late_notices: list[str] = field(default_factory=list)
