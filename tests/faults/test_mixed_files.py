"""A folder of files of all formats, among them damaged and hostile ones."""

from __future__ import annotations

import io
import itertools
import json
import random
import re
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from contract.test_reader_contract import ONLY_IF_TEXT, SAMPLES, SUFFIX
from trawl import Library
from trawl.readers import FORMATS

_ADD = """
import sys
import pytest, hostile_readers
hostile_readers.register(pytest.MonkeyPatch())
from trawl.cli.main import run
run()
"""
_INTACT = 447
_PAGES = 1_000
_MODALITY = {format_.media_type: format_.modality for format_ in FORMATS}


def _truncated(data: bytes, dice: random.Random) -> bytes:
    return data[: len(data) // 2]


def _without_head(data: bytes, dice: random.Random) -> bytes:
    return bytes(min(256, len(data) // 2)) + data[min(256, len(data) // 2) :]


def _with_a_hole(data: bytes, dice: random.Random) -> bytes:
    middle = len(data) // 2
    return data[: middle // 2] + bytes(middle) + data[middle // 2 + middle :]


def _with_flipped_bits(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    for place in dice.sample(range(len(data)), max(1, len(data) // 20)):
        changed[place] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _reversed(data: bytes, dice: random.Random) -> bytes:
    return data[::-1]


def _head_alone(data: bytes, dice: random.Random) -> bytes:
    return data[:12]


def _noise(data: bytes, dice: random.Random) -> bytes:
    return dice.randbytes(len(data))


def _behind_its_head_noise(data: bytes, dice: random.Random) -> bytes:
    return data[:64] + dice.randbytes(len(data))


def _doubled_blocks(data: bytes, dice: random.Random) -> bytes:
    step = max(16, len(data) // 7)
    return b"".join(data[at : at + step] * 2 for at in range(0, len(data), step))


def _empty(data: bytes, dice: random.Random) -> bytes:
    return b""


DAMAGE: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _truncated,
    _without_head,
    _with_a_hole,
    _with_flipped_bits,
    _reversed,
    _head_alone,
    _noise,
    _behind_its_head_noise,
    _doubled_blocks,
    _empty,
)


def _bomb(document: bytes) -> bytes:
    """Return a Word document of a few MB that unpacks to 4 GB."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(document)) as whole,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        for name in whole.namelist():
            if name == "word/document.xml":
                with archive.open(name, "w", force_zip64=True) as member:
                    for _ in range(256):
                        member.write(b" " * (1 << 24))
            else:
                archive.writestr(name, whole.read(name))
    return out.getvalue()


def _write(folder: Path) -> list[str]:
    """Write 500 files; return the names of those that cannot be added."""
    samples = {}
    for media_type, write in SAMPLES.items():
        path = folder / f"sample{SUFFIX[media_type]}"
        write(path)
        samples[media_type] = path.read_bytes()
        path.unlink()
    # Each member of an archive is a document of its own.
    archives = {"application/zip", "application/x-tar"}
    kinds = itertools.cycle(one for one in samples if one not in archives)
    for number in range(_INTACT - 1):
        media_type = next(kinds)
        (folder / f"good{number}{SUFFIX[media_type]}").write_bytes(samples[media_type])
    dice = random.Random(5)
    coded = [one for one in samples if not ONLY_IF_TEXT[one] and _MODALITY[one] != "text"]
    for number, damage in zip(range(50), itertools.cycle(DAMAGE), strict=False):
        media_type = coded[number % len(coded)]
        data = damage(samples[media_type], dice)
        (folder / f"damaged{number}{SUFFIX[media_type]}").write_bytes(data)
    _write_long(folder)
    (folder / "bad.hang").write_text("hostile", "utf-8")
    (folder / "bad.crash").write_text("hostile", "utf-8")
    word = next(data for kind, data in samples.items() if "wordprocessing" in kind)
    (folder / "bomb.docx").write_bytes(_bomb(word))
    return ["bad.hang", "bad.crash", "bomb.docx"]


def _write_long(folder: Path) -> None:
    """Write a document of 1,000 pages, as PDF if that is read."""
    if "application/pdf" not in SAMPLES:
        (folder / "long.pages").write_text(f"{_PAGES} 0.002", "utf-8")
        return
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(folder / "long.pdf"))
    for page in range(1, _PAGES + 1):
        for line in range(8):
            text = f"Line {line} of page {page}, on the tides of river {page % 37} in spring."
            canvas.drawString(72, 720 - 14 * line, text)
        canvas.showPage()
    canvas.save()


def _watch_memory(process: subprocess.Popen[str], peaks: list[int]) -> None:
    main = psutil.Process(process.pid)
    while process.poll() is None:
        total = 0
        for one in (main, *main.children(recursive=True)):
            try:
                total += one.memory_full_info().pss
            except psutil.Error:
                continue
        peaks.append(total)
        time.sleep(0.2)


@pytest.mark.timeout(600)
def test_hundreds_of_files_of_which_some_are_hostile(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    hostile = _write(folder)
    assert len(list(folder.iterdir())) == 500
    process = subprocess.Popen(
        [sys.executable, "-c", _ADD, "add", folder, "--library", tmp_path / "l", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"TRAWL_READER_TIMEOUT_S": "20", "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    peaks: list[int] = []
    watch = threading.Thread(target=_watch_memory, args=(process, peaks))
    watch.start()
    out, err = process.communicate()
    watch.join()
    assert process.returncode == 3, err
    report = json.loads(out)
    print(f"{report['added']} added in {report['seconds']:.0f} s, peak {max(peaks) / 2**20:.0f} MB")
    failed = {Path(one["uri"]).name: one["reason"] for one in report["failed"]}
    print("\n".join(f"{name}: {reason}" for name, reason in sorted(failed.items())))
    assert report["added"] >= _INTACT
    assert report["added"] + len(failed) + report["skipped"] == 500
    assert not any(name.startswith(("good", "long")) for name in failed)
    assert set(hostile) <= set(failed)
    assert "ran out of time" in failed["bad.hang"]
    assert "crashed (signal 11" in failed["bad.crash"]
    assert re.search("bytes|memory", failed["bomb.docx"]), failed["bomb.docx"]
    assert all(failed.values())
    assert not any("Error:" in reason.split(":", 1)[0] for reason in failed.values())
    assert max(peaks) < 800 * 2**20
    with Library(tmp_path / "l") as library:
        (long,) = (row for row in library.documents() if Path(row.uri).stem == "long")
        assert library.show(long.document_id).chunks[-1].span.page == _PAGES
        assert {Path(one.uri).name for one in library.status().failed} == set(failed)
