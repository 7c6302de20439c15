"""What ``--json`` prints, as plain dictionaries. ``docs/json.md`` describes it.

A contract: keys are added, and none is renamed, dropped or given another meaning
without a new major version. The tests pin every key.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trawl.client import Document
    from trawl.client import DocumentContents as RemoteContents
    from trawl.evaluation import Evaluation, Half, Interval
    from trawl.library import DocumentContents
    from trawl.store import DocumentRow
    from trawl.types import Answer, Failure, Hit, Report, Space, Status


def answer_json(answer: Answer) -> dict[str, Any]:
    """``trawl search``: the hits, best first, and milliseconds by stage."""
    found: dict[str, Any] = {
        "hits": [_hit(hit) for hit in answer.hits],
        "no_good_match": answer.no_good_match,
        "confidence": _number(answer.confidence),
        "notices": list(answer.notices),
        "cursor": answer.cursor,
        "took_ms": {stage: _number(took) for stage, took in answer.took_ms.items()},
    }
    if answer.facets:
        found["facets"] = {
            facet.key: [
                {"value": _value(value), "documents": count} for value, count in facet.counts
            ]
            for facet in answer.facets
        }
    return found


def report_json(report: Report) -> dict[str, Any]:
    """``trawl add``: how many files went which way, and why some did not get in."""
    return {
        "added": report.added,
        "unchanged": report.unchanged,
        "replaced": report.replaced,
        "removed": report.removed,
        "failed": _failures(report.failed),
        "skipped": report.skipped,
        "chunks": report.chunks,
        "seconds": _number(report.seconds),
    }


def status_json(status: Status, *, with_failures: bool) -> dict[str, Any]:
    """``trawl status``: counts, spaces and version; `with_failures` adds each failed file."""
    found = {
        "documents": status.documents,
        "chunks": {name: status.chunks.get(name, 0) for name in ("text", "image", "audio")},
        "failed": len(status.failed),
        "spaces": [_space(space) for space in status.spaces],
        "version": status.version,
    }
    if with_failures:
        found["failures"] = _failures(status.failed)
    return found


def shown_json(shown: DocumentContents | RemoteContents) -> dict[str, Any]:
    """``trawl show``: a document, and its chunks in their order."""
    document = shown.document
    return {
        "document_id": document.document_id,
        "uri": document.uri,
        "title": document.title,
        "media_type": document.media_type,
        "size_bytes": document.size_bytes,
        "added_at": document.added_at.isoformat(),
        "metadata": _metadata(document.metadata),
        "error": document.error,
        "chunks": [
            {
                "chunk_id": chunk.chunk_id,
                "modality": chunk.modality,
                "text": chunk.text,
                "detail": chunk.detail,
                "span": chunk.span.as_dict(),
            }
            for chunk in shown.chunks
        ],
    }


def init_json(library: str, spaces: Iterable[Space]) -> dict[str, Any]:
    """``trawl init``: where the library is, and what its vectors are."""
    return {"library": library, "spaces": [_space(space) for space in spaces]}


def removed_json(removed: int) -> dict[str, Any]:
    """``trawl rm``: how many documents went."""
    return {"removed": removed}


def evaluation_json(found: Evaluation) -> dict[str, Any]:
    """``trawl eval``: each figure with its interval, and what tuning gave."""
    return {
        "questions": found.questions,
        "k": found.k,
        "seed": found.seed,
        "level": found.level,
        "resamples": found.resamples,
        "weights": dict(found.weights),
        "groups": dict(found.groups),
        "figures": [
            {
                "fusion": figure.fusion,
                "group": figure.group,
                "measure": figure.measure,
                **_interval(figure.value),
                "difference": _interval(figure.difference) if figure.difference else None,
            }
            for figure in found.figures
        ],
        "tuning": {
            "weights": dict(found.tuning.weights),
            "fitted_on": _half(found.tuning.fitted_on),
            "held_out": _half(found.tuning.held_out),
        }
        if found.tuning
        else None,
        "notices": list(found.notices),
    }


def _half(half: Half) -> dict[str, Any]:
    return {
        "questions": half.questions,
        **{
            name: {measure: _interval(value) for measure, value in getattr(half, name).items()}
            for name in ("default", "tuned", "gain")
        },
    }


def _interval(interval: Interval) -> dict[str, float]:
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}


def edited_json(document: DocumentRow | Document) -> dict[str, Any]:
    """``trawl edit``: the document's metadata as it is then."""
    return {"document_id": document.document_id, "metadata": _metadata(document.metadata)}


def encode(found: Mapping[str, Any]) -> bytes:
    """One line of JSON in UTF-8; text that UTF-8 cannot hold is written as ``\\uXXXX``."""
    try:
        return (json.dumps(found, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except UnicodeEncodeError:
        return (json.dumps(found, allow_nan=False) + "\n").encode("ascii")


def _hit(hit: Hit) -> dict[str, Any]:
    return {
        "rank": hit.rank,
        "score": _number(hit.score),
        "chunk_id": hit.chunk_id,
        "document_id": hit.document_id,
        "uri": hit.uri,
        "modality": hit.modality,
        "title": hit.title,
        "snippet": hit.snippet,
        "span": hit.span.as_dict(),
        "metadata": _metadata(hit.metadata),
        "evidence": [
            {
                "source": line.source,
                "rank": line.rank,
                "similarity": _number(line.similarity),
                "calibrated": _number(line.calibrated),
                "weight": _number(line.weight),
            }
            for line in hit.evidence
        ],
    }


def _failures(failed: Iterable[Failure]) -> list[dict[str, str]]:
    return [{"uri": failure.uri, "reason": failure.reason} for failure in failed]


def _space(space: Space) -> dict[str, Any]:
    return {
        "name": space.name,
        "dimension": space.dimension,
        "metric": space.metric,
        "fingerprint": space.fingerprint,
    }


def _metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Values as JSON has them: dates as ISO text."""
    return {key: _value(value) for key, value in metadata.items()}


def _value(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.date) else value


def _number(value: float) -> float | None:
    """A plain float, or null for what JSON has no number for."""
    number = float(value)
    return number if math.isfinite(number) else None
