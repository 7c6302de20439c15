"""Readers that hang, crash and take memory, as damaged files make real ones do.

`register` adds them as formats. Reader processes import this module by its name.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import trawl.readers
from trawl.errors import ReadError
from trawl.readers import Format, Limits
from trawl.types import Part, Passages, Reading


def hang(path: Path, limits: Limits) -> Reading:
    time.sleep(600)
    raise AssertionError


def hang_after_pages(path: Path, limits: Limits) -> Reading:
    def parts() -> Iterator[Part]:
        for page in (1, 2, 3):
            limits.progress(page, 9)
            yield Passages(f"Page {page} of a file that hangs.", page=page)
            time.sleep(0.1)
        time.sleep(600)

    return Reading("x/hang-late", path.stem, parts())


def crash(path: Path, limits: Limits) -> Reading:
    ctypes.string_at(0)
    raise AssertionError


def crash_after_pages(path: Path, limits: Limits) -> Reading:
    def parts() -> Iterator[Part]:
        yield Passages("The first page of a file that crashes its reader.", page=1)
        ctypes.string_at(0)

    return Reading("x/crash-late", path.stem, parts())


def take_memory(path: Path, limits: Limits) -> Reading:
    hoard = []
    while True:
        hoard.append(np.ones(1 << 23, np.uint8))


def abort_without_memory(path: Path, limits: Limits) -> Reading:
    """Crash as libraries in C++ and Rust do when they get no memory."""
    hoard = []
    try:
        while True:
            hoard.append(np.ones(1 << 23, np.uint8))
            time.sleep(0.005)
    except MemoryError:
        time.sleep(0.3)
        ctypes.CDLL(None).abort()
    raise AssertionError


def pages(path: Path, limits: Limits) -> Reading:
    """Read a number of pages that the file states, each of which takes a while."""
    count, seconds = path.read_text().split()

    def parts() -> Iterator[Part]:
        for page in range(1, int(count) + 1):
            time.sleep(float(seconds))
            limits.progress(page, int(count))
            yield Passages(f"Page {page} of {count}, about the tides of the Severn.", page=page)
        late.append("one picture is damaged")

    late: list[str] = []
    return Reading("x/pages", path.stem, parts(), late_notices=late)


def slow_start(path: Path, limits: Limits) -> Reading:
    """Take long before the first part, but say so."""
    for second in range(10):
        limits.progress(second)
        time.sleep(1)
    return Reading("x/slow", path.stem, (Passages("At last, a text about otters."),))


def damaged(path: Path, limits: Limits) -> Reading:
    def parts() -> Iterator[Part]:
        yield Passages("A page that can be read.")
        raise ReadError("page 2 is damaged")

    return Reading("x/damaged", path.stem, parts())


def raise_odd(path: Path, limits: Limits) -> Reading:
    def parts() -> Iterator[Part]:
        yield Passages("A page that can be read.")
        raise OSError("an unexpected error")

    return Reading("x/odd", path.stem, parts())


_READERS = {
    ".hang": hang,
    ".hanglate": hang_after_pages,
    ".crash": crash,
    ".crashlate": crash_after_pages,
    ".memory": take_memory,
    ".abort": abort_without_memory,
    ".pages": pages,
    ".slow": slow_start,
    ".damaged": damaged,
    ".odd": raise_odd,
}


def register(monkeypatch: pytest.MonkeyPatch) -> None:
    for suffix, reader in _READERS.items():
        media_type = f"x/{suffix[1:]}"
        format_ = Format(media_type, "text", f"a {suffix} file", frozenset({suffix}), reader)
        monkeypatch.setitem(trawl.readers.READERS, media_type, reader)
        monkeypatch.setitem(trawl.readers._BY_SUFFIX, suffix, format_)
