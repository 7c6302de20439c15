"""Random requests against the interface's own description: `python -m benchmarks.fuzz`.

A server with a small library is started on a free port, and Schemathesis makes requests of
its OpenAPI document: the examples, the edges of every parameter, random ones that fit and
that do not, and chains in which one answer's ids go into the next request. All its checks
are on. The test `tests/integration/test_fuzz.py` runs a few of them, this some thousands.
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
# A question that fits the schema can still be one that cannot be meant: a filter that names no
# column, words that only exclude. That is 422, with a problem document that says why.
_ACCEPTED = ("2xx", "304", "400", "401", "403", "404", "408", "409", "410", "412", "413", "415")
_ACCEPTED += ("416", "422", "429")
_MEANT = {
    "where": ["year >= 2019", "topic = 'physics' and not year = 1", "modality in ('image')"],
    "q": ["muon -bread year:>=2000", '"hot oven" modality:text', "muoon~"],
    "sort": ["year", "-topic"],
}
# A job that is cancelled can still be looked at. The one route that makes something answers 202:
# its documents are there when the job is done, and not at once. An empty field of a form is one
# that was not filled in, as browsers send it.
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
# Requests take documents out; there have to be enough of them for the others.
_DOCUMENTS = 60
_MUON = "---\nyear: 2019\ntopic: physics\n---\n# Muon\n\nThe muon decays to an electron.\n"


@contextmanager
def served() -> Iterator[tuple[str, str, Library]]:
    """Serve a small library; gives its address, a key that may do all, and the library."""
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
    """Give Schemathesis' configuration, with ids that are there and filters that can be meant."""
    documents = [row.document_id for row in library.documents()]
    chunks = [chunk.chunk_id for one in documents for chunk in library.show(one).chunks]
    known = {"document_id": documents, "chunk_id": chunks, "like": chunks, **_MEANT}
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
    """Make about `cases` random requests of each operation; gives Schemathesis' exit code."""
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
        # It keeps notes of its runs in the directory that it runs in.
        return subprocess.run(command, cwd=folder, check=False).returncode


def main() -> None:
    """Run as many as the options say, and exit as Schemathesis does."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=main.__doc__)
    parser.add_argument("--cases", type=int, default=150, help="random requests an operation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--phases", default="examples,coverage,fuzzing,stateful")
    parser.add_argument("--report", type=Path, help="where the JSON report goes")
    given = parser.parse_args()
    code = fuzz(given.cases, seed=given.seed, phases=given.phases, report=given.report)
    print(json.dumps({"exit_code": code}))
    raise SystemExit(code)


if __name__ == "__main__":
    main()
