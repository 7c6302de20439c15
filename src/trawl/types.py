"""The types that Trawl's packages share. `ARCHITECTURE.md` shows where each is used."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from trawl.content import Box as Box
from trawl.content import Link as Link
from trawl.content import Part as Part
from trawl.content import Passages as Passages
from trawl.content import Picture as Picture
from trawl.content import Reading as Reading
from trawl.content import Recording as Recording
from trawl.content import Region as Region
from trawl.display import Presented, explanation
from trawl.reports import Change as Change
from trawl.reports import Failure as Failure
from trawl.reports import Notice as Notice
from trawl.reports import Repeat as Repeat
from trawl.reports import Report as Report
from trawl.reports import Status as Status

if TYPE_CHECKING:
    from PIL.Image import Image

Modality: TypeAlias = Literal["text", "image", "audio"]
MODALITIES: tuple[Modality, ...] = get_args(Modality)

Vectors: TypeAlias = NDArray[np.float32]
"""float32 [N, D], each row of length 1."""

Value: TypeAlias = str | int | float | bool | datetime.date | list[str]
"""The value of a metadata key. Readers flatten nested objects to dotted keys."""

Metadata: TypeAlias = dict[str, Value]

Edits: TypeAlias = dict[str, Value | None]
"""Changes that a user made to a document's metadata; None removes a key."""

ColumnType: TypeAlias = Literal["text", "integer", "real", "boolean", "date", "datetime", "texts"]
"""The type of a metadata column, which holds the values of all documents.

`texts` is a list of text. A `datetime` without a time zone is taken as UTC.
"""


# --- embedding -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Space:
    """An embedding space that several encoders share.

    `fingerprint` is a hash of the weights and the preprocessing. Vectors are comparable
    only if the fingerprints of their spaces are equal. A vector of a space with several `parts`
    is a set of as many vectors in a row, which are compared by late interaction
    (`trawl.maxsim`); `dimension` is that of all together.
    """

    name: str
    dimension: int
    fingerprint: str
    metric: Literal["cosine"] = "cosine"
    parts: int = 1

    @property
    def width(self) -> int:
        """The dimensions of each vector of a set."""
        return self.dimension // self.parts


@dataclass(frozen=True, slots=True)
class Sound:
    """Mono audio: `samples` is float32 [T] in -1..1."""

    samples: NDArray[np.float32]
    sample_rate_hz: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate_hz


class Passage(str):
    """A text to embed, with its document's title apart for models that ask for it so.

    The string itself is the title and the body, for all other models.
    """

    title_line: str
    body: str

    def __new__(cls, text: str, title: str = "", body: str | None = None) -> Passage:
        """Return a passage whose string is `text`; the body is `text` unless it is given."""
        made = super().__new__(cls, text)
        made.title_line, made.body = title, text if body is None else body
        return made


class Question(str):
    """A text query with the task that it is for, for models with a prompt for each task."""

    task: str

    def __new__(cls, text: str, task: str = "") -> Question:
        """Return a query whose string is `text`."""
        made = super().__new__(cls, text)
        made.task = task
        return made


Media: TypeAlias = "str | Image | Sound"
"""One item that an encoder embeds."""


# --- storage -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Span:
    """The location of a chunk in its document. Only the fields that apply are set.

    Characters count from the start of the document's text, end exclusive. Pages count
    from 1; `box` is on the page. `regions` is set if the chunk covers more than one column
    or page: all its boxes, in reading order; `page` and `box` are the first. `section` has
    the headings above, joined by " › ". Seconds count from the start of the recording.
    """

    start_char: int | None = None
    end_char: int | None = None
    page: int | None = None
    box: Box | None = None
    start_s: float | None = None
    end_s: float | None = None
    section: str | None = None
    regions: tuple[Region, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the fields that are set, by name, as JSON has them."""
        values = {name: getattr(self, name) for name in self.__slots__}
        if self.box is not None:
            values["box"] = list(self.box)
        values["regions"] = [{"page": one.page, "box": list(one.box)} for one in self.regions]
        return {name: value for name, value in values.items() if value not in (None, [])}


@dataclass(frozen=True, slots=True)
class Document:
    """One source file.

    `uri` is its path or address, `names` are the other paths that lead to it by links.
    `size_bytes` and `modified_ns` (nanoseconds since 1970) are the file's at the time it was
    read. `notices` state what differs from the file. `metadata` includes what was `given` when
    the file was added, and the `edits`, which override all else. Files with equal `content`
    have the same bytes and are split in the same way.
    """

    document_id: str
    uri: str
    content_hash: str
    media_type: str
    title: str
    metadata: Metadata
    size_bytes: int
    modified_ns: int | None = None
    notices: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    given: Metadata = field(default_factory=dict)
    edits: Edits = field(default_factory=dict)
    content: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """The unit of retrieval: a passage, an image or a window of audio.

    `text` is the passage, or the caption of an image or sound ("" if there is none).
    `vectors` maps a source's name ("mini.image") to a unit vector, float32 [D].
    `thumbnail` is a small JPEG of an image. `label` is the number that the document gives a
    figure or table ("Figure 2"), `words` the text inside a picture. `head` is embedded before a
    passage. `own_text` is the file's caption if an edit replaces it by `text`.
    """

    document_id: str
    ordinal: int
    modality: Modality
    span: Span
    text: str
    vectors: Mapping[str, NDArray[np.float32]]
    thumbnail: bytes | None = None
    detail: str = ""
    label: str = ""
    words: str = ""
    links: tuple[Link, ...] = ()
    likeness: bytes = field(default=b"", repr=False)
    head: str = ""
    own_text: str | None = None

    @property
    def chunk_id(self) -> str:
        """`document_id:ordinal`."""
        return f"{self.document_id}:{self.ordinal}"


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk and its document's properties, without vectors."""

    chunk_id: str
    document_id: str
    uri: str
    title: str
    modality: Modality
    media_type: str
    text: str
    detail: str
    span: Span
    metadata: Metadata
    label: str = ""
    words: str = ""
    links: tuple[Link, ...] = ()
    likeness: bytes = field(default=b"", repr=False)


# --- search results ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ranking:
    """The candidates of one source, best first.

    `rows` is int64 [K], the store's row ids. `similarities` is float32 [K], descending:
    cosines for a vector source, BM25 scores for full text. `searched` is the number of
    rows the source searched, after the filter if that number is known. `complete` is true
    if every row that has a vector in the source and matches the filter is in `rows`. `ranges` are
    the first and last row ids of what the source searched; None stands for all rows.
    """

    source: str
    rows: NDArray[np.int64]
    similarities: NDArray[np.float32]
    searched: int
    complete: bool = False
    ranges: tuple[tuple[int, int], ...] | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """One source's contribution to a hit.

    `rank` is the hit's rank in the source, from 1. `calibrated` is the similarity in
    standard deviations above chance. `weight` multiplies the source's contribution.
    """

    source: str
    rank: int
    similarity: float
    calibrated: float
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Moment:
    """Another matching part of a hit's document: a passage, a picture or a stretch of sound.

    `snippet` and `label` are those of `Hit`.
    """

    chunk_id: str
    score: float
    span: Span
    modality: Modality = "text"
    snippet: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Another document whose file has the same content."""

    document_id: str
    uri: str


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A part of another document that nearly repeats a hit, and is not listed."""

    chunk_id: str
    uri: str


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result. `snippet` marks matching words with `<mark>`.

    `moments` are the next best parts of the same document, at most five, if the list is
    limited per document. `label` is the number of a figure or table ("Figure 2"); `links`
    name the figures that a passage cites, or the passages that cite a figure.
    `places` are the other documents with the same content. `gone` is set if the file is missing.
    `duplicate_of` is the chunk id of an earlier hit that this one nearly repeats; `duplicates`
    are left out of the list for that reason, if near-duplicates are skipped. `library` is the name
    of the library, if several were searched; the ids then begin with it.
    """

    rank: int
    score: float
    chunk_id: str
    document_id: str
    uri: str
    modality: Modality
    title: str
    snippet: str
    span: Span
    metadata: Metadata
    evidence: tuple[Evidence, ...]
    detail: str = ""
    moments: tuple[Moment, ...] = ()
    label: str = ""
    links: tuple[Link, ...] = ()
    places: tuple[Place, ...] = ()
    gone: bool = False
    duplicate_of: str | None = None
    duplicates: tuple[Duplicate, ...] = ()
    library: str = ""

    @property
    def explanation(self) -> str:
        """The reasons for the hit's rank, in one sentence."""
        return explanation(self.score, self.evidence)


@dataclass(frozen=True, slots=True)
class Facet:
    """The values of a metadata key among the matching documents, most frequent first."""

    key: str
    counts: tuple[tuple[Value, int], ...]


@dataclass(frozen=True, slots=True)
class Searched:
    """One of several libraries of a search.

    `error` is the reason if it did not take part; `took_ms` is the time until it answered or was
    given up.
    """

    name: str
    took_ms: float = 0.0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Answer(Presented):
    """The hits of one search, best first, and the milliseconds of each stage.

    `confidence` is the probability, 0..1, that the library contains an answer to the
    query. `no_good_match` is set if it is below 0.2: the hits are then only the nearest
    neighbours. `more` is the number of further hits of the page that are not listed because
    they are unlikely to match. `notices` state where the search differs from the request, such as a
    truncated query. `version` is the version of the library that was searched. `cursor`
    continues with the next page; it is None on the last. `total` is the number of documents
    that match, if the request only filters. `thumbnail` returns the JPEG file of
    a chunk, by id, for notebooks. `libraries` are those that were to be searched, if there are
    several.
    """

    hits: tuple[Hit, ...]
    took_ms: Mapping[str, float]
    no_good_match: bool = False
    confidence: float = 0.0
    notices: tuple[str, ...] = ()
    facets: tuple[Facet, ...] = ()
    version: int = 0
    cursor: str | None = None
    more: int = 0
    total: int | None = None
    thumbnail: Callable[[str], bytes] | None = field(default=None, repr=False, compare=False)
    libraries: tuple[Searched, ...] = ()
