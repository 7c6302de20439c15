"""A document with pages, figures and citations, from a reader to what people and programs see."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from rich.console import Console

from trawl import Library, readers
from trawl.cli.render import print_answer, print_contents
from trawl.errors import LibraryError
from trawl.readers import Format, Limits
from trawl.types import Link, Part, Passages, Picture, Reading, Region
from trawl.wire import ChunkOut, DetailedResponse, answer_fields, to_bytes


def _pages(path: Path, late: list[str]) -> Iterator[Part]:
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        if line == "damaged":
            raise ValueError("no such object")
        if line.startswith("Figure"):
            image = Image.new("RGB", (120, 90), "white")
            ImageDraw.Draw(image).line([(5, 80), (115, 10)], fill="navy", width=3)
            label, _, caption = line.partition(": ")
            yield Picture(
                image,
                120,
                90,
                caption,
                number,
                (72, 80, 300, 200),
                label=label,
                words="gigaelectronvolt",
            )
        else:
            region = Region(number, (72, 90, 300, 100))
            yield Passages(line, page=number, section="Results", regions=((0, region),))
    late.append("1 page had no text")


def _read(path: Path, limits: Limits) -> Reading:
    late: list[str] = []
    return Reading("application/x-paged", path.stem, _pages(path, late), late_notices=late)


@pytest.fixture(autouse=True)
def paged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add a format whose lines are pages, read one by one."""
    form = Format("application/x-paged", "text", "pages", frozenset({".paged"}), _read)
    monkeypatch.setitem(readers.READERS, form.media_type, _read)
    monkeypatch.setitem(readers._BY_SUFFIX, ".paged", form)


@pytest.fixture
def paper(library: Library, tmp_path: Path) -> Library:
    file = tmp_path / "muon.paged"
    file.write_text(
        "Muons stop in the scintillator.\n"
        "Their decay is exponential, as Fig. 1A shows; see also Figure 7.\n"
        "Figure 1: Decay curve of the muon with a fitted lifetime\n"
        "We compare with Figures 1 and 2 of the earlier work.\n",
        "utf-8",
    )
    report = library.add(file)
    assert report.failed == ()
    assert [one.notice for one in report.notices] == ["1 page had no text"]
    return library


def test_hits_have_pages_labels_and_links_both_ways(paper: Library) -> None:
    hits = {hit.modality: hit for hit in paper.search("decay curve of the muon", all=True)}
    figure, passage = hits["image"], paper.search("exponential", modality="text")[0]
    assert (figure.label, figure.span.page) == ("Figure 1", 3)
    assert figure.span.box == (72, 80, 300, 200)
    document = figure.document_id
    assert figure.links == (
        Link("cited_by", f"{document}:1", "page 2"), Link("cited_by", f"{document}:3", "page 4"),
    )  # fmt: skip
    assert passage.links == (Link("cites", figure.chunk_id, "Figure 1"),)
    assert (passage.span.section, passage.span.box) == ("Results", (72, 90, 300, 100))
    table = paper.search("exponential", modality="text").to_arrow()
    assert table["cites"].to_pylist()[0] == ["Figure 1"]
    assert table["box"].to_pylist()[0] == [72, 90, 300, 100]


def test_the_passage_that_cites_a_figure_follows_it(paper: Library) -> None:
    figure, passage, *_ = paper.search("Decay curve of the muon with a fitted lifetime", all=True)
    assert figure.label == "Figure 1"
    assert [link.label for link in passage.links] == ["Figure 1"]
    assert passage.score >= 0.9 * figure.score
    # Not among pictures alone, and not in a search that the passage does not match.
    only = paper.search(
        "Decay curve of the muon with a fitted lifetime", modality="image", all=True
    )
    assert {hit.modality for hit in only} == {"image"}
    kept = paper.search("Decay curve of the muon with a fitted lifetime", excluded=["exponential"])
    assert not any("exponential" in hit.snippet for hit in kept)


def test_a_raised_passage_is_explained(paper: Library) -> None:
    hits = paper.search("fitted lifetime", all=True)
    raised = [hit for hit in hits if any(one.source == "citation" for one in hit.evidence)]
    assert raised
    assert all("cites a figure or table that matches (rank 1" in hit.explanation for hit in raised)


def test_words_inside_a_picture_are_searched_and_not_its_caption(paper: Library) -> None:
    hit = paper.search("gigaelectronvolt", modality="image")[0]
    assert any(one.source == "bm25" for one in hit.evidence)
    assert "gigaelectronvolt" not in hit.snippet
    (chunk,) = [one for one in paper.show(hit.chunk_id).chunks if one.chunk_id == hit.chunk_id]
    assert (chunk.words, chunk.text) == (
        "gigaelectronvolt", "Decay curve of the muon with a fitted lifetime",
    )  # fmt: skip


def test_people_see_the_links(paper: Library) -> None:
    out = io.StringIO()
    print_answer(Console(file=out, width=100), paper.search("decay curve of the muon", all=True))
    shown = out.getvalue()
    assert "Figure 1, 120 × 90 px" in shown
    assert "cited on pages 2 and 4" in shown
    assert "cites Figure 1" in shown
    assert "muon.paged  page 3" in shown
    assert "page 2  Results" in shown
    hit = paper.search("decay curve", modality="image")[0]
    out = io.StringIO()
    print_contents(Console(file=out, width=100), paper.show(hit.chunk_id), hit.chunk_id)
    assert f"cited on page 2  {hit.document_id}:1" in out.getvalue()
    assert "text in the picture: gigaelectronvolt" in out.getvalue()
    assert "cited on pages 2 and 4" in paper.search("decay curve", modality="image")._repr_html_()


def test_links_survive_the_wire(paper: Library) -> None:
    answer = paper.search("decay curve of the muon", all=True)
    fields = {"query": "q", "query_time_ms": 1.0, **answer_fields(answer, detailed=True)}
    back = DetailedResponse.model_validate(json.loads(to_bytes(fields))).answer()
    assert [hit.links for hit in back] == [hit.links for hit in answer]
    assert [hit.span for hit in back] == [hit.span for hit in answer]
    assert [hit.label for hit in back] == [hit.label for hit in answer]
    for chunk in paper.show(answer[0].document_id).chunks:
        there = ChunkOut.from_chunk(chunk).chunk()
        assert (there.links, there.span, there.words) == (chunk.links, chunk.span, chunk.words)


def test_the_label_is_found_as_a_phrase(paper: Library) -> None:
    answer = paper.search("muon", phrases=["figure 1"], modality="image", all=True)
    assert any(one.source == "bm25" for one in answer[0].evidence)


def test_a_document_that_is_damaged_later_fails_whole(library: Library, tmp_path: Path) -> None:
    file = tmp_path / "torn.paged"
    file.write_text("A first page.\ndamaged\n", "utf-8")
    (failure,) = library.add(file).failed
    assert failure.reason == "the application/x-paged file cannot be read: no such object"
    assert library.status().chunks["text"] == 0


def test_an_older_format_is_refused_by_name(library: Library, tmp_path: Path) -> None:
    file = library.path / "library.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"format": 2}), "utf-8")
    with pytest.raises(LibraryError, match=r"has format 2; this version of Trawl reads format 3"):
        Library(library.path)
