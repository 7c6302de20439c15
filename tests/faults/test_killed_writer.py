"""A writer killed at any moment, and run again, leaves what one clean run leaves."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from conftest import Contents, picture, tone
from contract.test_reader_contract import SAMPLES, SUFFIX
from trawl import Library

_ADD = """
import sys
import trawl.ingest.pipeline as pipeline
from trawl import Library
pipeline._COMMIT_CHUNKS = 8  # many commits, so that a kill falls between any two steps
with Library(sys.argv[1], create=True) as library:
    print("begun", flush=True)
    library.add(sys.argv[2])
    print("done", flush=True)
"""


def _start(library: Path, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _ADD, str(library), str(folder)], stdout=subprocess.PIPE, text=True
    )


def _write(folder: Path, version: int) -> None:
    folder.mkdir(exist_ok=True)
    for n in range(24):
        lines = 3 + (n * 7 + version * 5) % 30
        (folder / f"text{n}.txt").write_text(
            "\n".join(f"Line {i} of text {n}, edition {version}, on tides." for i in range(lines)),
            "utf-8",
        )
    for n in range(6):
        picture("white", ("red", "blue", "green")[(n + version) % 3]).save(folder / f"p{n}.png")


def _write_mixed(folder: Path, version: int) -> None:
    """Write files of many formats, which reader processes read, and two that cannot be read."""
    folder.mkdir(exist_ok=True)
    for n, media_type in enumerate(SAMPLES):
        if n % 3 != version:  # so that files also come and go
            SAMPLES[media_type](folder / f"sample{SUFFIX[media_type]}")
    for n in range(4):
        lines = (f"Line {i} of text {n}, edition {version}, on tides." for i in range(9))
        (folder / f"text{n}.txt").write_text("\n".join(lines), "utf-8")
        soundfile.write(folder / f"sound{n}.flac", tone(300 + 50 * version, 20 + n), 16_000)
    picture("white", "red").save(folder / "cut.jpg")
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:200])
    (folder / "empty.wav").touch()


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("write", "attempts", "longest_s"),
    [(_write, 5, 0.6), (_write_mixed, 10, 2.0)],
    ids=["texts and pictures", "all formats"],
)
def test_killed_at_random_moments(
    tmp_path: Path,
    contents: Callable[[Path], Contents],
    write: Callable[[Path, int], None],
    attempts: int,
    longest_s: float,
) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    moments = random.Random(seed)
    folder = tmp_path / "files"
    killed = tmp_path / "killed"
    kills = 0
    for version in (1, 2):
        write(folder, version)
        for attempt in range(attempts + 15):
            process = _start(killed, folder)
            assert process.stdout is not None
            if attempt < attempts:
                process.stdout.readline()
                time.sleep(moments.uniform(0, longest_s))
                process.send_signal(signal.SIGKILL)
            ended = process.wait()
            process.stdout.close()
            kills += ended == -signal.SIGKILL
            if ended == 0:
                break
        assert ended == 0
        clean = tmp_path / f"clean{version}"
        with Library(clean, create=True) as library:
            failed = {Path(one.uri).name for one in library.add(folder).failed}
        assert failed <= {"cut.jpg", "empty.wav"}
        assert contents(killed) == contents(clean)
    assert kills > 0


def test_killed_between_the_commits_of_a_batch(
    tmp_path: Path, contents: Callable[[Path], Contents], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks are in, their document is not: what the next writer finds after a kill."""
    from trawl.store import writer

    folder = tmp_path / "files"
    _write(folder, 1)
    upsert = writer._upsert

    def stop_before_documents(dataset: object, table: object, key: str, *rest: object) -> None:
        if key == "document_id":
            raise KeyboardInterrupt
        upsert(dataset, table, key, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(writer, "_upsert", stop_before_documents)
    with Library(tmp_path / "killed", create=True) as library:
        with pytest.raises(KeyboardInterrupt):
            library.add(folder)
        monkeypatch.undo()
        assert library.status().documents == 0
        # The files that were half in are gone meanwhile; so must their chunks be.
        shutil.rmtree(folder)
        folder.mkdir()
        (folder / "new.txt").write_text("Something else.", "utf-8")
        library.add(folder)
    with Library(tmp_path / "clean", create=True) as library:
        library.add(folder)
    assert contents(tmp_path / "killed") == contents(tmp_path / "clean")
