"""Record OpenTelemetry traces: a span for each request, and one for each search stage.

The request's span continues the caller's trace (W3C `traceparent`). This module is imported
only if `otlp_endpoint` is set. Spans never contain queries.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from trawl import __version__
from trawl.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span
    from starlette.types import Scope

# An unavailable collector does not delay the server's exit.
_SEND_S = 1.0

# The stages of a search in order.
_STAGES = ("prepare", "encode", "sources", "fuse", "rerank", "hydrate")


class Tracing:
    """Creates spans and sends them to `endpoint` (`http://HOST:4318`) from a thread.

    `exporter` replaces the exporter of that endpoint. Raises `SettingsError` if the extra is
    not installed.
    """

    def __init__(self, endpoint: str, exporter: SpanExporter | None = None) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError:
            raise SettingsError(
                "otlp_endpoint is set, and OpenTelemetry is not installed; "
                'install it with: pip install "trawl-multimodal[otel]"'
            ) from None
        exporter = exporter or OTLPSpanExporter(
            f"{endpoint.rstrip('/')}/v1/traces", timeout=_SEND_S
        )
        self._exporter = exporter
        resource = Resource.create({"service.name": "trawl", "service.version": __version__})
        # Not the global provider, which other code may use.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("trawl.server")

    @contextmanager
    def request(self, scope: Scope) -> Iterator[Span]:
        """Create the span of a request; `finished` adds its route and status."""
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        parent = TraceContextTextMapPropagator().extract(carrier)
        with self._tracer.start_as_current_span(
            str(scope["method"]),
            context=parent,
            kind=SpanKind.SERVER,
            attributes={"http.request.method": str(scope["method"])},
        ) as span:
            yield span

    @staticmethod
    def finished(span: Span, method: str, route: str, status: int, request_id: str) -> None:
        """Record the outcome of a request."""
        from opentelemetry.trace import StatusCode

        span.update_name(f"{method} {route}")
        attributes: dict[str, Any] = {
            "http.route": route,
            "http.response.status_code": status,
            "trawl.request_id": request_id,
        }
        span.set_attributes(attributes)
        if status >= 500:
            span.set_status(StatusCode.ERROR)

    def search(self, took_ms: Mapping[str, float], *, decode_s: float, queue_s: float) -> None:
        """Create the spans of a search that has just finished, below the request's."""
        from opentelemetry.trace import set_span_in_context

        end = time.time_ns()
        began = end - _ns(took_ms.get("total", 0.0) / 1000)
        at = began - _ns(queue_s + decode_s)
        for name, seconds in (("queue", queue_s), ("decode", decode_s)):
            if seconds:
                at = self._span(name, at, _ns(seconds), None)
        search = self._tracer.start_span("search", start_time=began)
        inside = set_span_in_context(search)
        at = began
        for stage in _STAGES:
            if stage in took_ms:
                at = self._span(stage, at, _ns(took_ms[stage] / 1000), inside)
        search.end(end_time=end)

    def _span(self, name: str, start: int, duration: int, inside: Any) -> int:
        span = self._tracer.start_span(name, context=inside, start_time=start)
        span.end(end_time=start + duration)
        return start + duration

    def close(self) -> None:
        """Send the remaining spans, within a second."""
        in_time = threading.Timer(_SEND_S, self._exporter.shutdown)
        in_time.start()
        self._provider.shutdown()
        in_time.cancel()


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
