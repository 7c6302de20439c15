"""Define the JSON of Trawl once, for the HTTP server, its client and `--json` output.

The models are the bodies of HTTP responses; the client turns them back into Trawl's types.
`jsonable` renders the same types under their own field names, as `--json` prints them.
"""

from trawl.wire.candidates import CandidatesOut, LikedOut, candidates_fields
from trawl.wire.documents import (
    ChunkOut,
    DocumentOut,
    DocumentPage,
    DocumentWithChunks,
    JobFailure,
    JobFile,
    JobNotice,
    JobOut,
    JobReport,
    JobState,
    PeaksOut,
    SkippedFile,
    SkippedFiles,
    SpaceOut,
    Stats,
)
from trawl.wire.maps import MapChunk, MapChunks, MapState
from trawl.wire.questions import QuestionBody, question_fields
from trawl.wire.search import (
    DetailedResponse,
    EvidenceOut,
    FacetCount,
    FacetOut,
    Facets,
    Result,
    SearchResponse,
    answer_fields,
)
from trawl.wire.spans import PlaceOut, SpanOut
from trawl.wire.values import (
    file_name,
    jsonable,
    media_url,
    plain_text,
    thumbnail_url,
    to_bytes,
    without_paths,
)

__all__ = [
    "CandidatesOut",
    "ChunkOut",
    "DetailedResponse",
    "DocumentOut",
    "DocumentPage",
    "DocumentWithChunks",
    "EvidenceOut",
    "FacetCount",
    "FacetOut",
    "Facets",
    "JobFailure",
    "JobFile",
    "JobNotice",
    "JobOut",
    "JobReport",
    "JobState",
    "LikedOut",
    "MapChunk",
    "MapChunks",
    "MapState",
    "PeaksOut",
    "PlaceOut",
    "QuestionBody",
    "Result",
    "SearchResponse",
    "SkippedFile",
    "SkippedFiles",
    "SpaceOut",
    "SpanOut",
    "Stats",
    "answer_fields",
    "candidates_fields",
    "file_name",
    "jsonable",
    "media_url",
    "plain_text",
    "question_fields",
    "thumbnail_url",
    "to_bytes",
    "without_paths",
]
