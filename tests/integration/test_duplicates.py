"""Near-duplicates in searches, and when files are added."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from trawl import Library
from trawl.cli.render import print_answer
from trawl.cli.reports import print_report
from trawl.wire import DetailedResponse, answer_fields, to_bytes

TEXT = (
    "The harbour of the town was built in the winter of 1868 by forty men with two cranes. "
    "Ships from the north bring timber and salted fish, and leave with barrels of salt and wool. "
    "A lighthouse on the eastern pier has burned every night since the great storm. "
)


def photo(seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).uniform(0, 255, (6, 8, 3)).astype(np.uint8)
    return Image.fromarray(noise).resize((320, 240), Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "harbour.txt").write_text(TEXT, "utf-8")
    (folder / "harbour-edited.txt").write_text(TEXT.replace("forty", "fifty"), "utf-8")
    (folder / "other.txt").write_text(
        "The harbour of the village is a beach, from which boats are pulled up by horses when a "
        "storm comes in from the west, as the old people tell.", "utf-8",
    )  # fmt: skip
    photo(1).save(folder / "a.png")
    photo(1).resize((160, 120)).save(folder / "b-small.jpg", quality=60)
    photo(2).save(folder / "c.png")
    return folder


def test_hits_note_that_they_repeat_a_better_one(library: Library, folder: Path) -> None:
    library.add(folder)
    answer = library.search("harbour built by men with cranes", modality="text", all=True)
    texts = {hit.uri.rpartition("/")[2]: hit for hit in answer}
    first, second = texts["harbour.txt"], texts["harbour-edited.txt"]
    if first.rank > second.rank:
        first, second = second, first
    assert (first.duplicate_of, second.duplicate_of) == (None, first.chunk_id)
    assert texts["other.txt"].duplicate_of is None
    pictures = {
        hit.uri.rpartition("/")[2]: hit.duplicate_of
        for hit in library.search(image=photo(1), modality="image", all=True)
    }
    assert sum(of is not None for of in pictures.values()) == 1
    assert pictures["c.png"] is None
    out = io.StringIO()
    print_answer(Console(file=out, width=90), answer)
    assert f"nearly the same as {first.rank}" in out.getvalue()


def test_near_duplicates_collapse_under_the_best(library: Library, folder: Path) -> None:
    library.add(folder)
    answer = library.search(
        "harbour built by men with cranes", modality="text", all=True, skip_duplicates=True
    )
    assert len(answer) == 2
    (left_out,) = next(hit.duplicates for hit in answer if hit.duplicates)
    assert left_out.uri.endswith(".txt")
    assert {hit.duplicate_of for hit in answer} == {None}
    assert [hit.rank for hit in answer] == [1, 2]
    out = io.StringIO()
    print_answer(Console(file=out, width=120), answer)
    assert "nearly the same: " in out.getvalue()
    fields = {"query": "q", "query_time_ms": 1.0, **answer_fields(answer, detailed=True)}
    back = DetailedResponse.model_validate(json.loads(to_bytes(fields))).answer()
    assert [len(hit.duplicates) for hit in back] == [len(hit.duplicates) for hit in answer]


def test_pages_continue_behind_what_is_collapsed(library: Library, folder: Path) -> None:
    library.add(folder)
    options = {"modality": "text", "all": True, "skip_duplicates": True, "limit": 1}
    pages = [library.search("harbour", offset=at, **options) for at in range(3)]  # type: ignore[arg-type]
    names = [hit.uri.rpartition("/")[2].partition("-")[0] for page in pages for hit in page]
    assert sorted(names) == ["harbour", "other.txt"] or sorted(names) == [
        "harbour.txt",
        "other.txt",
    ]


def test_add_leaves_out_near_duplicates_by_name(library: Library, folder: Path) -> None:
    report = library.add(folder, skip_duplicates=True)
    assert (report.added, report.failed) == (4, ())
    named = {
        one.uri.rpartition("/")[2]: one.duplicate_of.rpartition("/")[2] for one in report.duplicates
    }
    assert len(named) == 2
    assert named["b-small.jpg"] == "a.png"
    assert {*named, *named.values()} >= {"harbour.txt", "harbour-edited.txt"}
    out = io.StringIO()
    print_report(Console(file=out, width=90), report)
    assert "left out: nearly the same as" in out.getvalue()
    # A file that is left out is compared again, and added once its original is gone.
    assert len(library.add(folder, skip_duplicates=True).duplicates) == 2
    library.remove(folder / "a.png")
    (folder / "a.png").unlink()
    assert library.add(folder, skip_duplicates=True).added == 1
    # Without the option, everything is added.
    assert library.add(folder).added == 1
