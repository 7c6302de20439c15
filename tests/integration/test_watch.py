"""`trawl watch`: the library equals the folders, whatever happens to them."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from conftest import Contents, picture, write_collection
from trawl import Library
from trawl.library.watching import Watcher
from trawl.locations import location_of
from trawl.store import write_lock
from trawl.types import Change

TRAWL = Path(sys.executable).parent / "trawl"


class Watch:
    """A running `trawl watch --json`, and the lines that it prints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        assert process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(process.stdout,))
        self._reader.start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self.lines.append(json.loads(line))

    def wait_until(self, condition: Callable[[], bool], within_s: float = 60) -> None:
        until = time.monotonic() + within_s
        while not condition():
            assert self.process.poll() is None, self.lines
            assert time.monotonic() < until, self.lines
            time.sleep(0.05)

    def says(self, text: str) -> bool:
        return any(text in line.get("message", "") for line in self.lines)

    def saw(self, change: str, name: str) -> bool:
        return any(
            line.get("change") == change and Path(line["uri"]).name == name for line in self.lines
        )

    def wait_for(self, change: str, name: str) -> None:
        self.wait_until(lambda: self.saw(change, name))

    def stop(self, how: signal.Signals = signal.SIGINT) -> dict[str, Any]:
        self.process.send_signal(how)
        assert self.process.wait(60) == 0, self.process.stderr and self.process.stderr.read()
        self._reader.join()
        summary: dict[str, Any] = self.lines[-1]["summary"]
        return summary


@contextmanager
def watching(library: Path, *folders: Path, options: tuple[str, ...] = ()) -> Iterator[Watch]:
    process = subprocess.Popen(
        [TRAWL, "watch", *folders, "--library", library, "--json", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    watch = Watch(process)
    try:
        watch.wait_until(lambda: watch.says("watching"))
        yield watch
    finally:
        process.kill()
        process.wait()


def _equal_to_a_clean_run(
    watched: Path, folders: list[Path], tmp_path: Path, contents: Callable[[Path], Contents]
) -> None:
    # Of a watcher that was interrupted, the next writer drops columns that are not used any more.
    with Library(watched) as library, write_lock(library.location) as lock:
        library._store.writer(lock).maintain()
    clean = tmp_path / "clean"
    with Library(clean, create=True) as library:
        library.add(folders)
    found, expected = contents(watched), contents(clean)
    for table in expected:
        assert found[table].keys() == expected[table].keys()
        assert found[table] == expected[table]


def test_files_are_added_changed_moved_and_removed(
    tmp_path: Path, collection: Path, contents: Callable[[Path], Contents]
) -> None:
    (collection / "gone.txt").write_text("A text that will be gone.", "utf-8")
    with Library(tmp_path / "l", create=True) as library:
        library.add(collection)
    (collection / "gone.txt").unlink()
    with watching(tmp_path / "l", collection) as watch:
        assert watch.saw("removed", "gone.txt")  # while nobody watched
        (collection / "new.txt").write_text("A new text about otters.", "utf-8")
        watch.wait_for("added", "new.txt")
        (collection / "bread.txt").write_text("Rye bread takes longer.", "utf-8")
        watch.wait_for("changed", "bread.txt")
        (collection / "long.txt").rename(collection / "figures" / "long.txt")
        watch.wait_for("moved", "long.txt")
        (collection / "beep.wav").unlink()
        watch.wait_for("removed", "beep.wav")
        (collection / "notes.xyz").write_bytes(b"\0\1")
        watch.wait_for("skipped", "notes.xyz")
        (collection / "empty.txt").touch()
        watch.wait_for("failed", "empty.txt")
        (collection / ".hidden.txt").write_text("Nobody sees it.", "utf-8")
        (collection / "empty.txt").write_text("No longer empty.", "utf-8")
        watch.wait_for("added", "empty.txt")
        summary = watch.stop()
    assert summary == {
        "added": 2, "changed": 1, "moved": 1, "removed": 2, "failed": 1, "skipped": 1,
    }  # fmt: skip
    assert not any("hidden" in line.get("uri", "") for line in watch.lines)
    _equal_to_a_clean_run(tmp_path / "l", [collection], tmp_path, contents)


def test_files_that_describe_others(
    tmp_path: Path, collection: Path, contents: Callable[[Path], Contents]
) -> None:
    """Sidecars, tables of a folder, and Markdown files with captions."""
    figures = collection / "figures"
    with watching(tmp_path / "l", collection) as watch:
        (figures / "sunset.jpg.json").write_text('{"caption": "a storm at night"}', "utf-8")
        watch.wait_for("changed", "sunset.jpg")
        watch.lines.clear()
        (figures / "sunset.jpg.json").unlink()
        watch.wait_for("changed", "sunset.jpg")
        (figures / "metadata.csv").write_text("file,year\ndecay.png,1937\n", "utf-8")
        watch.wait_for("changed", "decay.png")
        watch.lines.clear()
        text = (collection / "muons.md").read_text("utf-8")
        (collection / "muons.md").write_text(text.replace("Decay curve", "Spectrum"), "utf-8")
        watch.wait_for("changed", "decay.png")
        watch.lines.clear()
        picture("green", "white").save(figures / "decay.png")  # keeps its caption
        watch.wait_for("changed", "decay.png")
        watch.lines.clear()
        (collection / "muons.md").write_text("# Muons\n\nNo figure any more.\n", "utf-8")
        watch.wait_for("changed", "decay.png")
        watch.stop()
    _equal_to_a_clean_run(tmp_path / "l", [collection], tmp_path, contents)


def test_a_file_that_is_being_written_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    whole = tmp_path / "whole.png"
    picture("red", "blue", (900, 900)).save(whole, compress_level=0)
    data = whole.read_bytes()
    with watching(tmp_path / "l", folder) as watch:
        with (folder / "slow.png").open("wb") as file:
            for start in range(0, len(data), len(data) // 8):
                file.write(data[start : start + len(data) // 8])
                file.flush()
                time.sleep(0.15)
        watch.wait_for("added", "slow.png")
        assert not watch.saw("failed", "slow.png")
        watch.stop(signal.SIGTERM)


def test_another_writer_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    with watching(tmp_path / "l", folder) as watch:
        pass
    (tmp_path / "l" / "trawl.toml").write_text("lock_wait_s = 0.1\n", "utf-8")
    with watching(tmp_path / "l", folder) as watch:
        with write_lock(location_of(tmp_path / "l")):
            (folder / "note.txt").write_text("A note on tides.", "utf-8")
            watch.wait_until(lambda: watch.says("another process is writing"))
        watch.wait_for("added", "note.txt")
        watch.stop()


def test_a_folder_that_goes_and_comes_back_keeps_its_documents(
    tmp_path: Path, contents: Callable[[Path], Contents]
) -> None:
    folder, other = tmp_path / "files", tmp_path / "others"
    for one in (folder, other):
        one.mkdir()
        (one / "note.txt").write_text(f"A note on tides in {one.name}.", "utf-8")
    with watching(tmp_path / "l", folder, other) as watch:
        folder.rename(tmp_path / "away")
        watch.wait_until(lambda: watch.says("is gone"))
        (other / "more.txt").write_text("The other folder goes on.", "utf-8")
        watch.wait_for("added", "more.txt")
        assert not watch.saw("removed", "note.txt")
        (tmp_path / "away" / "new.txt").write_text("Written while it was away.", "utf-8")
        (tmp_path / "away").rename(folder)
        watch.wait_for("added", "new.txt")
        watch.stop()
    _equal_to_a_clean_run(tmp_path / "l", [folder, other], tmp_path, contents)
    shutil.rmtree(folder)
    folder.mkdir()  # as an empty mount point
    with watching(tmp_path / "l", folder) as watch:
        assert watch.says("is empty, but the library has 2 of its files")
        watch.stop()
    with Library(tmp_path / "l") as library:
        assert library.status().documents == 4


def test_what_changes_while_the_watching_begins_anew_is_added(tmp_path: Path) -> None:
    class EnoughError(Exception):
        pass

    folder, other = tmp_path / "files", tmp_path / "others"
    for one in (folder, other):
        one.mkdir()
        (one / "note.txt").write_text(f"A note on tides in {one.name}.", "utf-8")

    def changed(change: Change) -> None:
        if change.uri.endswith("more.txt"):
            raise EnoughError

    def told(message: str) -> None:
        if "is gone" in message:  # the watching of both folders has ended
            (other / "more.txt").write_text("The other folder goes on.", "utf-8")

    with Library(tmp_path / "l", create=True) as library:
        watcher = Watcher(library, [folder, other], changed, told)
        with pytest.raises(EnoughError):
            watcher.run(lambda _: shutil.rmtree(folder))


def test_polling_and_a_library_inside_the_folder(
    tmp_path: Path, contents: Callable[[Path], Contents]
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    with watching(folder / "l", folder, options=("--poll",)) as watch:
        (folder / "note.txt").write_text("A note on tides.", "utf-8")
        watch.wait_for("added", "note.txt")
        (folder / "note.txt").unlink()
        watch.wait_for("removed", "note.txt")
        watch.stop()
    assert not any("/l/" in line.get("uri", "") for line in watch.lines)


@pytest.mark.parametrize(
    ("name", "reason"), [("nowhere", "does not exist"), ("file.txt", "is not a folder")]
)
def test_what_cannot_be_watched(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file.txt").write_text("text", "utf-8")
    done = subprocess.run(
        [TRAWL, "watch", tmp_path / name, "--library", tmp_path / "l"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode in (1, 2)
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.timeout(400)
def test_a_thousand_changes(tmp_path: Path, contents: Callable[[Path], Contents]) -> None:
    """Of all kinds, at random, while the library is searched and a picture is slow to embed."""
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    dice = random.Random(seed)
    folder = tmp_path / "files"
    write_collection(folder)
    with watching(tmp_path / "l", folder) as watch, Library(tmp_path / "l") as reader:
        for number in range(1_000):
            _change_something(folder, dice, number)
            if number % 50 == 0:
                reader.search("tides and rivers")
            time.sleep(dice.choice((0, 0, 0, 0.005, 0.05)))
        (folder / "last.txt").write_text("The last file of all.", "utf-8")
        watch.wait_until(lambda: watch.saw("added", "last.txt"), within_s=200)
        (folder / "last.txt").unlink()  # documents are removed after others are added
        watch.wait_for("removed", "last.txt")
        watch.stop()
    _equal_to_a_clean_run(tmp_path / "l", [folder], tmp_path, contents)


def _change_something(folder: Path, dice: random.Random, number: int) -> None:
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    files = [path for path in folder.rglob("*") if path.is_file()]
    place = dice.choice(folders)
    kind = dice.random()
    if kind < 0.35 or len(files) < 12:
        text = f"Text {number} on the tides of river {dice.randrange(50)}.\n" * dice.randint(1, 9)
        (place / f"text{number}.txt").write_text(text, "utf-8")
    elif kind < 0.42:
        picture("white", dice.choice(("red", "blue", "green")), (64, 48)).save(
            place / f"picture{number}.png"
        )
    elif kind < 0.60:
        file = dice.choice(files)
        if file.suffix == ".txt":
            with file.open("a", encoding="utf-8") as stream:
                stream.write(f"Changed by {number}.\n")
    elif kind < 0.78:
        file = dice.choice(files)
        file.rename(place / f"moved{number}{file.suffix}")
    elif kind < 0.92:
        dice.choice(files).unlink()
    elif kind < 0.96:
        (place / f"folder{number}").mkdir()
        (place / f"folder{number}" / "first.txt").write_text(f"First of {number}.", "utf-8")
    elif place != folder:
        if dice.random() < 0.5:
            place.rename(folder / f"moved-folder{number}")
        elif len(files) > 30:
            shutil.rmtree(place)
    else:
        os.utime(dice.choice(files))
