"""The words of Trawl as types. See ``ARCHITECTURE.md`` for how they meet."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

Modality: TypeAlias = Literal["text", "image", "audio"]
MODALITIES: tuple[Modality, ...] = get_args(Modality)

Vectors: TypeAlias = NDArray[np.float32]
"""float32 [N, D], each row of length 1."""

Value: TypeAlias = str | int | float | bool | datetime.date | list[str]
"""What a metadata key can hold; nested objects are flattened to dotted keys before."""

Metadata: TypeAlias = dict[str, Value]

Edits: TypeAlias = dict[str, Value | None]
"""What a person changed of a document's metadata; None takes a key away."""

ColumnType: TypeAlias = Literal["text", "integer", "real", "boolean", "date", "texts"]
"""The type of a metadata column, settled when its key is first seen; `texts` is a list of text."""


@dataclass(frozen=True, slots=True)
class Space:
    """What several encoders share. Vectors of two spaces are never compared.

    `fingerprint` is a hash of the weights and the preprocessing: two libraries
    whose spaces have equal fingerprints hold comparable vectors.
    """

    name: str
    dimension: int
    fingerprint: str
    metric: Literal["cosine"] = "cosine"


@dataclass(frozen=True, slots=True)
class Sound:
    """Mono sound: `samples` is float32 [T] in -1..1."""

    samples: NDArray[np.float32]
    sample_rate_hz: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate_hz


Media: TypeAlias = "str | Image | Sound"
"""One thing that an encoder can turn into a vector."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where a chunk stands in its document; only the fields that apply are set.

    Characters count from the start of the document's text, end exclusive;
    pages from 1; `box` is left, top, right, bottom in page units; seconds from
    the start of the recording.
    """

    start_char: int | None = None
    end_char: int | None = None
    page: int | None = None
    box: tuple[float, float, float, float] | None = None
    start_s: float | None = None
    end_s: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The fields that are set, by name."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in found.items()
            if value is not None
        }


# --- what a reader gives -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Passages:
    """A stretch of running text. `start_char` is where it begins in the document's text."""

    text: str
    start_char: int = 0
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture: RGB, upright, no alpha, with the words that belong to it.

    `width_px` and `height_px` are the original's; `image` may be smaller.
    """

    image: Image
    width_px: int
    height_px: int
    caption: str = ""
    page: int | None = None
    box: tuple[float, float, float, float] | None = None


class Recording(Protocol):
    """A sound file that is decoded as it is read, so that its length costs no memory."""

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        ...

    def windows(self, window_s: float, hop_s: float) -> Iterator[tuple[float, Sound]]:
        """Give (start in seconds, sound) for each window; the last may be shorter.

        Raises `ReadError` where the stream breaks off or does not decode.
        """
        ...


Part: TypeAlias = "Passages | Picture | Recording"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader found in one file."""

    media_type: str
    title: str
    parts: Sequence[Part]
    metadata: Mapping[str, Value] = field(default_factory=dict)


# --- what is stored ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Document:
    """One source file. `uri` is its path, or its address; `size_bytes` is the file's.

    `modified_ns` is when it was changed last, in nanoseconds since 1970, as it was read.
    """

    document_id: str
    uri: str
    content_hash: str
    media_type: str
    title: str
    metadata: Metadata
    size_bytes: int
    modified_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """The smallest thing that can be found: a passage, a picture, a window of sound.

    `text` is the passage itself, or the caption of a picture or a sound ("" where
    there is none); `vectors` maps a source's name ("mini.image") to a unit vector [D];
    `thumbnail` is a small JPEG of a picture.
    """

    document_id: str
    ordinal: int
    modality: Modality
    span: Span
    text: str
    vectors: Mapping[str, NDArray[np.float32]]
    thumbnail: bytes | None = None
    detail: str = ""

    @property
    def chunk_id(self) -> str:
        """`document_id:ordinal`."""
        return f"{self.document_id}:{self.ordinal}"


# --- what a search gives -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk as it is shown: everything but its vectors."""

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


@dataclass(frozen=True, slots=True)
class Ranking:
    """A source's answer: rows best first, with their similarities.

    `rows` is int64 [K], the store's row ids; `similarities` float32 [K], descending:
    the cosine for a vector source, the BM25 score for words. `searched` is how many
    rows the source had to choose from, after the filter where that is known.
    """

    source: str
    rows: NDArray[np.int64]
    similarities: NDArray[np.float32]
    searched: int


RERANK = "rerank"
"""The name under which a reranker gives evidence."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a hit stands where it does: one line for each source that found it.

    `rank` counts from 1 within the source; `weight` is what the source's say was
    multiplied by.
    """

    source: str
    rank: int
    similarity: float
    calibrated: float
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Hit:
    """A place in the final list. `snippet` marks the matched words with `<mark>`."""

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

    @property
    def explanation(self) -> str:
        """Why the hit stands where it does, in one plain sentence."""
        sources = [one for one in self.evidence if one.source != RERANK]
        ordered = sorted(sources, key=lambda one: -one.calibrated)
        found = [
            f"{one.source} has it at rank {one.rank} (similarity {one.similarity:.2f}, "
            f"{_surprise(one.calibrated)}{_weight(one.weight)})"
            for one in ordered
        ]
        found += [
            f"the reranker puts it at rank {one.rank} (probability {one.similarity:.2f})"
            for one in self.evidence
            if one.source == RERANK
        ]
        return f"Score {self.score:.3f}: {'; '.join(found)}."


def _weight(weight: float) -> str:
    return "" if weight == 1 else f", weight {weight:g}"


def _surprise(calibrated: float) -> str:
    if calibrated >= 2:
        return f"far above chance, {calibrated:+.1f}"
    if calibrated >= 0:
        return f"above chance, {calibrated:+.1f}"
    return f"no better than chance, {calibrated:+.1f}"


@dataclass(frozen=True, slots=True)
class Facet:
    """The values of a metadata key among the documents that were found, the most first."""

    key: str
    counts: tuple[tuple[Value, int], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """The hits of one search, best first, and what each stage took in milliseconds.

    `no_good_match` says that no source found anything surprising: what is listed is
    merely the nearest there is. `confidence` is the probability, 0..1, that anything that
    was searched answers the query, and below 0.18 there is no good match. `notices` tell
    what was not done as asked. `version` is that of the library that answered; `cursor`
    gives the next page, None after the last.
    """

    hits: tuple[Hit, ...]
    took_ms: Mapping[str, float]
    no_good_match: bool = False
    confidence: float = 0.0
    notices: tuple[str, ...] = ()
    facets: tuple[Facet, ...] = ()
    version: int = 0
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that is not in the index, and why."""

    uri: str
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """What one `add` did. `failed` lists every file that did not get in.

    `skipped` counts files in the folders of types that no reader knows.
    """

    added: int
    unchanged: int
    replaced: int
    removed: int
    failed: tuple[Failure, ...]
    chunks: int
    seconds: float
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """What is in a library. `version` grows with every commit.

    `fragments` are the files that the table of chunks is in, `unindexed_rows` the chunks
    that an index has yet to take in.
    """

    documents: int
    chunks: Mapping[Modality, int]
    failed: tuple[Failure, ...]
    spaces: tuple[Space, ...]
    version: int
    fragments: int = 0
    unindexed_rows: int = 0
