"""Records: documents without files, from Python and from a pipe."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trawl import Library
from trawl.errors import NotFoundError, UsageError
from trawl.library import records as records_module
from trawl.types import Sound

CERN = Path(__file__).parents[2].parent / "shared" / "data" / "cern_opendata" / "records.jsonl"


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library(tmp_path / "lib", create=True, freshness_s=0) as library:
        yield library


def noise(mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def png() -> bytes:
    out = io.BytesIO()
    noise().save(out, "PNG")
    return out.getvalue()


def reasons(report: Any) -> dict[str, str]:
    return {failure.uri: failure.reason for failure in report.failed}


def test_a_record_is_found_filtered_shown_and_removed(library: Library) -> None:
    record = {
        "uri": "note:1",
        "text": "A muon decays.",
        "metadata": {"year": 2019, "run": {"energy": "8TeV"}},
        "draft": True,
    }
    report = library.add_records(record)
    assert (report.added, report.chunks, report.failed) == (1, 1, ())
    (hit,) = library.search("muon", where="year >= 2015 and run.energy = '8TeV' and draft = true")
    assert (hit.uri, hit.title) == ("note:1", "A muon decays.")
    assert library.show("note:1").document.metadata == {
        "year": 2019,
        "run.energy": "8TeV",
        "draft": True,
    }
    with pytest.raises(NotFoundError, match="added as a record, which has no file"):
        library.original(hit.chunk_id)
    assert library.remove("note:1") == 1
    assert library.documents() == []


def test_records_are_skipped_or_replaced_by_uri(library: Library) -> None:
    library.add_records([{"uri": "a", "text": "Muons."}, {"uri": "b", "data": png()}])
    again = library.add_records([{"uri": "a", "text": "Muons."}, {"uri": "b", "data": png()}])
    assert (again.unchanged, again.added, again.replaced) == (2, 0, 0)
    changed = library.add_records(
        [{"uri": "a", "text": "Pions."}, {"uri": "b", "data": png(), "year": 2020}]
    )
    assert (changed.replaced, changed.unchanged) == (2, 0)
    assert [hit.uri for hit in library.search("pions", modality="text")] == ["a"]
    assert len(library.documents()) == 2


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "F", "HSV"])
def test_pictures_of_every_mode(library: Library, mode: str) -> None:
    for _ in range(2):
        report = library.add_records({"uri": "p", "data": noise(mode), "caption": "Noise"})
        assert report.failed == ()
    assert report.unchanged == 1
    (chunk,) = library.show("p").chunks
    assert (chunk.modality, chunk.text, chunk.detail) == ("image", "Noise", "60 × 40 px")


def test_arrays_bytes_and_sounds(library: Library, tmp_path: Path) -> None:
    tone = 0.3 * np.sin(np.arange(2 * 16_000) * 0.3)
    file = tmp_path / "file.png"
    file.write_bytes(png())
    records = [
        {"uri": "grey", "data": np.asarray(noise("L"))},
        {"uri": "real", "data": np.asarray(noise("RGB")) / 255},
        {"uri": "bytes", "data": png()},
        {"uri": "view", "data": memoryview(png())},
        {"uri": "path", "path": file},
        {"uri": "base64", "base64": base64.b64encode(png()).decode()},
        {"uri": "pair", "data": (tone, 16_000)},
        {"uri": "stereo", "data": (np.stack([tone, -tone], 1).astype(np.float32), 16_000)},
        {"uri": "pcm", "data": ((tone * 30_000).astype(np.int16), 16_000)},
        {"uri": "sound", "data": Sound(tone.astype(np.float32), 16_000)},
        {"uri": "table.csv", "data": b"name,note\nmuon,heavy\n"},
        {"uri": "arxiv:2401.12345", "data": b"Plain text."},
        {"uri": "web", "text": "# Head\n\nHello *you*", "media_type": "text/markdown"},
    ]
    for _ in range(2):  # encoding does not depend on the time
        report = library.add_records(records)
        assert report.failed == ()
    assert report.unchanged == len(records)
    kinds = {row.uri: row.media_type for row in library.documents()}
    assert kinds["grey"] == kinds["path"] == kinds["base64"] == "image/png"
    assert {kinds[name] for name in ("pair", "stereo", "pcm", "sound")} == {"audio/wav"}
    assert kinds["table.csv"] == "text/csv"
    titles = {row.uri: row.title for row in library.documents()}
    assert (titles["web"], titles["grey"], titles["arxiv:2401.12345"]) == (
        "Head",
        "grey",
        "Plain text.",
    )
    assert "silent" not in str([row.notices for row in library.documents()])


def test_a_row_of_data_without_content_is_its_fields(library: Library) -> None:
    library.add_records({"uri": 7, "name": "Muon", "mass": {"MeV": 105.7}, "tags": ["lepton"]})
    (chunk,) = library.show("7").chunks
    assert chunk.text == "name: Muon\nmass.MeV: 105.7\ntags: lepton"
    assert chunk.metadata == {"name": "Muon", "mass.MeV": 105.7, "tags": ["lepton"]}
    assert chunk.title == "7"


def test_bad_records_are_named_and_stop_nothing(library: Library, tmp_path: Path) -> None:
    report = library.add_records(
        [
            {"text": "no uri"},
            {"uri": "/etc/hosts", "text": "x"},
            {"uri": "0123456789abcdef01234567", "text": "x"},
            {"uri": "a\nb", "text": "x"},
            5,  # type: ignore[list-item]
            {"uri": "both", "text": "x", "path": "y"},
            {"uri": "none"},
            {"uri": "b64", "base64": "***"},
            {"uri": "gone", "path": str(tmp_path / "gone")},
            {"uri": "torn", "data": png()[:200]},
            {"uri": "what", "data": object()},
            {"uri": "lone", "text": "\ud800"},
            {"uri": "meta", "text": "x", "metadata": 3},
            {"uri": "doc.doc", "data": b"\xd0\xcf\x11\xe0"},
            {"uri": "good", "text": "Muons."},
            {"uri": "good", "text": "Again."},
        ]
    )
    assert report.added == 1
    found = reasons(report)
    assert found["record 1"] == "has no uri; name the key that identifies a record"
    assert "put it under path" in found["record 2"]
    assert "form of a document id" in found["record 3"]
    assert "cannot be printed" in found["record 4"]
    assert found["record 5"] == "a record is a mapping, not a int"
    assert found["both (record 6)"].startswith("has text and path")
    assert found["none (record 7)"].startswith("is empty")
    assert found["b64 (record 8)"].startswith("base64 is not valid")
    assert found["gone (record 9)"].endswith("No such file or directory")
    assert "torn" in found
    assert "not a object" in found["what (record 11)"]
    assert "lone surrogate" in found["lone (record 12)"]
    assert "not a int" in found["meta (record 13)"]
    assert "office document" in found["doc.doc (record 14)"]
    assert found["good (record 16)"] == "the uri is that of record 15, which is kept"
    assert len(found) == 15
    with pytest.raises(UsageError, match="records are mappings"):
        library.add_records("text")  # type: ignore[arg-type]


def test_add_names_the_method_for_records(library: Library) -> None:
    for wrong in ({"uri": "a"}, noise(), np.zeros((3, 3)), [{"uri": "a"}], 5):
        with pytest.raises(UsageError, match="add_records"):
            library.add(wrong)  # type: ignore[arg-type]


def test_records_are_read_lazily_in_batches(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records_module, "_BATCH_RECORDS", 10)
    folders: list[str] = []
    written = records_module._Spool.write

    def write(spool: Any, content: bytes, name: str) -> Path:
        path = written(spool, content, name)
        folders.append(str(path.parents[1]))
        return path

    monkeypatch.setattr(records_module._Spool, "write", write)
    taken, done = [0], [0]

    def endless() -> Iterator[dict[str, Any]]:
        for number in range(35):
            taken[0] = number + 1
            assert number - done[0] <= 10
            yield {"uri": f"n:{number}", "text": f"Note {number}"}

    def progress(so_far: int, total: int, uri: str) -> None:
        done[0] = so_far
        assert so_far <= total <= taken[0]

    report = library.add_records(endless(), progress=progress)
    assert (report.added, done[0]) == (35, 35)
    assert len(set(folders)) == 4
    assert not any(os.path.exists(folder) for folder in folders)


def test_an_error_of_the_iterable_is_raised_and_what_was_added_stays(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records_module, "_BATCH_RECORDS", 2)

    def broken() -> Iterator[dict[str, Any]]:
        yield {"uri": "a", "text": "Muons."}
        yield {"uri": "b", "text": "Pions."}
        raise ValueError("the source broke")

    with pytest.raises(ValueError, match="the source broke"):
        library.add_records(broken())
    assert [row.uri for row in library.documents()] == ["a", "b"]
    assert library.add_records({"uri": "c", "text": "Kaons."}).added == 1


def test_pruning_folders_keeps_records(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.txt").write_text("Muons.")
    library.add_records({"uri": "files/a.txt", "text": "Pions."})
    library.add(folder)
    (folder / "a.txt").unlink()
    for root in (folder, tmp_path):
        library.add(root, prune=True)
    assert [row.uri for row in library.documents()] == ["files/a.txt"]


def test_records_and_files_of_the_same_content_are_not_moves(
    library: Library, tmp_path: Path
) -> None:
    file = tmp_path / "a.txt"
    file.write_text("Muons.", "utf-8")
    library.add(file)
    file.unlink()
    assert library.add_records({"uri": "one", "text": "Muons."}).moved == 0
    assert library.add_records({"uri": "two", "text": "Muons."}).moved == 0
    other = tmp_path / "b.txt"
    other.write_text("Muons.", "utf-8")
    assert library.add(other).moved == 1
    assert [row.uri for row in library.documents()] == [str(other), "one", "two"]


def test_metadata_for_all_records_is_kept_and_taken_back(library: Library) -> None:
    record = {"uri": "a", "text": "Muons.", "year": 2019}
    library.add_records(record, metadata={"run": 7, "year": 2020})
    library.add_records(record)
    assert library.show("a").document.metadata == {"year": 2020, "run": 7}
    library.add_records(record, metadata={"year": None})
    assert library.show("a").document.metadata == {"year": 2019, "run": 7}


def run(place: Path, stdin: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "trawl", "add", "-", *arguments],
        input=stdin,
        cwd=place,
        capture_output=True,
        timeout=120,
    )


def test_lines_from_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "pic.png").write_bytes(png())
    lines = [
        b'\xef\xbb\xbf{"uri": "a", "text": "A muon decays.", "year": 2019}',
        b"",
        b"nonsense",
        b'{"text": "no uri"}',
        b"\xff\xfe",
        b'{"uri": "pic", "path": "pic.png", "caption": "Noise"}',
        b'{"uri": "bytes", "base64": "' + base64.b64encode(png()) + b'"}',
        b"[1]",
    ]
    done = run(tmp_path, b"\n".join(lines), "--json", "--meta", "source=pipe")
    assert done.returncode == 3
    report = json.loads(done.stdout)
    assert report["added"] == 3
    assert {one["uri"]: one["reason"] for one in report["failed"]} == {
        "line 3": "not valid JSON at column 1: Expecting value",
        "line 4": "has no uri; name the key that identifies a record",
        "line 5": "not valid UTF-8 at byte 0",
        "line 8": 'not an object such as {"uri": "note:1", "text": "A muon decays."}',
    }
    with Library(tmp_path / "trawl-library") as library:
        assert library.show("a").document.metadata == {"year": 2019, "source": "pipe"}
    assert run(tmp_path, lines[0] + b"\n", "--meta", "source=pipe").returncode == 0
    refused = run(tmp_path, b"", "--prune")
    assert refused.returncode == 2
    assert b"stands alone" in refused.stderr


def test_a_line_that_is_too_long_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records_module, "MAX_LINE_BYTES", 20)
    stream = io.BytesIO(b'{"uri": "a"}\n' + b"x" * 70 + b'\n{"uri": "b"}')
    found = dict(records_module.json_lines(stream))
    assert list(found) == ["line 1", "line 2", "line 3"]
    assert "longer than 20 bytes" in str(found["line 2"])
    assert found["line 3"] == {"uri": "b"}


@pytest.mark.skipif(not CERN.exists(), reason="needs the CERN records of the reference data")
def test_the_records_of_cern_load_whole(library: Library) -> None:
    with CERN.open("rb") as stream:
        report = library.add_json_lines(stream, uri_key="recid", text_key="abstract")
    assert (report.added, report.failed, report.notices) == (1_153, (), ())
    expected = set()
    for line in CERN.read_text("utf-8").splitlines():
        record = json.loads(line)
        if record.get("collision_information", {}).get("energy") == "8TeV":
            expected |= {record["recid"]} if int(record["date_published"]) >= 2015 else set()
    where = "collision_information.energy = '8TeV' and date_published >= 2015"
    rows = library.document_page(where=where).documents
    assert {row.uri for row in rows} == expected
    assert library.search("muon", where=where, limit=5).hits
