"""Fuzz the HTTP API with its own OpenAPI document: `python -m benchmarks.fuzz`.

Starts a server with a small library on a free port. Schemathesis generates requests from the
OpenAPI document: the examples, the boundaries of every parameter, random valid and invalid
values, and chains of requests that use ids of earlier responses. All its checks are enabled.
`tests/integration/test_fuzz.py` runs a few requests, this script some thousands.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn
from PIL import Image

from trawl.library import Library
from trawl.server import create_app
from trawl.server.auth import hash_key, new_key
from trawl.settings import load_settings

_HOOKS = Path(__file__).with_name("_fuzz_hooks.py")
# A request that fits the schema can still be invalid: a filter on an unknown column, a query that
# only excludes. The response is 422, with a problem document.
_ACCEPTED = ("2xx", "304", "400", "401", "403", "404", "408", "409", "410", "412", "413", "415")
_ACCEPTED += ("416", "422", "429")
_VALID = {
    "where": ["year >= 2019", "topic = 'physics' and not year = 1", "modality in ('image')"],
    "q": ["muon -bread year:>=2000", '"hot oven" modality:text', "muoon~"],
    "sort": ["year", "-topic"],
}
# A cancelled job can still be read. The route that creates documents responds 202: they exist once
# the job is done. An empty form field counts as absent, as browsers send it.
_BY_DESIGN = """
[[operations]]
include-path = "/v1/jobs/{job_id}"
checks.use_after_free.enabled = false
[[operations]]
include-path = "/v1/jobs/{job_id}/events"
checks.use_after_free.enabled = false
[[operations]]
include-path = "/search-by-image"
checks.negative_data_rejection.enabled = false
[[operations]]
include-path = "/v1/search/audio"
checks.negative_data_rejection.enabled = false
"""
_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ignored_auth",
    "object_level_authorization",
)
# Requests remove documents; enough must remain for the others.
_DOCUMENTS = 60
_MUON = "---\nyear: 2019\ntopic: physics\n---\n# Muon\n\nThe muon decays to an electron.\n"


@contextmanager
def served() -> Iterator[tuple[str, str, Library]]:
    """Serve a small library; yield its address, an admin key and the library."""
    with TemporaryDirectory(prefix="trawl-fuzz-") as folder:
        place = Path(folder)
        files = place / "files"
        files.mkdir()
        (files / "muon.md").write_text(_MUON, "utf-8")
        for number in range(_DOCUMENTS):
            (files / f"{number}.txt").write_text(f"Bread {number} is baked in a hot oven.", "utf-8")
            Image.new("RGB", (64, 48), (200, number, 20)).save(files / f"{number}.png")
        (files / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        key = new_key()
        keys = {"fuzz": {"sha256": hash_key(key), "scopes": ["read", "write", "admin"]}}
        with Library(place / "lib", create=True) as library, socket.socket() as listening:
            library.add(files)
            listening.bind(("127.0.0.1", 0))
            app = create_app(library, load_settings(library.path, rate_limit="", api_keys=keys))
            server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))
            thread = threading.Thread(target=server.run, args=([listening],))
            thread.start()
            try:
                yield f"http://127.0.0.1:{listening.getsockname()[1]}", key, library
            finally:
                server.should_exit = True
                thread.join(30)


def _configuration(library: Library) -> str:
    """Return Schemathesis' configuration, with existing ids and valid filters."""
    documents = [row.document_id for row in library.documents()]
    chunks = [chunk.chunk_id for one in documents for chunk in library.show(one).chunks]
    known = {"document_id": documents, "chunk_id": chunks, "like": chunks, **_VALID}
    lines = [f"hooks = {json.dumps(str(_HOOKS))}"]
    for name, values in known.items():
        lines += [f"[dictionaries.{name}]", f"values = {json.dumps(values)}"]
        lines += [f"[parameters.{name}]", f'dictionary = "{name}"', "probability = 0.7"]
    lines += ["[checks.ensure_resource_availability]", "enabled = false"]
    for check in _CHECKS:
        lines += [f"[checks.{check}]", "enabled = true"]
        if check == "positive_data_acceptance":
            lines.append(f"expected-statuses = {json.dumps(_ACCEPTED)}")
    return "\n".join(lines) + _BY_DESIGN


def fuzz(cases: int, *, seed: int, phases: str, report: Path | None = None) -> int:
    """Send about `cases` random requests per operation; return Schemathesis' exit code."""
    with served() as (address, key, library), TemporaryDirectory() as folder:
        configuration = Path(folder) / "schemathesis.toml"
        configuration.write_text(_configuration(library), "utf-8")
        command = [
            str(Path(sys.executable).with_name("schemathesis")),
            "--config-file",
            str(configuration),
            "run",
            f"{address}/openapi.json",
            "--header",
            f"Authorization: Bearer {key}",
            "--max-examples",
            str(cases),
            "--seed",
            str(seed),
            "--phases",
            phases,
            "--continue-on-failure",
            "--no-color",
        ]
        if report is not None:
            command += ["--report-json-path", str(report.absolute())]
        # Schemathesis writes a cache to its working directory.
        return subprocess.run(command, cwd=folder, check=False).returncode


def main() -> None:
    """Fuzz a server, and exit with Schemathesis' exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=main.__doc__)
    parser.add_argument("--cases", type=int, default=150, help="random requests per operation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--phases", default="examples,coverage,fuzzing,stateful")
    parser.add_argument("--report", type=Path, help="path of the JSON report")
    options = parser.parse_args()
    code = fuzz(options.cases, seed=options.seed, phases=options.phases, report=options.report)
    print(json.dumps({"exit_code": code}))
    raise SystemExit(code)


if __name__ == "__main__":
    main()
