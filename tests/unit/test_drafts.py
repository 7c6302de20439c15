"""From the parts of a document to chunks: their boxes, sections, labels and words."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from trawl.errors import ReadError
from trawl.ingest.drafts import ChunkingOptions, Draft, draft_chunks
from trawl.types import Part, Passages, Picture, Reading, Region, Space, Vectors


class Words:
    """A text encoder whose tokens are words."""

    modality = "text"
    space = Space("words", 2, "0")

    def token_spans(self, text: str) -> NDArray[np.int64]:
        spans = [found.span() for found in re.finditer(r"\S+", text)]
        return np.array(spans, np.int64).reshape(-1, 2)

    def encode(self, items: object) -> Vectors:
        raise NotImplementedError


def drafted(
    *parts: Part, media_type: str = "application/pdf", caption: str = "", tokens: int = 4
) -> list[Draft]:
    options = ChunkingOptions(chunk_tokens=tokens, chunk_overlap_tokens=0)
    reading = Reading(media_type, "Muons", parts)
    encoder: object = Words()
    return list(
        draft_chunks(reading, title="Muons", caption=caption, encoder=encoder, options=options)  # type: ignore[arg-type]
    )


def lines(
    *boxes: tuple[int, float, float, float, float],
) -> tuple[str, tuple[tuple[int, Region], ...]]:
    """Return a text with a line of four words for each (page, box), and its regions."""
    text, regions = "", []
    for page, *box in boxes:
        regions.append((len(text), Region(page, tuple(box))))  # type: ignore[arg-type]
        text += "one two three four\n"
    return text, tuple(regions)


def test_a_passage_has_the_page_and_box_of_its_lines() -> None:
    text, regions = lines(
        (2, 50, 100, 290.004, 110), (2, 50, 112, 280, 122), (2, 60, 124, 285, 134)
    )
    first, second = drafted(Passages(text, 10, page=2, regions=regions), tokens=8)
    assert (first.span.page, first.span.box) == (2, (50, 100, 290, 122))
    assert (second.span.page, second.span.box) == (2, (60, 124, 285, 134))
    assert first.span.regions == second.span.regions == ()
    assert first.span.start_char == 10


def test_a_passage_over_two_columns_and_two_pages_has_a_box_for_each() -> None:
    text, regions = lines(
        (1, 50, 700, 290, 710), (1, 310, 80, 550, 90), (1, 310, 92, 550, 102), (2, 50, 80, 290, 90)
    )
    (draft,) = drafted(Passages(text, regions=regions), tokens=99)
    assert draft.span.regions == (
        Region(1, (50, 700, 290, 710)),
        Region(1, (310, 80, 550, 102)),
        Region(2, (50, 80, 290, 90)),
    )
    assert (draft.span.page, draft.span.box) == (1, (50, 700, 290, 710))


def test_pieces_of_one_line_and_an_indented_line_are_one_box() -> None:
    text, regions = lines((1, 50, 100, 90, 110), (1, 120, 101, 290, 111), (1, 80, 112, 200, 122))
    (draft,) = drafted(Passages(text, regions=regions), tokens=99)
    assert draft.span.box == (50, 100, 290, 122)


def test_a_table_stays_whole_until_it_is_too_long() -> None:
    rows = "\n".join(f"row {n} | a" for n in range(4))
    (draft,) = drafted(Passages(rows, label="Table 1", whole=True))
    assert (draft.text, draft.label) == (rows, "Table 1")
    long = "Table 1: masses\n" + "\n".join(f"row {n} | a" for n in range(20))
    first, *others = drafted(Passages(long, label="Table 1", whole=True))
    assert others
    assert all(draft.label == "Table 1" for draft in others)
    assert first.media["text"] == f"Muons\n{first.text}"
    # A later piece is embedded with the caption, and shown without it.
    assert str(others[0].media["text"]).startswith("Muons\nTable 1: masses\n")
    assert not others[0].text.startswith("Table 1")


def test_a_transcript_has_the_seconds_of_its_pieces() -> None:
    pieces = drafted(Passages("one two six ten" + " one two six ten", span_s=(10.0, 20.0)))
    assert [(piece.span.start_s, piece.span.end_s) for piece in pieces] == [
        (10.0, pytest.approx(14.84, abs=0.01)),
        (pytest.approx(15.16, abs=0.01), 20.0),
    ]


def test_a_picture_keeps_its_label_section_words_and_place() -> None:
    image = Image.new("RGB", (40, 30))
    picture = Picture(
        image, 40, 30, "Decay", page=3, box=(1.004, 2, 3, 4), label="Figure 2",
        section="Results › Decay", words="counts time",
    )  # fmt: skip
    (draft,) = drafted(picture, caption="of the file")
    assert (draft.text, draft.label, draft.words) == ("Decay", "Figure 2", "counts time")
    assert draft.span.as_dict() == {"page": 3, "box": [1, 2, 3, 4], "section": "Results › Decay"}
    (draft,) = drafted(picture, media_type="image/tiff", caption="of the file")
    assert draft.text == "of the file"


def test_a_shot_of_a_video_has_its_seconds() -> None:
    picture = Picture(Image.new("RGB", (40, 30)), 40, 30, start_s=61.0, end_s=64.5)
    (draft,) = drafted(picture, media_type="video/mp4")
    assert (draft.span.start_s, draft.span.end_s) == (61.0, 64.5)
    assert draft.detail == "1:01–1:04.5, 40 × 30 px"


def test_parts_are_read_one_after_another() -> None:
    read: list[int] = []

    def parts() -> Iterator[Part]:
        for number in range(3):
            read.append(number)
            yield Passages("one two", section=f"S{number}")
        raise ReadError("page 4 is damaged")

    options = ChunkingOptions(chunk_tokens=4, chunk_overlap_tokens=0)
    reading = Reading("application/pdf", "Muons", parts())
    encoder: object = Words()
    found = draft_chunks(reading, title="Muons", caption="", encoder=encoder, options=options)  # type: ignore[arg-type]
    assert next(found).span.section == "S0"
    assert read == [0]
    with pytest.raises(ReadError, match="page 4"):
        list(found)
