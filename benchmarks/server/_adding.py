"""Add files to a server while something else is measured."""

from __future__ import annotations

import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import httpx
from _load import Served

import common

FILES_AT_ONCE = 100
"""Files per request: half figures, half texts of 20 passages."""

Form: TypeAlias = list[tuple[str, tuple[str, bytes]]]
Add: TypeAlias = Callable[[httpx.Client, Form], None]


def forms(folder: Path) -> Iterator[Form]:
    """Yield forms of new files without end. `folder` is a working directory."""
    words = common.sentences()
    pictures = sorted((common.place() / "pictures-to-add").glob("*.jpg"))
    if not pictures:
        common.write_pictures(common.place() / "pictures-to-add", 300)
        pictures = sorted((common.place() / "pictures-to-add").glob("*.jpg"))
    at = 0
    while True:
        form: Form = []
        texts = folder / "more"
        shutil.rmtree(texts, ignore_errors=True)
        common.write_texts(texts, FILES_AT_ONCE // 2, words, uuid.uuid4().int)
        for path in sorted(texts.rglob("*.txt")):
            form.append(("files", (f"{uuid.uuid4().hex}.txt", path.read_bytes())))
        for _ in range(FILES_AT_ONCE // 2):
            picture, at = pictures[at % len(pictures)], at + 1
            # Bytes after the end of a JPEG are ignored, and make it a different file.
            content = picture.read_bytes() + uuid.uuid4().bytes
            form.append(("files", (f"{uuid.uuid4().hex}.jpg", content)))
        yield form


def add_to_trawl(client: httpx.Client, form: Form) -> None:
    """Add files in a job and wait for its end."""
    job = client.post("/v1/documents", files=form).raise_for_status().headers["location"]
    while (state := client.get(job).json()["state"]) not in ("done", "failed"):
        time.sleep(0.25)
    assert state == "done", client.get(job).json()


def add_to_tutorial(client: httpx.Client, form: Form) -> None:
    """Add files in one request."""
    client.post("/ingest", files=form).raise_for_status()


@contextmanager
def adding(served: Served, folder: Path, add: Add) -> Iterator[Callable[[], float]]:
    """Add files while the block runs; yield a function that returns the files per second.

    The last request is completed, so that all its files count.
    """
    stop, ended, added = threading.Event(), [0.0], [0]
    made = forms(folder)
    form = next(made)
    began = time.perf_counter()

    def run() -> None:
        nonlocal form
        with httpx.Client(base_url=served.address, timeout=600) as client:
            while not stop.is_set():
                add(client, form)
                added[0] += len(form)
                ended[0] = time.perf_counter() - began
                form = next(made)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.5)
    try:
        yield lambda: added[0] / ended[0] if added[0] else 0.0
    finally:
        stop.set()
        thread.join()


@contextmanager
def copied(library: Path) -> Iterator[Path]:
    """Yield a copy of a library, so that added files do not affect the next run."""
    folder = library.parent / "measured"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(library, folder / "library")
    try:
        yield folder / "library"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
