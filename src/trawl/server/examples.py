"""Example responses for the OpenAPI document."""

from __future__ import annotations

from typing import Any

EXAMPLE: dict[str, Any] = {
    "query": "muon decay",
    "results": [
        {
            "rank": 1,
            "id": "1f0c9d2a7be84c55a1d0e3f2:0",
            "document_id": "1f0c9d2a7be84c55a1d0e3f2",
            "modality": "image",
            "score": 0.93,
            "title": "Decay curve of the muon",
            "source": "muon_decay.png",
            "text_preview": "Decay times of stopped muons, with a fit of 2.2 µs.",
            "snippet": "<mark>Decay</mark> times of stopped <mark>muons</mark>, "
            "with a fit of 2.2 µs.",
            "thumbnail_url": "/chunks/1f0c9d2a7be84c55a1d0e3f2:0/thumbnail",
            "media_url": "/v1/chunks/1f0c9d2a7be84c55a1d0e3f2:0/media",
            "detail": "640 × 480 px",
            "span": {},
            "metadata": {"topic": "physics", "year": 2019},
            "evidence": [
                {
                    "source": "mini.image",
                    "rank": 1,
                    "similarity": 0.41,
                    "calibrated": 2.6,
                }
            ],
        }
    ],
    "total_hits": 1,
    "query_time_ms": 6.4,
    "no_good_match": False,
    "confidence": 0.91,
    "notices": [],
}
"""A response for the documentation, with its keys in the order of the schema."""

DETAILED_EXAMPLE: dict[str, Any] = {
    **EXAMPLE,
    "cursor": "v12-10",
    "version": 12,
    "facets": [{"key": "year", "counts": [{"value": 2019, "count": 1}]}],
    "took_ms": {"encode": 0.4, "sources": 4.0, "fuse": 0.6, "hydrate": 1.1, "total": 6.1},
}
