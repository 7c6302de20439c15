"""Browsing: documents and matches of a filter, without a question."""

from __future__ import annotations

from pathlib import Path

import pytest

from trawl import Library
from trawl.errors import FilterError, QueryError

YEARS = {"a": 2001, "b": 2003, "c": None, "d": 2002, "e": 2003}


@pytest.fixture
def years(library: Library, tmp_path: Path) -> Library:
    """Five notes, four of them with a year; the first is long enough for several chunks."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name, year in YEARS.items():
        front = f"---\nyear: {year}\ntags: [{name}, x]\n---\n" if year else ""
        body = f"Note {name} on tides. " * (150 if name == "a" else 1)
        (folder / f"{name}.md").write_text(f"{front}# Note {name}\n\n{body}\n", "utf-8")
    (folder / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    library.add(folder)
    return library


def names(found: object) -> str:
    return "".join(Path(one.uri).stem for one in found)  # type: ignore[attr-defined]


def test_documents_are_filtered_and_sorted(years: Library) -> None:
    assert names(years.documents(failed=False)) == "abcde"
    assert names(years.documents(where="year >= 2002")) == "bde"
    assert names(years.documents(failed=False, sort="year")) == "adbec"
    assert names(years.documents(failed=False, sort="-year")) == "bedac"
    assert names(years.documents(sort="-title", where="year > 0")) == "edba"
    assert names(years.documents(failed=False, sort="-size_bytes"))[0] == "a"
    assert names(years.documents(failed=False, sort="tags")) == "abdec"
    page = years.document_page(failed=False, sort="-year", offset=1, limit=2)
    assert (names(page.documents), page.total) == ("ed", 5)
    # Failed documents have no year, and come last.
    assert names(years.documents(sort="-year")) == "bedactorn"
    with pytest.raises(FilterError, match=r"added_at, .*year"):
        years.documents(sort="nothing")


def test_a_filter_alone_lists_what_matches(years: Library) -> None:
    for answer in (
        years.query("year:>=2001", sort="-year", facets=["year", "tags"], limit=3),
        years.search(where="year >= 2001", sort="-year", facets=["year", "tags"], limit=3),
    ):
        assert names(answer.hits) == "bed"
        assert [hit.rank for hit in answer.hits] == [1, 2, 3]
        assert (answer.total, answer.no_good_match, answer.confidence) == (4, False, 1.0)
        assert answer.facets[0].counts == ((2003, 2), (2001, 1), (2002, 1))
        assert dict(answer.facets[1].counts) == {"x": 4, "a": 1, "b": 1, "d": 1, "e": 1}
        rest = years.search(where="year >= 2001", sort="-year", limit=3, cursor=answer.cursor)
        assert (names(rest.hits), rest.hits[0].rank, rest.cursor) == ("a", 4, None)
    assert names(years.query("year:>=2001 -b").hits) == "ade"
    assert names(years.search(required=["c"]).hits) == "c"
    assert names(years.query("modality:text").hits) == "abcde"
    assert years.query("modality:image").total == 0
    # A long document is one hit, its first chunk.
    (hit,) = years.query("year:2001").hits
    assert hit.chunk_id.endswith(":0")
    told = years.search(where="year = 2001", balance=True, diversity=0.5).notices
    assert told == tuple(
        f"{name} has no effect without a query" for name in ("balance", "diversity")
    )


def test_nothing_to_list_by_is_refused(years: Library) -> None:
    for ask in (
        lambda: years.search(),
        lambda: years.search(sort="year"),
        lambda: years.search(fuzzy=[("note", 1)]),
        lambda: years.query("-note"),
        lambda: years.query(" "),
    ):
        with pytest.raises(QueryError):
            ask()
    with pytest.raises(FilterError, match="year"):
        years.search(where="year = 2001", sort="nothing")


def test_sorting_and_facets_see_only_likely_matches(years: Library, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for number in range(20):
        text = f"---\nyear: {1900 + number}\n---\nRecipe {number}: knead the dough of bread.\n"
        (other / f"r{number}.md").write_text(text, "utf-8")
    years.add(other)
    for options in ({}, {"sort": "year"}):
        answer = years.query("tides", facets=["year"], **options)  # type: ignore[arg-type]
        assert answer.hits
        assert all(
            hit.uri.endswith(("a.md", "b.md", "c.md", "d.md", "e.md")) for hit in answer.hits
        )
        assert {year for year, _ in answer.facets[0].counts} <= {2001, 2002, 2003}
