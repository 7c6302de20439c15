"""Downloads from a local server that behaves like the Hugging Face hub."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from trawl.encoders.cards import INSTALLED, Listing, Source, load_card, load_listing
from trawl.encoders.hub import pull
from trawl.errors import ModelError

COMMIT = "a" * 40
GRAPH = os.urandom(3_000_000)
TOKENIZER = b'{"version": "1.0"}' * 50


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Hub:
    """The files and faults of the server, and the requests it received."""

    files: dict[str, bytes] = field(
        default_factory=lambda: {"onnx/model.onnx": GRAPH, "tokenizer.json": TOKENIZER}
    )
    status: int = 200
    error_code: str = ""
    claimed_bytes: int | None = None
    cut_after: int | None = None
    silent: bool = False
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    address: str = ""
    released: threading.Event = field(default_factory=threading.Event)


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(False)

        def do_GET(self) -> None:
            self._answer(True)

        def _answer(self, with_body: bool) -> None:
            hub.asked.append((self.command, self.path, self.headers.get("Range", "")))
            if hub.silent:
                hub.released.wait(60)
                return
            found = re.fullmatch(r"/owner/model/resolve/[^/]+/(.+)", self.path)
            content = hub.files.get(found[1]) if found else None
            status, code = hub.status, hub.error_code
            if status == 200 and content is None:
                status, code = 404, "EntryNotFound"
            if status != 200:
                self.send_response(status)
                self.send_header("X-Error-Code", code)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            assert content is not None
            self._send(content, with_body)

        def _send(self, content: bytes, with_body: bool) -> None:
            begin = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(begin[1]) if begin else 0
            self.send_response(206 if begin else 200)
            size = hub.claimed_bytes or len(content)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{_sha256(content)}"')
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(size - start))
            if begin:
                self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
            self.end_headers()
            if not with_body:
                return
            end = len(content) if hub.cut_after is None else min(len(content), hub.cut_after)
            self.wfile.write(content[start:end])
            if end < len(content):
                self.close_connection = True

    return Handler


@pytest.fixture
def hub() -> Iterator[Hub]:
    served = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(served))
    server.daemon_threads = True
    served.address = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield served
    served.released.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def listing(tmp_path: Path) -> Callable[..., Listing]:
    def make(**hashes: str) -> Listing:
        files = {"onnx/model.onnx": "", "tokenizer.json": ""} | hashes
        return Listing(
            name="small",
            family="sentence",
            licence="MIT",
            dimension=8,
            modalities=("text",),
            source=Source("owner/model", "main", 3.0),
            published={},
            files=files,
            directory=tmp_path / "models" / "small",
        )

    return make


def _is_installed(listing: Listing) -> bool:
    assert listing.is_here == (listing.directory / INSTALLED).exists()
    return listing.is_here


def test_downloads_and_records_files(hub: Hub, listing: Callable[..., Listing]) -> None:
    wanted = listing(**{"tokenizer.json": _sha256(TOKENIZER)})
    assert not _is_installed(wanted)
    assert pull(wanted, endpoint=hub.address) == len(GRAPH) + len(TOKENIZER)
    assert _is_installed(wanted)
    assert (wanted.directory / "onnx" / "model.onnx").read_bytes() == GRAPH
    record = json.loads((wanted.directory / INSTALLED).read_text())
    assert record["commit"] == COMMIT
    assert record["files"]["onnx/model.onnx"] == _sha256(GRAPH)

    asked = len(hub.asked)
    assert pull(wanted, endpoint=hub.address) == len(GRAPH) + len(TOKENIZER)
    assert len(hub.asked) == asked, "what is here and whole is not asked for again"

    (wanted.directory / "onnx" / "model.onnx").write_bytes(b"damaged")
    pull(wanted, endpoint=hub.address)
    assert (wanted.directory / "onnx" / "model.onnx").read_bytes() == GRAPH


def test_a_card_finds_downloaded_files(
    hub: Hub, listing: Callable[..., Listing], tmp_path: Path
) -> None:
    card = tmp_path / "card.toml"
    card.write_text(
        'name = "small"\nfamily = "sentence"\nlicence = "MIT"\npreprocessing = 1\n'
        '[source]\nrepository = "owner/model"\nrevision = "main"\nsize_mb = 3\n'
        '[space]\nname = "small"\ndimension = 8\n[text]\ngraph = "onnx/model.onnx"\n'
        '[text.files]\n"onnx/model.onnx" = ""\n"tokenizer.json" = ""\n'
    )
    with pytest.raises(ModelError, match="trawl models pull small"):
        load_card(card, tmp_path / "models")
    pull(listing(), endpoint=hub.address)
    tower = load_card(card, tmp_path / "models").towers["text"]
    assert tower.path("onnx/model.onnx").read_bytes() == GRAPH
    (tower.directory / "onnx" / "model.onnx").write_bytes(GRAPH[:-1])
    with pytest.raises(ModelError, match="damaged"):
        tower.path("onnx/model.onnx")


def test_resumes_an_interrupted_download(hub: Hub, listing: Callable[..., Listing]) -> None:
    hub.cut_after = 1_000_000
    with pytest.raises(ModelError, match="partial download is kept"):
        pull(listing(), endpoint=hub.address)
    assert not _is_installed(listing())
    hub.cut_after, before = None, len(hub.asked)
    pull(listing(), endpoint=hub.address)
    ranges = [asked for method, _, asked in hub.asked[before:] if method == "GET" and asked]
    assert ranges == ["bytes=1000000-"]
    assert (listing().directory / "onnx" / "model.onnx").read_bytes() == GRAPH


def test_rejects_files_that_differ_from_the_card(hub: Hub, listing: Callable[..., Listing]) -> None:
    wanted = listing(**{"onnx/model.onnx": "0" * 64})
    with pytest.raises(ModelError, match="does not match the card"):
        pull(wanted, endpoint=hub.address)
    assert not _is_installed(wanted)
    assert not (wanted.directory / "onnx" / "model.onnx").exists()


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (404, "EntryNotFound", "a file is not found in.*404"),
        (404, "RepoNotFound", "a file is not found in.*404"),
        (401, "RepoNotFound", "refuses access.*HF_TOKEN"),
        (403, "GatedRepo", "refuses access.*HF_TOKEN"),
        (503, "", "responds with HTTP 503.*try later"),
    ],
)
def test_reports_http_errors(
    hub: Hub, listing: Callable[..., Listing], status: int, code: str, message: str
) -> None:
    hub.status, hub.error_code = status, code
    with pytest.raises(ModelError, match=message):
        pull(listing(), endpoint=hub.address)
    assert not _is_installed(listing())


def test_a_missing_file(hub: Hub, listing: Callable[..., Listing]) -> None:
    del hub.files["tokenizer.json"]
    with pytest.raises(ModelError, match="a file is not found in"):
        pull(listing(), endpoint=hub.address)
    assert not _is_installed(listing())
    assert not any(method == "GET" for method, _, _ in hub.asked), "nothing large came in vain"


def test_a_full_disk(hub: Hub, listing: Callable[..., Listing]) -> None:
    hub.claimed_bytes = 10**15
    with pytest.raises(ModelError, match=r"MB free; make room, or choose another.*--model-dir"):
        pull(listing(), endpoint=hub.address)
    assert not _is_installed(listing())


@pytest.mark.parametrize("how", ["refused", "silent"])
def test_no_network(hub: Hub, listing: Callable[..., Listing], how: str) -> None:
    hub.silent = how == "silent"
    endpoint = hub.address if hub.silent else "http://127.0.0.1:9"
    began = time.monotonic()
    with pytest.raises(ModelError, match=r"cannot be reached.*copy a folder"):
        pull(listing(), endpoint=endpoint)
    assert time.monotonic() - began < 10
    assert not _is_installed(listing())


def test_offline_mode(hub: Hub, tmp_path: Path) -> None:
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": hub.address}
    command = [sys.executable, "-m", "trawl", "models", "pull", "bge-small"]
    found = subprocess.run(
        [*command, "--model-dir", str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 1
    assert "HF_HUB_OFFLINE is set" in found.stderr
    assert not hub.asked


def test_the_command_line_lists_models_and_profiles(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "trawl", "models", "--model-dir", str(tmp_path)]
    plain = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert re.search(r"^mini +here", plain, re.MULTILINE)
    assert re.search(r"^clap +- +163 MB +text\+audio +CC-BY-4.0", plain, re.MULTILINE)
    assert re.search(r"^profile standard: .*MB to download\)$", plain, re.MULTILINE)

    found = json.loads(
        subprocess.run(
            [*command, "--json"], capture_output=True, text=True, timeout=60, check=True
        ).stdout
    )
    by_name = {model["name"]: model for model in found["models"]}
    assert by_name["mini"]["here"]
    assert not by_name["bge-small"]["here"]
    assert set(found["profiles"]["standard"]) <= set(by_name)

    wrong = subprocess.run(
        [sys.executable, "-m", "trawl", "models", "pull", "clapp"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert wrong.returncode == 1
    assert "did you mean 'clap'" in wrong.stderr


def test_towers_are_downloaded_one_by_one(hub: Hub, tmp_path: Path) -> None:
    parts = {"text": ["text.onnx", "tokenizer.json"], "image": ["vision.onnx"]}
    hub.files = {name: name.encode() for names in parts.values() for name in names}
    lines = ['name = "omni"', 'family = "omni"', 'licence = "MIT"', "preprocessing = 1"]
    lines += ["[source]", 'repository = "owner/model"', 'revision = "main"', "size_mb = 3"]
    lines += ["[space]", 'name = "omni"', "dimension = 8"]
    for modality, names in parts.items():
        lines += [f"[{modality}]", f'graph = "{names[0]}"', "size_mb = 2", f"[{modality}.files]"]
        lines += [f'"{name}" = ""' for name in names]
    card, models = tmp_path / "card.toml", tmp_path / "models"
    card.write_text("\n".join(lines), "utf-8")
    with pytest.raises(ModelError, match="some of its towers with --tower"):
        load_card(card, models)

    listing = load_listing(card, models)
    pull(listing.only(["text"]), endpoint=hub.address)
    assert not any("vision" in path for _, path, _ in hub.asked)
    assert listing.here() == ("text",)
    before = load_card(card, models)
    assert before.towers["text"].path("text.onnx").read_bytes() == b"text.onnx"
    advice = r"image tower .* is not downloaded.*\(2 MB\).*trawl models pull omni --tower image"
    with pytest.raises(ModelError, match=advice):
        before.towers["image"].path("vision.onnx")
    with pytest.raises(ModelError, match="has no audio tower; it has: text, image"):
        listing.only(["audio"])

    hub.asked.clear()
    pull(listing.only(["image"]), endpoint=hub.address)
    paths = {path for _, path, _ in hub.asked}
    assert all(f"/resolve/{COMMIT}/" in path for path in paths), "of the commit of the others"
    assert listing.here() == ("text", "image")
    after = load_card(card, models)
    assert after.towers["image"].path("vision.onnx").read_bytes() == b"vision.onnx"
    assert after.space.fingerprint == before.space.fingerprint, "a library can still be opened"


def test_other_models_are_downloaded_as_a_whole(listing: Callable[..., Listing]) -> None:
    with pytest.raises(ModelError, match="downloaded as a whole"):
        listing().only(["text"])
