"""A real server under abuse: bounded memory and disk, and other clients are still served."""

from __future__ import annotations

import io
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from trawl.library import Library

TRAWL = Path(sys.executable).parent / "trawl"
MAX_CONNECTIONS = 300
MAX_UPLOAD = 1_000_000
BODY_S = 3.0
QUESTION = {"query": "muon"}
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'


class Server:
    """`trawl serve` on a free port, with small limits."""

    def __init__(self, library: Path, temporary: Path) -> None:
        temporary.mkdir()
        self.temporary = temporary
        self.process = subprocess.Popen(
            [str(TRAWL), "serve", "--library", str(library), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ
            | {
                "TMPDIR": str(temporary),
                "TRAWL_RATE_LIMIT": "",
                "TRAWL_MAX_CONNECTIONS": str(MAX_CONNECTIONS),
                "TRAWL_MAX_UPLOAD_BYTES": str(MAX_UPLOAD),
                "TRAWL_UPLOAD_TIMEOUT_S": str(BODY_S),
            },
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://([\d.]+):(\d+)", line)
        assert found, line
        self.address, self.peer = found[0], (found[1], int(found[2]))
        with httpx.Client(base_url=self.address) as client:
            while client.get("/health").status_code != 200:
                time.sleep(0.02)
            client.get("/search", params=QUESTION).raise_for_status()

    def memory_mb(self, *, with_adder: bool = True) -> float:
        """Resident memory; the job process stays for a minute after a job."""
        every = [psutil.Process(self.process.pid)]
        if with_adder:
            every += every[0].children(recursive=True)
        return sum(one.memory_info().rss for one in every) / 1e6

    def disk_bytes(self) -> int:
        """Bytes of uploads in progress; unnamed files are found through open descriptors."""
        held = 0
        for link in Path(f"/proc/{self.process.pid}/fd").iterdir():
            # The server can close a descriptor at any moment.
            with suppress(FileNotFoundError):
                if os.readlink(link).startswith(str(self.temporary)):
                    held += os.stat(link).st_size
        return held

    def asks(self) -> httpx.Client:
        return httpx.Client(base_url=self.address, timeout=30)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("abused")
    note = folder / "muon.txt"
    note.write_text("The muon decays into an electron and two neutrinos.", "utf-8")
    with Library(folder / "lib", create=True) as library:
        library.add(note)
    served = Server(folder / "lib", folder / "tmp")
    yield served
    served.process.terminate()
    assert served.process.wait(15) == 0


@pytest.fixture(autouse=True)
def _is_unharmed(server: Server) -> Iterator[None]:
    """Check that the server responds and that its memory has not grown."""
    before = server.memory_mb(with_adder=False)
    yield
    with server.asks() as client:
        assert client.get("/search", params=QUESTION).status_code == 200
    assert server.memory_mb(with_adder=False) < before + 150


def start_of_upload(length: int | None = None, path: str = "/search-by-image") -> bytes:
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return (
        f"POST {path} HTTP/1.1\r\nHost: trawl\r\n{size}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    ).encode()


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def test_slow_clients_do_no_harm(server: Server) -> None:
    slow = [socket.create_connection(server.peer, timeout=30) for _ in range(100)]
    for number, connection in enumerate(slow):
        # Half are slow with the head, half with the body.
        connection.sendall(b"GET /search?query=" if number % 2 else start_of_upload(10_000) + PART)
    with server.asks() as client:
        until = time.monotonic() + BODY_S + 1
        asked = 0
        while time.monotonic() < until:
            for connection in slow:
                try:
                    connection.send(b"a")
                except OSError:
                    continue  # given up already, as it should be
            assert client.get("/search", params=QUESTION).status_code == 200
            asked += 1
            time.sleep(0.1)
        assert asked > 5
    # Bodies had their time; heads have more of it, and are let go as they are.
    statuses = {status_of(connection.recv(4096)) for connection in slow[::2]}
    assert statuses == {408}
    for connection in slow:
        connection.close()


@pytest.mark.parametrize("stated", [True, False])
def test_two_gigabytes_are_refused_early(server: Server, stated: bool) -> None:
    size = 2 * 2**30
    most_on_disk, sent, answer = 0, 0, b""
    block = b"a" * 65_536
    with socket.create_connection(server.peer, timeout=30) as connection:
        connection.sendall(start_of_upload(size if stated else None))
        while sent < size:
            piece = PART if sent == 0 else block
            try:
                connection.sendall(piece if stated else b"%x\r\n%s\r\n" % (len(piece), piece))
            except OSError:
                break
            sent += len(piece)
            most_on_disk = max(most_on_disk, server.disk_bytes())
            connection.settimeout(0.001)
            try:
                answer = connection.recv(65_536)
            except TimeoutError:
                pass
            except OSError:
                break
            if answer:
                break
            connection.settimeout(30)
        if not answer:
            connection.settimeout(5)
            answer = connection.recv(65_536)
    assert status_of(answer) == 413
    # What the kernel holds on the way is sent, too.
    assert sent < MAX_UPLOAD + 20_000_000
    assert most_on_disk < MAX_UPLOAD + 200_000
    assert server.disk_bytes() == 0


def test_endless_parts_are_refused(server: Server) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\na\r\n'
    with server.asks() as client:
        refused = client.post(
            "/v1/documents",
            content=part * 9_000,
            headers={"Content-Type": "multipart/form-data; boundary=x"},
        )
        assert refused.status_code in (400, 413, 422)
        fields = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n'
        refused = client.post(
            "/search-by-image",
            content=fields * 9_000,
            headers={"Content-Type": "multipart/form-data; boundary=x"},
        )
        assert refused.status_code in (400, 413, 422)
        assert refused.headers["content-type"] == "application/problem+json"
    assert server.disk_bytes() == 0


def bomb(side: int = 30_000) -> bytes:
    """Return a PNG of a few megabytes that decodes to three bytes per pixel."""

    def piece(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    compress = zlib.compressobj(9)
    data = b"".join(compress.compress(bytes(1_000_000)) for _ in range(300)) + compress.flush()
    return (
        b"\x89PNG\r\n\x1a\n" + piece(b"IHDR", header) + piece(b"IDAT", data) + piece(b"IEND", b"")
    )


def test_a_decompression_bomb_fails_alone(server: Server) -> None:
    files = [
        ("files", ("bomb.png", bomb())),
        ("files", ("kaon.txt", b"The kaon has a strange quark.")),
    ]
    with server.asks() as client:
        job = client.post("/v1/documents", files=files).headers["location"]
        peak = 0.0
        until = time.monotonic() + 60
        while (found := client.get(job).json())["state"] not in ("done", "failed"):
            peak = max(peak, server.memory_mb())
            assert time.monotonic() < until, found
            time.sleep(0.05)
        assert found["state"] == "done", found
        assert found["report"]["added"] == 1
        [failure] = found["report"]["failed"]
        assert "30,000 x 30,000" in str(failure)
        # 2.7 GB, had it been decoded.
        assert peak < 1_500
        assert client.post("/search-by-image", files={"file": ("a.png", bomb())}).status_code == 415


def test_a_flood_of_connections_does_no_harm(server: Server) -> None:
    with server.asks() as client:
        client.get("/health/live").raise_for_status()  # here before the flood
        flood = [connected(server) for _ in range(MAX_CONNECTIONS + 50)]
        # One that comes now is told so at once, in words that a program understands.
        late = httpx.get(f"{server.address}/health/live", timeout=10)
        assert late.status_code == 503
        assert late.headers["content-type"] == "application/problem+json"
        flood += [connected(server) for _ in range(3 * MAX_CONNECTIONS)]
        for _ in range(20):
            assert client.get("/search", params=QUESTION).status_code == 200
    for connection in flood:
        connection.close()
    until = time.monotonic() + 20
    while not _answers(server):
        assert time.monotonic() < until
        time.sleep(0.1)


def connected(server: Server) -> socket.socket:
    return socket.create_connection(server.peer, timeout=30)


def _answers(server: Server) -> bool:
    try:
        return httpx.get(f"{server.address}/health/live", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def test_disconnects_leave_nothing_behind(server: Server) -> None:
    def go_away() -> None:
        for _ in range(20):
            with socket.create_connection(server.peer, timeout=30) as connection:
                connection.sendall(start_of_upload(500_000, "/v1/documents"))
                connection.sendall(b'--x\r\nContent-Disposition: form-data; name="files"; ')
                connection.sendall(b'filename="a.txt"\r\n\r\n' + b"a" * 100_000)

    threads = [threading.Thread(target=go_away) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until = time.monotonic() + 20
    while server.disk_bytes() or any(server.temporary.iterdir()):
        assert time.monotonic() < until, list(server.temporary.iterdir())
        time.sleep(0.1)
    with server.asks() as client:
        listed = client.get("/v1/documents").json()
    assert {document["source"] for document in listed["documents"]} <= {
        "muon.txt",
        "kaon.txt",
        "bomb.png",
    }


def test_a_picture_of_many_frames_is_harmless(server: Server) -> None:
    from PIL import Image

    frames = [Image.new("L", (400, 400), shade % 256) for shade in range(300)]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    with server.asks() as client:
        answer = client.post("/search-by-image", files={"file": ("a.gif", stream.getvalue())})
    assert answer.status_code == 200
