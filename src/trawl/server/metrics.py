"""Numbers for Prometheus: how long requests and their stages take, and what is turned away.

``docs/operations.md`` lists every one. Where several processes serve one library, each
writes its numbers into files of a shared folder, and whoever is asked adds them up.
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
_ITEMS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The numbers of one application, in a registry of its own. An `Observer` of its process.

    `shared` is the folder of the processes that serve together, None where there is one
    alone; `worker` is this process' place among them, from 0, and `restarts` how many
    stood there before.
    """

    def __init__(self, shared: Path | None = None, worker: int = 0, restarts: int = 0) -> None:
        self._shared = shared
        self._worker = str(worker)
        self._restarts = restarts
        self._registry = CollectorRegistry()
        self._parts: dict[tuple[object, ...], Histogram] = {}
        self.requests = self._histogram(
            "trawl_http_request_seconds",
            "From a request's head to the end of its answer.",
            "method",
            "route",
            "status",
        )
        self.stages = self._histogram(
            "trawl_search_stage_seconds",
            "What the stages of a search took; `total` is the search without decode and queue.",
            "stage",
        )
        self.sources = self._histogram(
            "trawl_search_source_seconds", "What each source took for its ranking.", "source"
        )
        self.cache = self._counter(
            "trawl_cache_requests",
            "Searches by what the cache of answers did: hit, miss, collapsed or bypass.",
            "outcome",
        )
        self.embeddings = self._counter(
            "trawl_embedding_cache_requests",
            "Query vectors looked for among those kept: hit or miss.",
            "model",
            "modality",
            "outcome",
        )
        self.rejections = self._counter(
            "trawl_rejections", "Requests turned away for want of room, by reason.", "reason"
        )
        self._declare_models()
        self._declare_ingest()
        self._declare_gauges()

    @property
    def is_shared(self) -> bool:
        """Whether other processes serve the same library beside this one."""
        return self._shared is not None

    def _declare_models(self) -> None:
        self.batches = self._histogram(
            "trawl_encoder_batch_items",
            "Items of one call of an encoder.",
            "model",
            "modality",
            "kind",
            buckets=_ITEMS,
        )
        self.encodings = self._histogram(
            "trawl_encoder_seconds",
            "What one call of an encoder took.",
            "model",
            "modality",
            "kind",
        )
        self.encoder_waiting = self._gauge(
            "trawl_encoder_waiting",
            "Requests that wait for an encoder.",
            "livesum",
            "model",
            "modality",
            "kind",
        )
        self.loads = self._histogram(
            "trawl_model_load_seconds",
            "What reading a tower's weights took; its count is how many were read.",
            "model",
            "modality",
            buckets=_LOAD_SECONDS,
        )

    def _declare_ingest(self) -> None:
        self.ingested = self._counter(
            "trawl_ingest_documents",
            "Files of jobs by what became of them: added, replaced, unchanged or failed.",
            "outcome",
        )
        self.ingested_chunks = self._counter("trawl_ingest_chunks", "Chunks that jobs added.")
        self.jobs = self._counter(
            "trawl_jobs", "Jobs by how they ended: done or failed.", "outcome"
        )

    def _declare_gauges(self) -> None:
        self.waiting = self._gauge(
            "trawl_queue_waiting", "Requests that wait for a thread.", "livesum", "queue"
        )
        self.running = self._gauge(
            "trawl_queue_running", "Requests that have a thread.", "livesum", "queue"
        )
        self.jobs_waiting = self._gauge("trawl_jobs_waiting", "Jobs that wait.", "livemostrecent")
        self.cache_entries = self._gauge(
            "trawl_cache_entries", "Answers that are kept in memory.", "livesum"
        )
        self.redis_up = self._gauge(
            "trawl_redis_up",
            "Whether Redis answers: 1 or 0; only where it is used.",
            "livemin",
            "use",
        )
        self.redis_errors = self._counter(
            "trawl_redis_errors", "Calls of Redis that failed or took too long.", "use"
        )
        self.documents = self._gauge(
            "trawl_library_documents", "Documents in the library.", "livemostrecent"
        )
        self.failed_documents = self._gauge(
            "trawl_library_failed_documents", "Files that could not be read.", "livemostrecent"
        )
        self.version = self._gauge(
            "trawl_library_version", "The library's version.", "livemostrecent"
        )
        self.chunks = self._gauge(
            "trawl_library_chunks", "Chunks in the library.", "livemostrecent", "modality"
        )
        self.unindexed = self._gauge(
            "trawl_library_unindexed_rows",
            "Chunks that an index has yet to take in; they are found by a scan.",
            "livemostrecent",
        )
        self.fragments = self._gauge(
            "trawl_library_fragments", "Fragments of the table of chunks.", "livemostrecent"
        )
        self.resident = self._gauge(
            "trawl_process_resident_bytes", "Memory of each process.", "livemostrecent", "worker"
        )
        self.restarts = self._gauge(
            "trawl_worker_restarts", "How often a process was replaced.", "livemostrecent", "worker"
        )

    def _histogram(
        self, name: str, text: str, *labels: str, buckets: tuple[float, ...] = _SECONDS
    ) -> Histogram:
        return Histogram(name, text, labels, buckets=buckets, registry=self._registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self._registry)

    def _gauge(
        self,
        name: str,
        text: str,
        together: Literal["livesum", "livemin", "livemostrecent"],
        *labels: str,
    ) -> Gauge:
        """Make a gauge; `together` is what the values of several processes come to."""
        return Gauge(name, text, labels, registry=self._registry, multiprocess_mode=together)

    def _of(self, histogram: Histogram, *labels: str) -> Histogram:
        """Give the part of a histogram with some labels: a search looks for a dozen."""
        key = (id(histogram), *labels)
        found = self._parts.get(key)
        if found is None:
            found = self._parts[key] = histogram.labels(*labels)
        return found

    # --- what the server tells ------------------------------------------------------------

    def search(self, took_ms: Mapping[str, float]) -> None:
        """Note what the stages of one search took."""
        for stage, milliseconds in took_ms.items():
            self.stage(stage, milliseconds / 1000)

    def stage(self, stage: str, seconds: float) -> None:
        """Note what one stage took."""
        self._of(self.stages, stage).observe(seconds)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note one request. `route` is the pattern, not the address: those have no end."""
        self._of(self.requests, method, route, str(status)).observe(seconds)

    def rejected(self, reason: str) -> None:
        """Note a request that was turned away."""
        self.rejections.labels(reason).inc()

    def ingest(self, report: Report) -> None:
        """Note what became of a job's files."""
        self.jobs.labels("done").inc()
        counts = {
            "added": report.added,
            "replaced": report.replaced,
            "unchanged": report.unchanged,
            "failed": len(report.failed),
        }
        for outcome, count in counts.items():
            self.ingested.labels(outcome).inc(count)
        self.ingested_chunks.inc(report.chunks)

    def library(self, status: Status) -> None:
        """Note what is in the library."""
        self.documents.set(status.documents)
        self.failed_documents.set(len(status.failed))
        self.version.set(status.version)
        self.unindexed.set(status.unindexed_rows)
        self.fragments.set(status.fragments)
        for modality, count in status.chunks.items():
            self.chunks.labels(modality).set(count)

    def process(self) -> None:
        """Note the memory of this process, and how many stood in its place before."""
        self.resident.labels(self._worker).set(resident_bytes())
        self.restarts.labels(self._worker).set(self._restarts)

    # --- what the parts below tell: an `Observer` -------------------------------------------

    def encoded(
        self, model: str, modality: Modality, kind: Kind, *, items: int, seconds: float
    ) -> None:
        """Note a call of an encoder."""
        self._of(self.batches, model, modality, kind).observe(items)
        self._of(self.encodings, model, modality, kind).observe(seconds)

    def encoder_queue(self, model: str, modality: Modality, kind: Kind, *, waiting: int) -> None:
        """Note how many requests wait for an encoder."""
        self.encoder_waiting.labels(model, modality, kind).set(waiting)

    def encoder_refused(self, model: str, modality: Modality) -> None:
        """Do nothing: the request that was refused is counted where it is answered."""

    def model_loaded(self, model: str, modality: Modality, *, seconds: float) -> None:
        """Note that a tower was loaded."""
        self.loads.labels(model, modality).observe(seconds)

    def embedding(self, model: str, modality: Modality, *, hit: bool) -> None:
        """Note whether a query's vector was kept."""
        self.embeddings.labels(model, modality, "hit" if hit else "miss").inc()

    def source_searched(self, source: str, *, seconds: float) -> None:
        """Note what a source took."""
        self._of(self.sources, source).observe(seconds)

    # --- what Prometheus reads --------------------------------------------------------------

    def page(self) -> bytes:
        """Give all numbers, of all processes, in Prometheus' text format. It blocks."""
        if self._shared is None:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together, str(self._shared))  # type: ignore[no-untyped-call]
        return generate_latest(together)


def share_metrics(folder: Path) -> None:
    """Let the numbers of this process lie in `folder`; to be called before any is made."""
    from prometheus_client import values

    # The library decides at its import, by this variable, where numbers are kept.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    kept: Any = values.MultiProcessValue()  # type: ignore[no-untyped-call]
    values.ValueClass = kept


def resident_bytes() -> int:
    """Give the memory that this process has, 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
