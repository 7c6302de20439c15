"""What Python callers see: accepted inputs, refusals in words, answers as tables and HTML."""

from __future__ import annotations

import dataclasses
import datetime
import io
import os
import re
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import trawl
from trawl.errors import QueryError, TrawlError, UsageError
from trawl.library import Library
from trawl.types import Answer, Duplicate, Hit, Link, Place, Region, Sound, Span

README = Path(__file__).parent.parent.parent / "README.md"


def png(colour: tuple[int, int, int]) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(out, "PNG")
    return out.getvalue()


def tone() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((np.sin(np.arange(32_000) * 0.3) * 9_000).astype("<i2").tobytes())
    return out.getvalue()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("python")
    (folder / "muon.md").write_text(
        "---\nyear: 2021\ntags: [a, b]\n---\nThe muon decays & <b>ends</b>.", "utf-8"
    )
    (folder / "red.png").write_bytes(png((220, 10, 10)))
    (folder / "tone.wav").write_bytes(tone())
    with Library(folder / "lib", create=True) as library:
        assert library.add([folder]).failed == ()
        yield library


def first(answer: Any) -> str:
    return str(answer[0].uri.rsplit("/", 1)[-1])


RED = np.full((48, 64, 3), (220, 10, 10), np.uint8)


@pytest.mark.parametrize(
    "image",
    [
        png((220, 10, 10)),
        bytearray(png((220, 10, 10))),
        memoryview(png((220, 10, 10))),
        io.BytesIO(png((220, 10, 10))),
        RED,
        RED / 255,
        np.dstack([RED, np.full((48, 64), 255, np.uint8)]),
        Image.fromarray(RED),
    ],
    ids=["bytes", "bytearray", "memoryview", "file", "uint8", "float", "rgba", "PIL"],
)
def test_an_image_may_be_bytes_or_an_array(library: Library, image: Any) -> None:
    assert first(library.search(image=image, modality="image")) == "red.png"


SAMPLES = np.sin(np.arange(32_000) * 0.3) * 0.27


@pytest.mark.parametrize(
    "audio",
    [
        tone(),
        (SAMPLES, 16_000),
        (np.stack([SAMPLES, SAMPLES], axis=1), 16_000),
        ((SAMPLES * 2**15).astype(np.int16), 16_000),
        Sound(SAMPLES.astype(np.float32), 16_000),
    ],
    ids=["bytes", "array", "stereo", "int16", "Sound"],
)
def test_audio_may_be_bytes_or_samples_with_a_rate(library: Library, audio: Any) -> None:
    assert first(library.search(audio=audio, modality="audio")) == "tone.wav"


@pytest.mark.parametrize("image", [np.array([[0, 255]], np.uint8), np.array([[0.0, 1.0]])])
def test_grey_arrays_keep_their_values(image: Any) -> None:
    from trawl.library.media import load_picture

    assert np.asarray(load_picture(image, 100)).tolist() == [[[0] * 3, [255] * 3]]


Call = Callable[[Library], Any]
WRONG: list[Call] = [
    *(
        lambda library, value=value, name=name: library.search("muon", **{name: value})
        for name, values in {
            "limit": ["five", 1.5, [5], 0, {}],
            "offset": ["x", -1],
            "where": [{"year": 2021}, ["year = 1"], b"year = 1", 5],
            "modality": ["video", 5, {"image": 1}, [b"image"]],
            "image": [5, [1, 2], {}, b"no picture", np.zeros(3), np.zeros((2, 2), complex), ""],
            "audio": [5, SAMPLES, (SAMPLES, "x"), (SAMPLES,), b"no sound", ("a", 1), (SAMPLES, 0)],
            "like": [5, b"0:0", ["a"], "a\0b"],
            "parts": [5, "muon", ["muon"], {}],
            "cursor": [5],
            "facets": [5, "year\0", [5]],
            "weights": [5, "x", {"bm25": "x"}],
            "sort": [5],
            "options": [5, {"limit": 5}],
            "unknown": [5],
        }.items()
        for value in values
    ),
    lambda library: library.search(b"muon"),  # type: ignore[arg-type]
    lambda library: library.search(5),  # type: ignore[arg-type]
    lambda library: library.search(RED),  # type: ignore[arg-type]
    lambda library: library.search(["muon"]),  # type: ignore[arg-type]
    lambda library: library.search(Path("a")),  # type: ignore[arg-type]
    lambda library: library.search(),
    lambda library: library.query(b"muon"),  # type: ignore[arg-type]
    lambda library: library.query(5),  # type: ignore[arg-type]
    lambda library: library.similar(5),  # type: ignore[arg-type]
    lambda library: library.show(5),  # type: ignore[arg-type]
    lambda library: library.thumbnail(5),  # type: ignore[arg-type]
    lambda library: library.original(5),  # type: ignore[arg-type]
    lambda library: library.facets(5),  # type: ignore[arg-type]
    lambda library: library.facets(["year"], where={}),  # type: ignore[arg-type]
    lambda library: library.document_page(limit="5"),  # type: ignore[arg-type]
    lambda library: library.document_page(where={}),  # type: ignore[arg-type]
    lambda library: library.add(5),  # type: ignore[arg-type]
    lambda library: library.add([5]),  # type: ignore[list-item]
    lambda library: library.add({"text": "a"}),
    lambda library: library.add([], metadata=5),  # type: ignore[arg-type]
    lambda library: library.remove(5),  # type: ignore[arg-type]
    lambda library: library.set_metadata(5, {}),  # type: ignore[arg-type]
    lambda library: library.set_metadata("a", 5),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("call", WRONG, ids=range(len(WRONG)))
def test_wrong_arguments_are_refused_in_words(library: Library, call: Call) -> None:
    with pytest.raises(TrawlError) as caught:
        call(library)
    assert not re.search(r"NoneType|has no attribute|object is not", str(caught.value))


def test_an_array_needs_a_sample_rate(library: Library) -> None:
    with pytest.raises(QueryError, match=r"pass audio=\(samples, sample_rate_hz\)"):
        library.search(audio=SAMPLES)  # type: ignore[arg-type]


def test_paths_may_be_bytes(library: Library, tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("Bytes name this file.", "utf-8")
    path = os.fsencode(tmp_path / "b.txt")
    assert library.add(path).added == 1  # type: ignore[arg-type]
    assert library.show(path).document.title  # type: ignore[arg-type]
    assert library.remove(path) == 1  # type: ignore[arg-type]


# --- answers ---------------------------------------------------------------------------------


def test_an_answer_is_a_sequence_of_hits(library: Library) -> None:
    answer = library.search("muon", all=True)
    assert list(answer) == list(answer.hits)
    assert len(answer) == len(answer.hits) == 3
    assert answer[0] is answer.hits[0]


def test_an_answer_is_an_arrow_table(library: Library) -> None:
    table = library.search("muon", all=True).to_arrow()
    assert table.num_rows == 3
    assert table["rank"].to_pylist() == [1, 2, 3]
    row = next(row for row in table.to_pylist() if row["modality"] == "text")
    assert (row["metadata.year"], row["metadata.tags"]) == (2021, ["a", "b"])
    assert "&amp;" not in row["snippet"]
    assert "mark>" not in row["snippet"]
    empty = library.search("muon", where="year = 1").to_arrow()
    assert empty.num_rows == 0
    assert empty.schema.field("score").type == "double"


def test_every_field_of_a_hit_is_in_the_table() -> None:
    link = Link("cites", "d:1", "Figure 2")
    region = Region(3, (1.0, 2.0, 3.0, 4.0))
    span = Span(start_char=1, end_char=9, page=3, box=region.box, section="A › B", start_s=0.5)
    hit = Hit(
        rank=1,
        score=0.5,
        chunk_id="d:0",
        document_id="d",
        uri="/x/a.pdf",
        modality="text",
        title="A",
        snippet="<mark>a</mark> &amp; b",
        span=span,
        metadata={"when": datetime.date(2024, 5, 1), "n": 1},
        evidence=(),
        detail="row 2",
        label="Table 1",
        links=(link, Link("cited_by", "d:2", "page 3"), link),
        places=(Place("e", "/x/copy.pdf"),),
        gone=True,
        duplicates=(Duplicate("f:0", "/x/edited.pdf"),),
    )
    other = dataclasses.replace(hit, rank=2, metadata={"n": "two"}, links=(), span=Span())
    (row, second) = Answer((hit, other), {}).to_arrow().to_pylist()
    shown = {"evidence", "moments", "links", "span", "metadata"}  # as other columns, or not at all
    for field in dataclasses.fields(Hit):
        if field.name not in shown:
            assert field.name in row, field.name
    for field in dataclasses.fields(Span):
        assert field.name in row or field.name == "regions", field.name
    assert (row["snippet"], row["label"], row["section"]) == ("a & b", "Table 1", "A › B")
    assert (row["cites"], row["cited_by"], row["box"]) == (["Figure 2"], ["page 3"], [1, 2, 3, 4])
    assert (row["metadata.when"], row["metadata.n"]) == (datetime.date(2024, 5, 1), "1")
    assert (row["places"], row["gone"]) == (["/x/copy.pdf"], True)
    assert (row["duplicates"], row["duplicate_of"]) == (["/x/edited.pdf"], None)
    assert (second["metadata.n"], second["page"], second["cites"]) == ('"two"', None, [])
    assert Answer((hit, other), {}).to_pandas().shape == (2, len(row))


def test_pandas_is_optional(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = library.search("muon", all=True)
    monkeypatch.setattr("trawl.display.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'trawl-multimodal\[pandas\]'"):
        answer.to_pandas()


def test_an_answer_is_a_data_frame(library: Library) -> None:
    answer = library.search("muon", all=True)
    frame = answer.to_pandas()
    assert list(frame["rank"]) == [1, 2, 3]
    assert list(frame["chunk_id"]) == [hit.chunk_id for hit in answer]
    assert list(frame["score"]) == [hit.score for hit in answer]
    assert str(frame["score"].dtype) == "float64"
    text = frame[frame.modality == "text"].iloc[0]
    assert (text["metadata.year"], list(text["metadata.tags"])) == (2021, ["a", "b"])
    assert text["start_char"] == 0
    assert frame["start_s"].isna().sum() == 2  # of the text and the picture
    empty = library.search("muon", where="year = 1").to_pandas()
    assert (len(empty), list(empty.columns[:3])) == (0, ["rank", "score", "modality"])


def test_notebooks_show_thumbnails_and_escape_everything(library: Library) -> None:
    page = library.search("muon", all=True)._repr_html_()
    assert page.count('<img src="data:image/jpeg;base64,') == 1
    assert "<mark>" in page
    assert "<b>ends" not in page
    assert "no results" in library.search("muon", where="year = 1")._repr_html_()


def test_a_closed_library_has_no_thumbnails_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(png((220, 10, 10)))
    with Library(tmp_path / "lib", create=True) as library:
        library.add(tmp_path / "red.png")
        answer = library.search("red")
    assert "red.png" in answer._repr_html_()


# --- names -----------------------------------------------------------------------------------


def test_the_library_has_a_short_repr(library: Library) -> None:
    assert repr(library) == f"Library({str(library.path)!r})"


def test_dir_shows_the_public_names() -> None:
    code = "import trawl; print(dir(trawl))"
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert "'Library'" in names
    assert set(trawl.__all__) <= set(dir(trawl))


def test_the_example_of_the_readme_runs(tmp_path: Path) -> None:
    code = re.search(r"```python\n(from trawl import Library.*?)```", README.read_text(), re.S)
    assert code is not None
    for folder in ("papers", "photos", "recordings"):
        (tmp_path / folder).mkdir()
    (tmp_path / "papers/muon.txt").write_text("The signature of muon decay is a kink.", "utf-8")
    for name in ("photos/beach.png", "sunset.jpg", "plot.png"):
        Image.new("RGB", (64, 48), (220, 120, 10)).save(tmp_path / name)
    (tmp_path / "photos/beach.png.json").write_text('{"year": 2020}', "utf-8")
    (tmp_path / "recordings/tone.wav").write_bytes(tone())
    ran = subprocess.run(
        [sys.executable, "-c", code[1]], cwd=tmp_path, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert "3 files added" in ran.stdout
