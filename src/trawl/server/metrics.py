"""Numbers for Prometheus: how long requests and their stages take, and what is turned away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from trawl.server.cache import AnswerCache
    from trawl.server.pool import WorkPool
    from trawl.types import Status

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The numbers of one application, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "trawl_http_request_seconds",
            "From a request's head to the end of its answer.",
            ["method", "route", "status"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.stages = Histogram(
            "trawl_search_stage_seconds",
            "What the stages of a search took; `total` is all of them.",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.cache = Counter(
            "trawl_cache_requests",
            "Searches by what the cache did: hit, miss, collapsed or bypass.",
            ["outcome"],
            registry=self.registry,
        )

    def search(self, took_ms: Mapping[str, float]) -> None:
        """Note what the stages of one search took."""
        for stage, milliseconds in took_ms.items():
            self.stages.labels(stage).observe(milliseconds / 1000)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note one request. `route` is the pattern, not the address: those have no end."""
        self.requests.labels(method, route, str(status)).observe(seconds)

    def page(self) -> bytes:
        """Give all numbers in Prometheus' text format."""
        return generate_latest(self.registry)


class Gauges:
    """What is looked up when it is asked for: queues, the cache, the library's size."""

    def __init__(self, pool: WorkPool, cache: AnswerCache) -> None:
        self._pool = pool
        self._cache = cache
        self.status: Status | None = None

    def collect(self) -> Iterable[Metric]:
        """Give the gauges as they are now."""
        yield GaugeMetricFamily(
            "trawl_queue_waiting", "Requests that wait for a thread.", self._pool.waiting
        )
        yield GaugeMetricFamily(
            "trawl_queue_running", "Requests that have a thread.", self._pool.running
        )
        yield CounterMetricFamily(
            "trawl_queue_refused", "Requests refused for a full queue.", self._pool.refused
        )
        yield GaugeMetricFamily("trawl_cache_entries", "Answers that are kept.", len(self._cache))
        if self.status is None:
            return
        yield GaugeMetricFamily(
            "trawl_library_documents", "Documents in the library.", self.status.documents
        )
        yield GaugeMetricFamily(
            "trawl_library_failed_documents",
            "Files that could not be read.",
            len(self.status.failed),
        )
        yield GaugeMetricFamily(
            "trawl_library_version", "The library's version.", self.status.version
        )
        chunks = GaugeMetricFamily(
            "trawl_library_chunks", "Chunks in the library.", labels=["modality"]
        )
        for modality, count in self.status.chunks.items():
            chunks.add_metric([modality], count)
        yield chunks
