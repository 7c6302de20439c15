"""Unreadable files are reported and skipped."""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from conftest import picture, tone
from trawl import Library


def _png_bomb() -> bytes:
    """Return an image of 30,000 x 30,000 pixels in a few kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    row = zlib.compress(b"\0" * 90_001, 9)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", row) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def _truncated_jpeg(path: Path) -> None:
    picture("red", "blue", (800, 600)).save(path)
    path.write_bytes(path.read_bytes()[:4000])


def _wav_without_samples(path: Path) -> None:
    soundfile.write(path, tone(440, 0)[:0], 16_000)


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty.txt": (lambda path: path.touch(), "empty"),
    "empty.jpg": (lambda path: path.touch(), "empty"),
    "truncated.jpg": (_truncated_jpeg, "truncated|broken|ends"),
    "words.png": (lambda path: path.write_text("only words"), "text"),
    "bomb.png": (lambda path: path.write_bytes(_png_bomb()), "30,000"),
    "silent.wav": (_wav_without_samples, "empty|no audio|no samples"),
    "latin1.txt": (lambda path: path.write_bytes(b"caf\xe9 au lait"), "UTF-8"),
    "noise.mp3": (lambda path: path.write_bytes(bytes(range(256)) * 20), ""),
    "front.md": (lambda path: path.write_text("---\ntitle: a\n---\n"), "no text"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_fails_only_itself(library: Library, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    write, reason = BAD_FILES[name]
    write(folder / name)
    (folder / "good.txt").write_text("A good text between bad ones.", "utf-8")
    picture("white", "black").save(folder / "good.png")

    report = library.add(folder)
    assert report.added == 2
    (failure,) = report.failed
    assert Path(failure.uri).name == name
    assert re.search(reason, failure.reason), failure.reason
    assert library.status().failed == report.failed
    assert {Path(hit.uri).name for hit in library.search("text", limit=50).hits} == {
        "good.txt",
        "good.png",
    }
    again = library.add(folder)
    assert (again.unchanged, again.failed) == (2, report.failed)


def test_a_file_that_becomes_unreadable_loses_its_chunks(library: Library, tmp_path: Path) -> None:
    file = tmp_path / "photo.jpg"
    picture("red", "blue").save(file)
    library.add(file)
    file.write_bytes(file.read_bytes()[:200])
    report = library.add(file)
    assert len(report.failed) == 1
    assert library.status().documents == 0
    assert library.search("photo").hits == ()
    picture("red", "blue").save(file)
    assert library.add(file).added == 1
    assert library.status().failed == ()


def test_a_missing_path(library: Library, tmp_path: Path) -> None:
    report = library.add([tmp_path / "nowhere", tmp_path])
    assert [Path(failure.uri).name for failure in report.failed] == ["nowhere"]


def test_an_unsupported_file_is_skipped_in_a_folder_and_fails_if_named(
    library: Library, tmp_path: Path
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "data.json").write_text("{}\n")
    report = library.add(folder)
    assert (report.skipped, report.skipped_types, report.failed) == (1, {".json": 1}, ())
    (failure,) = library.add(folder / "data.json").failed
    assert failure.reason == (".json is structured data, which is not read; write it as JSON lines")


def test_failures_are_removed_once_their_cause_is_gone(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for name in ("one.txt", "two.txt", "three.txt"):
        (folder / name).touch()
    library.add(folder)
    assert len(library.status().failed) == 3
    (folder / "one.txt").write_text("No longer empty.", "utf-8")
    (folder / "two.txt").unlink()
    library.add(folder)
    assert [Path(failure.uri).name for failure in library.status().failed] == ["three.txt"]
    assert library.status().documents == 1


def test_a_file_emptied_after_it_was_added(library: Library, tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    file.write_text("Something about otters.", "utf-8")
    library.add(file)
    file.write_text("", "utf-8")
    assert len(library.add(file).failed) == 1
    assert library.search("otters").hits == ()
    assert library.status().documents == 0


def test_an_unreadable_folder_is_reported_and_keeps_its_documents(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests may run as root, which ignores permissions, so `scandir` raises instead."""
    folder = tmp_path / "files"
    (folder / "closed").mkdir(parents=True)
    (folder / "closed" / "note.txt").write_text("Behind a closed door.", "utf-8")
    library.add(folder)
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    report = library.add(folder, prune=True)
    assert report.removed == 0
    (failure,) = report.failed
    assert failure.uri.endswith("closed")
    assert "Permission denied" in failure.reason
    assert library.status().failed == report.failed
    assert len(library.search("closed door").hits) == 1
    monkeypatch.undo()
    assert library.add(folder).failed == ()
    assert library.status().failed == ()
