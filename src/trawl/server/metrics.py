"""Record metrics for Prometheus: durations of requests and stages, refusals, and counts.

``docs/operations.md`` lists all of them. If several processes serve one library, each writes
its values to files in a shared folder, and the one that serves `/metrics` sums them up.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

if TYPE_CHECKING:
    from trawl.telemetry import Kind
    from trawl.types import Modality, Report, Status

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

disable_created_metrics()  # type: ignore[no-untyped-call]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LOAD_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60)
_Combine = Literal["livesum", "livemin", "livemostrecent"]
_ITEMS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The metrics of one application, in their own registry. An `Observer` of its process.

    `shared` is the folder of several processes that serve together, or None; `worker` is
    the number of this one, from 0, and `restarts` how often it was replaced.
    """

    def __init__(self, shared: Path | None = None, worker: int = 0, restarts: int = 0) -> None:
        self._shared = shared
        self._worker = str(worker)
        self._restarts = restarts
        self._registry = CollectorRegistry()
        self._parts: dict[tuple[object, ...], Histogram] = {}
        seconds = self._histogram
        self.requests = seconds(
            "trawl_http_request_seconds",
            "Duration of a request, from its head to the end of the response.",
            "method route status",
        )
        self.stages = seconds(
            "trawl_search_stage_seconds",
            "Duration of a search stage; `total` is the search without decode and queue.",
            "stage",
        )
        self.sources = seconds(
            "trawl_search_source_seconds", "Duration of a source's ranking.", "source"
        )
        self.cache = self._counter(
            "trawl_cache_requests",
            "Searches by cache outcome: hit, miss, collapsed or bypass.",
            "outcome",
        )
        self.embeddings = self._counter(
            "trawl_embedding_cache_requests",
            "Lookups of cached query vectors: hit or miss.",
            "model modality outcome",
        )
        self.rejections = self._counter(
            "trawl_rejections", "Requests refused for lack of capacity, by reason.", "reason"
        )
        encoder = "model modality kind"
        self.batches = self._histogram(
            "trawl_encoder_batch_items", "Items in one encoder call.", encoder, _ITEMS
        )
        self.encodings = seconds("trawl_encoder_seconds", "Duration of one encoder call.", encoder)
        self.encoder_waiting = self._sum(
            "trawl_encoder_waiting", "Requests waiting for an encoder.", encoder
        )
        self.loads = seconds(
            "trawl_model_load_seconds",
            "Duration of loading a model's weights.",
            "model modality",
            _LOAD_SECONDS,
        )
        self.ingested = self._counter(
            "trawl_ingest_documents",
            "Files of jobs by outcome: added, replaced, moved, unchanged or failed.",
            "outcome",
        )
        self.ingested_chunks = self._counter("trawl_ingest_chunks", "Chunks added by jobs.")
        self.jobs = self._counter(
            "trawl_jobs", "Finished jobs by outcome: done or failed.", "outcome"
        )
        self.redis_errors = self._counter(
            "trawl_redis_errors", "Redis calls that failed or timed out.", "use"
        )
        self._declare_gauges()

    def _declare_gauges(self) -> None:
        latest, total = self._latest, self._sum
        self.waiting = total("trawl_queue_waiting", "Requests waiting for a thread.", "queue")
        self.running = total("trawl_queue_running", "Requests running in a thread.", "queue")
        self.jobs_waiting = latest("trawl_jobs_waiting", "Queued jobs.")
        self.cache_entries = total("trawl_cache_entries", "Responses cached in memory.")
        self.redis_up = self._gauge(
            "trawl_redis_up",
            "Whether Redis responds: 1 or 0; only if it is used.",
            "use",
            "livemin",
        )
        self.documents = latest("trawl_library_documents", "Documents in the library.")
        self.failed_documents = latest(
            "trawl_library_failed_documents", "Files that could not be read."
        )
        self.version = latest("trawl_library_version", "The library's version.")
        self.chunks = latest("trawl_library_chunks", "Chunks in the library.", "modality")
        self.unindexed = latest(
            "trawl_library_unindexed_rows", "Chunks that are not indexed yet; searches scan them."
        )
        self.recall = latest(
            "trawl_library_recall",
            "Share of the ten nearest vectors that a search finds; of sources in memory.",
            "source",
        )
        self.fragments = latest("trawl_library_fragments", "Fragments of the chunk table.")
        self.resident = latest(
            "trawl_process_resident_bytes", "Resident memory of each process.", "worker"
        )
        self.restarts = latest(
            "trawl_worker_restarts", "How often a worker process was replaced.", "worker"
        )

    @property
    def is_shared(self) -> bool:
        """Whether several processes serve the library."""
        return self._shared is not None

    def _histogram(
        self, name: str, text: str, labels: str, buckets: tuple[float, ...] = _SECONDS
    ) -> Histogram:
        return Histogram(name, text, labels.split(), buckets=buckets, registry=self._registry)

    def _counter(self, name: str, text: str, labels: str = "") -> Counter:
        return Counter(name, text, labels.split(), registry=self._registry)

    def _latest(self, name: str, text: str, labels: str = "") -> Gauge:
        return self._gauge(name, text, labels, "livemostrecent")

    def _sum(self, name: str, text: str, labels: str = "") -> Gauge:
        return self._gauge(name, text, labels, "livesum")

    def _gauge(self, name: str, text: str, labels: str, combine: _Combine) -> Gauge:
        """Return a gauge; `combine` says how the values of several processes are combined."""
        return Gauge(name, text, labels.split(), registry=self._registry, multiprocess_mode=combine)

    def _of(self, histogram: Histogram, *labels: str) -> Histogram:
        """Return a histogram's child with these labels. Cached, since a search needs a dozen."""
        key = (id(histogram), *labels)
        found = self._parts.get(key)
        if found is None:
            found = self._parts[key] = histogram.labels(*labels)
        return found

    # --- recorded by the server -----------------------------------------------------------

    def search(self, took_ms: Mapping[str, float]) -> None:
        for stage, milliseconds in took_ms.items():
            self.stage(stage, milliseconds / 1000)

    def stage(self, stage: str, seconds: float) -> None:
        self._of(self.stages, stage).observe(seconds)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Record a request. `route` is the path pattern: the number of paths is unbounded."""
        self._of(self.requests, method, route, str(status)).observe(seconds)

    def rejected(self, reason: str) -> None:
        self.rejections.labels(reason).inc()

    def ingest(self, report: Report) -> None:
        self.jobs.labels("done").inc()
        counts = {
            "added": report.added,
            "replaced": report.replaced,
            "moved": report.moved,
            "unchanged": report.unchanged,
            "failed": len(report.failed),
        }
        for outcome, count in counts.items():
            self.ingested.labels(outcome).inc(count)
        self.ingested_chunks.inc(report.chunks)

    def library(self, status: Status) -> None:
        self.documents.set(status.documents)
        self.failed_documents.set(len(status.failed))
        self.version.set(status.version)
        self.unindexed.set(status.unindexed_rows)
        self.fragments.set(status.fragments)
        for source, recall in status.recall.items():
            self.recall.labels(source).set(recall)
        for modality, count in status.chunks.items():
            self.chunks.labels(modality).set(count)

    def process(self) -> None:
        self.resident.labels(self._worker).set(resident_bytes())
        self.restarts.labels(self._worker).set(self._restarts)

    # --- recorded by lower layers: an `Observer` ----------------------------------------------

    def encoded(
        self, model: str, modality: Modality, kind: Kind, *, items: int, seconds: float
    ) -> None:
        self._of(self.batches, model, modality, kind).observe(items)
        self._of(self.encodings, model, modality, kind).observe(seconds)

    def encoder_queue(self, model: str, modality: Modality, kind: Kind, *, waiting: int) -> None:
        self.encoder_waiting.labels(model, modality, kind).set(waiting)

    def encoder_refused(self, model: str, modality: Modality) -> None:
        """Do nothing: the refused request is counted by `rejected`."""

    def model_loaded(self, model: str, modality: Modality, *, seconds: float) -> None:
        self.loads.labels(model, modality).observe(seconds)

    def embedding(self, model: str, modality: Modality, *, hit: bool) -> None:
        self.embeddings.labels(model, modality, "hit" if hit else "miss").inc()

    def source_searched(self, source: str, *, seconds: float) -> None:
        self._of(self.sources, source).observe(seconds)

    # --- read by Prometheus -------------------------------------------------------------------

    def page(self) -> bytes:
        """Return the metrics of all processes in the text format of Prometheus. Blocking."""
        if self._shared is None:
            return generate_latest(self._registry)
        combined = CollectorRegistry()
        MultiProcessCollector(combined, str(self._shared))  # type: ignore[no-untyped-call]
        return generate_latest(combined)


def share_metrics(folder: Path) -> None:
    """Store the metrics of this process in `folder`; call this before creating any."""
    from prometheus_client import values

    # prometheus_client reads this variable when it is imported.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    value_class: Any = values.MultiProcessValue()  # type: ignore[no-untyped-call]
    values.ValueClass = value_class


def resident_bytes() -> int:
    """Return the resident memory of this process, or 0 if the system does not report it."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
