"""An S3 server in this process, for tests of libraries in object stores."""

from __future__ import annotations

import http.client
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

_KEY = "testing"


@contextmanager
def serving_buckets() -> Iterator[dict[str, str]]:
    """Run the server, and yield the storage options for it."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    store = DomainDispatcherApplication(create_backend_app)
    one_at_a_time = threading.Lock()

    def serialised(environ: Any, start: Any) -> Any:
        # moto does not look and write in one step, so two creates of one object may succeed.
        if environ["REQUEST_METHOD"] != "PUT":
            return store(environ, start)
        with one_at_a_time:
            return store(environ, start)

    server = make_server("127.0.0.1", 0, serialised, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield {
            "aws_endpoint": f"http://127.0.0.1:{server.server_port}",
            "aws_access_key_id": _KEY,
            "aws_secret_access_key": _KEY,
            "aws_region": "us-east-1",
            "allow_http": "true",
        }
    finally:
        server.shutdown()
        thread.join()


def new_bucket(options: dict[str, str]) -> str:
    """Create a bucket, and return its address."""
    import boto3

    name = f"trawl-{uuid4().hex[:12]}"
    client = boto3.client(
        "s3",
        endpoint_url=options["aws_endpoint"],
        aws_access_key_id=_KEY,
        aws_secret_access_key=_KEY,
        region_name=options["aws_region"],
    )
    client.create_bucket(Bucket=name)
    return f"s3://{name}"


class Gateway(ThreadingHTTPServer):
    """Forwards requests to an object store, counts them, and delays or refuses them.

    `requests` counts the methods, and LIST apart from GET; `GET /-/counts` returns them as JSON
    and starts anew. Each request takes `delay_s` longer, or only the download of an object whose
    path contains `delayed`. Every `failing`-th is answered 503, all of them if it is 1 and none if
    it is 0. With `read_only`, those that change something are answered 403. Headers that are
    `ignored` do not reach the store.
    """

    daemon_threads = True

    def __init__(self, options: dict[str, str], delay_s: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), _Forward)
        self._target = urlsplit(options["aws_endpoint"]).netloc
        self.options = {**options, "aws_endpoint": f"http://127.0.0.1:{self.server_port}"}
        self.delay_s = delay_s
        self.delayed = ""
        self.failing = 0
        self.read_only = False
        self.ignored: tuple[str, ...] = ()
        self.requests: Counter[str] = Counter()
        self._local = threading.local()
        self._count = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Gateway:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that have gone."""

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def counts(self, method: str) -> bool:
        """Count a request, and return whether it is refused."""
        with self._lock:
            self.requests[method] += 1
            self._count += 1
            return bool(self.failing) and self._count % self.failing == 0

    def upstream(self) -> http.client.HTTPConnection:
        """Return this thread's connection to the store."""
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPConnection(self._target)
        connection: http.client.HTTPConnection = self._local.connection
        return connection


class _Forward(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Gateway
    # The answer to a HEAD and the start of a body must not wait for each other.
    disable_nagle_algorithm = True

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/-/counts":
            counted, self.server.requests = self.server.requests, Counter()
            self._answer(200, {}, json.dumps(counted).encode())
            return
        refused = self.server.counts("LIST" if "list-type" in self.path else self.command)
        if self.server.delayed in urlsplit(self.path).path and (
            not self.server.delayed or self._is_download()
        ):
            time.sleep(self.server.delay_s)
        if refused:
            self._answer(503, {}, b"")
            return
        if self.server.read_only and self.command not in ("GET", "HEAD"):
            self._answer(403, {}, b"")
            return
        connection = self.server.upstream()
        headers = {k: v for k, v in self.headers.items() if k.title() not in self.server.ignored}
        connection.request(self.command, self.path, body, headers)
        found = connection.getresponse()
        content = found.read()
        self._answer(found.status, dict(found.headers), content)

    def _is_download(self) -> bool:
        return self.command == "GET" and "Range" not in self.headers

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        length = headers.get("Content-Length") if self.command == "HEAD" else None
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _forward  # noqa: N815
