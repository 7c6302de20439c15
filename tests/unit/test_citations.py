"""Citations of figures and tables in text, and the links that they become."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from trawl.ingest.citations import Reference, links, reference_of, references
from trawl.types import Link, Modality, Span

_KINDS = {"F": "figure", "T": "table", "S": "scheme", "B": "box"}


def _expected(text: str) -> list[Reference]:
    return [Reference(_KINDS[one[0]], one[2:]) for one in text.split()]


@pytest.mark.parametrize(
    ("text", "cited"),
    [
        ("as Figure 3 shows", "F:3"),
        ("see Fig. 3.", "F:3"),
        ("FIG 1", "F:1"),
        ("(fig 2)", "F:2"),
        ("Figures 1 and 2", "F:1 F:2"),
        ("Figures 1, 2, and 4", "F:1 F:2 F:4"),
        ("Figs. 3–5", "F:3 F:4 F:5"),
        ("Figs. 3 to 5 and 7", "F:3 F:4 F:5 F:7"),
        ("Fig. 6B", "F:6"),
        ("Fig. 6B and C", "F:6"),
        ("Fig. 2A,C and 3D", "F:2 F:3"),
        ("Fig. 3(a)", "F:3"),
        ("Fig. 3 (a)–(c) and Fig. 4", "F:3 F:4"),
        ("Fig. 3a, 4b", "F:3 F:4"),
        ("(Fig. 1, 2)", "F:1 F:2"),
        ("Fig. 3a–c", "F:3"),
        ("Tables III and IV", "T:III T:IV"),
        ("TABLES II–IV", "T:II T:III T:IV"),
        ("Table I", "T:I"),
        ("Figure B.1", "F:B1"),
        ("Figures B.1–B.3", "F:B1 F:B2 F:B3"),
        ("Figure 3.2", "F:3.2"),
        ("Figure 1-2", "F:1-2 F:1 F:2"),
        ("Supplementary Fig. S2", "F:S2"),
        ("Supplementary Figure 2", "F:S2"),
        ("Suppl. Figs. 2 and 3", "F:S2 F:S3"),
        ("Figs. S1–S3", "F:S1 F:S2 F:S3"),
        ("Extended Data Fig. 4", "F:ED4"),
        ("Figure 2 and Table 1", "F:2 T:1"),
        ("Fig.\n7", "F:7"),
        ("Fig.\u00a07", "F:7"),
        ("Scheme 2", "S:2"),
        ("Box 1", "B:1"),
        ("siehe Abb. 2", "F:2"),
        ("Abbildungen 2 und 3", "F:2 F:3"),
        ("Tabelle 1", "T:1"),
        ("Tab. 4", "T:4"),
        ("la Figura 3", "F:3"),
        ("Figuras 3 y 4", "F:3 F:4"),
        ("Tableau 2", "T:2"),
        ("Рис. 5", "F:5"),
        ("如图3所示", "F:3"),
        ("表2", "T:2"),
        # not citations
        ("figure out 3 ways", ""),
        ("Table of contents", ""),
        ("a figure. 3 mice were", ""),
        ("in this table, 3 rows", ""),
        ("In Figure 3, 20 mice", "F:3"),
        ("Figure 2019", ""),
        ("config 2", ""),
        ("open browser tab 2", ""),
        ("a non-figure 3", ""),
        ("Table 1,000", ""),
        ("figure 5 %", ""),
        ("Figure It", ""),
        ("Table Mountain", ""),
    ],
)
def test_references(text: str, cited: str) -> None:
    assert list(references(text)) == _expected(cited)


@dataclass
class _Part:
    text: str
    label: str = ""
    modality: Modality = "text"
    span: Span = field(default_factory=Span)


def _figure(label: str) -> _Part:
    return _Part(f"{label}: a caption", label, "image")


def test_a_passage_and_its_figure_are_linked_both_ways() -> None:
    passage = _Part("As Fig. 2B shows. Figure 2 and Figure 9 too.", span=Span(page=3))
    first, second = links("d", [passage, _figure("Figure 2")])
    assert first == (Link("cites", "d:1", "Figure 2"),)
    assert second == (Link("cited_by", "d:0", "page 3"),)


def test_the_place_of_a_citing_passage_is_its_page_section_or_number() -> None:
    spans = [Span(page=2, section="A › B"), Span(section="A › B"), Span()]
    parts = [_Part("Figure 1", span=span) for span in spans]
    found = links("d", [*parts, _figure("Figure 1")])[3]
    assert [link.label for link in found] == ["page 2", "B", "passage 3"]


def test_only_labels_of_the_document_are_linked() -> None:
    assert links("d", [_Part("Figure 1 and Table 2"), _figure("Figure 2")]) == [(), ()]
    assert links("d", [_Part("Supplementary Figure 1"), _figure("Figure 1")]) == [(), ()]


def test_roman_labels_are_cited_by_arabic_numbers_only_if_labelled_so() -> None:
    parts = [
        _Part("Table 2"),
        _Part("Table II, p. 3", "TABLE II"),
        _Part("Figure I"),
        _figure("Fig. 1"),
    ]
    found = links("d", parts)
    assert found[0] == (Link("cites", "d:1", "TABLE II"),)
    assert found[2] == ()


def test_a_split_table_is_cited_once_and_does_not_cite_itself() -> None:
    parts = [_Part("Table 1: a"), _Part("Table 1: a | b", "Table 1"), _Part("c | d", "Table 1")]
    assert [len(found) for found in links("d", parts)] == [1, 1, 0]


def test_a_figure_of_several_pictures_is_cited_with_all() -> None:
    parts = [_Part("Figure 1"), _figure("Figure 1"), _figure("Fig. 1")]
    assert [link.chunk_id for link in links("d", parts)[0]] == ["d:1", "d:2"]


def test_a_label_without_a_number_has_no_reference() -> None:
    assert reference_of("Graphical abstract") is None
    assert reference_of("FIG. 1-2") == Reference("figure", "1-2")
