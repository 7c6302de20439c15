"""A file that hangs or crashes its reader costs itself, and nothing else."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import soundfile

import hostile_readers
from conftest import Contents, picture, tone
from trawl import Library
from trawl.readers import child


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    hostile_readers.register(monkeypatch)
    with Library(
        tmp_path / "library",
        create=True,
        freshness_s=0,
        reader_timeout_s=8,
        reader_memory_mb=128,
        reader_workers=2,
    ) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "files"
    path.mkdir()
    for n in range(6):
        picture("white", ("red", "blue", "green")[n % 3]).save(path / f"photo{n}.png")
    soundfile.write(path / "beep.wav", tone(440, 12), 16_000)
    (path / "note.txt").write_text("A note on the tides of the Severn.", "utf-8")
    return path


GOOD = 8
HOSTILE = {
    "bad.hang": r"ran out of time \(8 s without a page\)",
    "bad.hanglate": r"ran out of time \(8 s after page 3\)",
    "bad.crash": r"crashed \(signal 11: segmentation fault\)",
    "bad.crashlate": r"crashed \(signal 11",
    "bad.memory": r"needs more than 128 MB of memory",
    "bad.abort": r"needs more than 128 MB of memory",
    "bad.damaged": "^page 2 is damaged$",
    "bad.odd": "an unexpected error",
}


def _names(library: Library) -> set[str]:
    return {Path(row.uri).name for row in library.documents(failed=False)}


def test_hostile_files_fail_with_their_reason_and_all_others_are_added(
    library: Library, folder: Path
) -> None:
    for name in HOSTILE:
        (folder / name).write_text("hostile", "utf-8")
    report = library.add(folder)
    assert report.added == GOOD
    assert {Path(one.uri).name for one in report.failed} == set(HOSTILE)
    for failure in report.failed:
        assert re.search(HOSTILE[Path(failure.uri).name], failure.reason), failure
    assert library.status().failed == report.failed
    assert library.search("page", modality="text", limit=50).hits[0].uri.endswith("note.txt")
    assert len(_names(library)) == GOOD


def test_a_file_is_stopped_only_without_progress(library: Library, folder: Path) -> None:
    (folder / "long.pages").write_text("50 0.2", "utf-8")  # 10 s, in 50 pages
    (folder / "late.slow").write_text("otters", "utf-8")
    seen: list[tuple[str, int, int | None]] = []
    report = library.add(folder, pages=lambda uri, done, total: seen.append((uri, done, total)))
    assert report.failed == ()
    assert report.added == GOOD + 2
    assert ("one picture is damaged") in {one.notice for one in report.notices}
    long = [(done, total) for uri, done, total in seen if uri.endswith("long.pages")]
    assert long == sorted(long)
    assert long[-1][1] == 50
    (document,) = (row for row in library.documents() if row.uri.endswith("long.pages"))
    assert [chunk.span.page for chunk in library.show(document.document_id).chunks] == list(
        range(1, 51)
    )


def test_a_file_that_ended_its_reader_is_read_again_if_it_changes_or_on_request(
    library: Library, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = folder / "bad.crash"
    bad.write_text("hostile", "utf-8")
    first = library.add(folder)
    assert len(first.failed) == 1

    monkeypatch.setitem(hostile_readers.trawl.readers.READERS, "x/crash", hostile_readers.pages)
    bad.write_text("1 0", "utf-8")
    bad.write_text("hostile", "utf-8")  # unchanged
    assert library.add(folder).failed == first.failed
    assert library.add(folder).unchanged == GOOD

    retried = library.add(folder, retry_failed=True)
    assert (retried.added, retried.unchanged, len(retried.failed)) == (0, 0, 1)
    assert "its reader" not in retried.failed[0].reason  # it was read by the other reader
    bad.write_text("1 0", "utf-8")
    assert library.add(folder).added == 1
    assert library.status().failed == ()


def test_retry_failed_adds_nothing_else(library: Library, folder: Path) -> None:
    (folder / "bad.hang").write_text("hostile", "utf-8")
    (folder / "empty.txt").touch()
    assert len(library.add(folder).failed) == 2
    (folder / "new.txt").write_text("A new text.", "utf-8")
    (folder / "note.txt").write_text("A changed text.", "utf-8")
    (folder / "empty.txt").write_text("No longer empty.", "utf-8")
    report = library.add(folder, retry_failed=True)
    assert (report.added, report.replaced, report.unchanged) == (1, 0, 0)
    assert [Path(one.uri).name for one in report.failed] == ["bad.hang"]
    assert _names(library) >= {"empty.txt", "note.txt"}
    assert "new.txt" not in _names(library)


def test_real_readers_that_are_stopped_or_crashed_from_outside(
    library: Library, folder: Path
) -> None:
    """A long recording keeps its reader busy until a signal arrives."""
    for name in ("stopped.flac", "crashed.flac"):
        soundfile.write(folder / name, tone(440, 1_200), 16_000)
    me = psutil.Process()
    before = {process.pid for process in me.children()}
    seen: dict[str, int] = {}

    def interfere() -> None:
        until = time.monotonic() + 60
        while len(seen) < 2 and time.monotonic() < until:
            for process in me.children():
                if process.pid in before:
                    continue
                try:
                    opened = {Path(file.path).name for file in process.open_files()}
                except psutil.Error:
                    continue
                for name in {"stopped.flac", "crashed.flac"} & opened - set(seen):
                    seen[name] = process.pid
                    process.send_signal(
                        signal.SIGSTOP if name == "stopped.flac" else signal.SIGSEGV
                    )

    thread = threading.Thread(target=interfere)
    thread.start()
    report = library.add(folder)
    thread.join()
    assert report.added == GOOD
    reasons = {Path(one.uri).name: one.reason for one in report.failed}
    assert "ran out of time" in reasons["stopped.flac"]
    assert "signal 11" in reasons["crashed.flac"]


def test_a_crash_caused_by_an_earlier_file_is_not_blamed_on_the_next(
    library: Library, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that waits for work is killed; the next file gets another."""
    library.add(folder / "photo0.png")
    (process,) = library._readers._idle
    os.kill(process._popen.pid, signal.SIGSEGV)
    assert library.add(folder / "photo1.png").added == 1


def test_processes_start_only_for_files_that_need_them(library: Library, folder: Path) -> None:
    before = {process.pid for process in psutil.Process().children()}
    library.add(folder / "note.txt")
    assert {process.pid for process in psutil.Process().children()} == before
    library.add(folder)
    started = [p for p in psutil.Process().children() if p.pid not in before]
    assert 0 < len(started) <= 2
    library.close()
    assert not any(process.is_running() for process in started)


_INTERRUPTED = """
import sys, threading
sys.path.insert(0, {tests!r})
import pytest, hostile_readers
from trawl import Library
hostile_readers.register(pytest.MonkeyPatch())
# No `if __name__ == "__main__"`: reader processes must not run this script again.
print("begun", flush=True)
library = Library(sys.argv[1], create=True)
library.add(sys.argv[2], progress=lambda done, total, uri: print(done, flush=True))
"""


def _children_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if found := psutil.Process(process.pid).children():
            return found
        time.sleep(0.02)
    raise AssertionError("no reader process was started")


@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGKILL])
def test_reader_processes_end_with_a_parent_that_is_interrupted(
    tmp_path: Path, folder: Path, kill: signal.Signals, contents: Callable[[Path], Contents]
) -> None:
    (folder / "zz.hang").write_text("hostile", "utf-8")
    script = tmp_path / "script.py"
    script.write_text(_INTERRUPTED.format(tests=str(Path(__file__).parents[1])), "utf-8")
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "l"), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == str(GOOD):
            break
    children = _children_of(process)
    process.send_signal(kill)
    out, err = process.communicate(timeout=60)
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    assert "begun" not in out
    if kill == signal.SIGINT:
        assert "KeyboardInterrupt" in err
        assert err.count("Traceback") == 1, err
        with Library(tmp_path / "l") as library:  # ended at a commit of what was complete
            assert len(_names(library)) == GOOD


def test_a_message_of_a_reader_process_holds_what_the_reader_returned(tmp_path: Path) -> None:
    """Of every part, with what only processes add to it left out."""
    file = tmp_path / "long.wav"
    soundfile.write(file, tone(440, 12.5), 16_000)
    from trawl.readers import READERS, Limits, read
    from trawl.readers.process import ReaderPool

    request = child.Request(READERS["audio/wav"], file, "audio/wav", Limits(), 5.0, 2.5)
    pool = ReaderPool(30, 1024)
    try:
        with pool.reading(request) as reading:
            (here,) = read(file, "audio/wav").parts
            for there in reading.parts:
                assert there.duration_s == here.duration_s
                windows = zip(there.windows(5, 2.5), here.windows(5, 2.5), strict=True)
                for (start_s, sound), (expected_s, expected) in windows:
                    assert start_s == expected_s
                    assert (sound.samples == expected.samples).all()
    finally:
        pool.close()


def test_a_recording_that_is_damaged_at_its_end(library: Library, folder: Path) -> None:
    """Its first windows have arrived when its reader notices."""
    whole = folder / "beep.flac"
    soundfile.write(whole, tone(440, 60), 16_000)
    data = whole.read_bytes()
    whole.write_bytes(data[: len(data) * 3 // 4])
    (failure,) = library.add(folder).failed
    assert "IndexError" not in failure.reason
    assert re.search("truncated|cannot be decoded", failure.reason)


def test_a_notebook_and_a_script_without_a_file(tmp_path: Path, folder: Path) -> None:
    code = textwrap.dedent(f"""
        from trawl import Library
        with Library({str(tmp_path / "l")!r}, create=True) as library:
            print(library.add({str(folder)!r}).added)
    """)
    done = subprocess.run(
        [sys.executable, "-"], input=code, capture_output=True, text=True, cwd=folder, timeout=60
    )
    assert (done.stdout.strip(), done.stderr) == (str(GOOD), "")


def test_modules_in_the_current_folder_are_not_imported(tmp_path: Path, folder: Path) -> None:
    for name in ("numpy", "pickle", "trawl", "signal"):
        (folder / f"{name}.py").write_text("raise SystemExit(9)", "utf-8")
    trawl = Path(sys.executable).parent / "trawl"
    done = subprocess.run(
        [trawl, "add", ".", "--library", tmp_path / "l"],
        capture_output=True, text=True, cwd=folder, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
