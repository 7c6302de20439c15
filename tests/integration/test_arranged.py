"""Composed queries and arranged lists, over the built-in model."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trawl import Library
from trawl.errors import FilterError, NotFoundError, QueryError, UsageError
from trawl.search import QueryPart
from trawl.types import Answer

TIDES = [
    ("moon", "The tide rises when the moon pulls the sea.", 2001, ["sea", "moon"]),
    ("harbour", "In the harbour the tide lifts the boats twice a day.", 2005, ["sea"]),
    ("mill", "A tide mill grinds grain as the tide ebbs from its pond.", 2003, ["history"]),
    ("power", "Tidal power stations turn the tide into electric current.", 2010, ["energy", "sea"]),
    ("bread", "Knead the dough and bake the bread until it is brown.", None, ["food"]),
]


@pytest.fixture
def tides(library: Library, tmp_path: Path) -> Library:
    for name, text, year, tags in TIDES:
        file = tmp_path / f"{name}.txt"
        file.write_text(f"{name.title()}\n\n{text}", "utf-8")
        metadata: dict[str, object] = {"tags": tags}
        if year is not None:
            metadata |= {"year": year, "written": datetime.date(year, 1, 31)}
        library.add(file, metadata=metadata)
    return library


def titles(library: Library, *args: object, **kwargs: object) -> list[str]:
    options = {"all": True, **kwargs}
    return [hit.title for hit in library.search(*args, **options).hits]  # type: ignore[arg-type]


def test_required_and_excluded_words_hold_for_every_source(tides: Library) -> None:
    assert set(titles(tides, "tide", required=["boats"])) == {"Harbour"}
    assert set(titles(tides, "tide", required=["tide", "electric current"])) == {"Power"}
    assert set(titles(tides, "tide", excluded=["moon", "pond"])) == {"Harbour", "Power", "Bread"}
    assert titles(tides, "tide", required=["zeppelin"]) == []
    assert len(titles(tides, "tide", excluded=["zeppelin"])) == 5


def test_phrases_and_fuzzy_words_find_by_words(tides: Library) -> None:
    def by_words(**options: object) -> set[str]:
        hits = tides.search("zzz", **options).hits  # type: ignore[arg-type]
        return {hit.title for hit in hits if any(e.source == "bm25" for e in hit.evidence)}

    assert by_words(phrases=["the tide lifts"]) == {"Harbour"}
    assert by_words(phrases=["lifts the tide"]) == set()
    assert by_words(fuzzy=[("harbuor", 2)]) == {"Harbour"}
    assert by_words() == set()


def test_a_negative_part_leads_away(tides: Library) -> None:
    plain = tides.search("tide", modality="text").hits
    away = tides.search(
        parts=[QueryPart("text", "tide"), QueryPart("text", "electric power station", -0.7)]
    ).hits

    def similarity(hits: tuple[object, ...]) -> float:
        (found,) = (
            e.similarity
            for hit in hits
            if hit.title == "Power"  # type: ignore[attr-defined]
            for e in hit.evidence  # type: ignore[attr-defined]
            if e.source == "mini.text"
        )
        return found

    assert similarity(away) < similarity(plain)
    with pytest.raises(QueryError, match="negative"):
        tides.search(parts=[QueryPart("text", "tide", -1)])
    with pytest.raises(QueryError, match="cancel"):
        tides.search(parts=[QueryPart("text", "tide"), QueryPart("text", "tide", -1)])


def test_similar_leaves_its_own_document_out(tides: Library) -> None:
    (hit,) = tides.search("moon pulls the sea", limit=1).hits
    similar = tides.similar(hit.chunk_id, limit=10)
    assert hit.title not in [other.title for other in similar.hits]
    assert len(similar.hits) == 4
    assert similar.hits[-1].title == "Bread"
    with pytest.raises(NotFoundError, match="no chunk 'x:0'"):
        tides.similar("x:0")


def test_sorting_by_a_column(tides: Library) -> None:
    assert titles(tides, "tide", sort="year") == ["Moon", "Mill", "Harbour", "Power", "Bread"]
    assert titles(tides, "tide", sort="-written")[:2] == ["Power", "Harbour"]
    assert titles(tides, "tide", sort="-year")[-1] == "Bread"
    with pytest.raises(FilterError, match="no column 'size' to sort by"):
        tides.search("tide", sort="size")


def test_facets_count_documents(tides: Library) -> None:
    answer = tides.search("tide", where="tags contains 'sea'", facets=["tags", "year"], limit=1)
    assert answer.facets[0].key == "tags"
    assert answer.facets[0].counts == (("sea", 3), ("energy", 1), ("moon", 1))
    assert dict(answer.facets[1].counts) == {2001: 1, 2005: 1, 2010: 1}
    with pytest.raises(FilterError, match="to count"):
        tides.search("tide", facets=["nothing"])


def test_at_most_so_many_of_a_document(library: Library, tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text(
        "\n\n".join(
            f"Part {n}. The tide in bay {n} rises and falls, and more. " * 12 for n in range(9)
        ),
        "utf-8",
    )
    (tmp_path / "short.txt").write_text("Another text on the tide.", "utf-8")
    library.add([tmp_path / "long.txt", tmp_path / "short.txt"])
    hits = library.search("tide in bay", limit=10, per_document=2, all=True).hits
    assert len(hits) == 3
    whole = library.search("tide in bay", limit=20, per_document=0, all=True).hits
    assert len(whole) > 5
    assert not any(hit.moments for hit in whole)
    # By default a text has its best two passages; the others are moments of the first.
    usual = library.search("tide in bay", limit=10, all=True).hits
    assert [hit.chunk_id for hit in usual] == [hit.chunk_id for hit in hits]
    others = [hit for hit in whole if hit.document_id == hits[0].document_id][2:]
    assert [m.chunk_id for m in hits[0].moments] == [hit.chunk_id for hit in others[:5]]
    assert hits[0].moments[0].span == others[0].span
    assert hits[1].moments == ()
    grouped = [hit.document_id for hit in library.search("tide", limit=6, group=True).hits]
    assert grouped == sorted(grouped, key=grouped.index)
    with pytest.raises(UsageError, match="per_document -1"):
        library.search("tide", per_document=-1)


def test_diversity_keeps_the_best_and_spreads_the_rest(library: Library, tmp_path: Path) -> None:
    for n in range(4):
        (tmp_path / f"same{n}.txt").write_text(
            f"The tide rises when the moon pulls the sea, edition {n}.", "utf-8"
        )
    (tmp_path / "other.txt").write_text("A tide gauge writes the level of water.", "utf-8")
    library.add([*tmp_path.glob("*.txt")])
    plain = library.search("the moon pulls the tide", limit=3).hits
    diverse = library.search("the moon pulls the tide", limit=3, diversity=0.9).hits
    assert diverse[0].chunk_id == plain[0].chunk_id
    assert "other.txt" not in {Path(hit.uri).name for hit in plain}
    assert "other.txt" in {Path(hit.uri).name for hit in diverse}
    with pytest.raises(UsageError, match="diversity 2"):
        library.search("tide", diversity=2)


@pytest.fixture
def mixed(library: Library, tmp_path: Path) -> Library:
    for n in range(8):
        (tmp_path / f"t{n}.txt").write_text(f"The red tide number {n} rises.", "utf-8")
    for n in range(5):
        Image.new("RGB", (64, 64), (200, 10 * n, 20)).save(tmp_path / f"i{n}.png")
    library.add([*tmp_path.glob("*.txt"), *tmp_path.glob("*.png")])
    return library


def kinds(answer: Answer) -> str:
    return "".join(hit.modality[0] for hit in answer.hits)


def test_quotas_are_kept_on_every_page(mixed: Library) -> None:
    first = mixed.search("red tide", limit=5, quotas={"image": 2})
    assert sorted(kinds(first)) == sorted("iittt")
    assert kinds(mixed.search("red tide", limit=4, quotas={"image": 1, "text": 1})) in ("it", "ti")
    pages, cursor = [first], first.cursor
    while cursor is not None:
        page = mixed.search("red tide", limit=5, quotas={"image": 2}, cursor=cursor)
        pages.append(page)
        cursor = page.cursor
    found = [hit.chunk_id for page in pages for hit in page.hits]
    assert len(found) == len(set(found)) == 13
    assert [kinds(page).count("i") for page in pages[:3]] == [2, 2, 1]


def test_shared_pages_follow_one_another(mixed: Library) -> None:
    for options in ({"balance": True}, {"interleave": True}, {"group": True}):
        pages = [
            mixed.search("red tide", limit=4, offset=offset, **options).hits  # type: ignore[arg-type]
            for offset in (0, 4, 8, 12)
        ]
        found = [hit.chunk_id for page in pages for hit in page]
        assert len(found) == len(set(found)) == 13


@pytest.mark.parametrize("options", [{"all": True}, {"balance": True}, {"fusion": "rrf"}])
def test_deep_pages_neither_repeat_nor_lose_a_hit(
    library: Library, tmp_path: Path, options: dict[str, object]
) -> None:
    random = np.random.default_rng(0)
    words = ["tide", "moon", "sea", "mill", "boat", "sand", "wind", "rain", "salt", "gull"]
    for n in range(230):
        (tmp_path / f"{n}.txt").write_text(" ".join(random.choice(words, 9)), "utf-8")
    library.add([*tmp_path.glob("*.txt")])
    whole = [hit.chunk_id for hit in library.search("tide moon", limit=230, **options).hits]  # type: ignore[arg-type]
    assert len(set(whole)) == 230
    paged = [
        hit.chunk_id
        for offset in range(0, 230, 46)
        for hit in library.search("tide moon", limit=46, offset=offset, **options).hits  # type: ignore[arg-type]
    ]
    assert len(set(paged)) == 230
    if "balance" not in options:
        assert paged == whole


def test_interleaving_puts_modalities_in_turn(mixed: Library) -> None:
    assert kinds(mixed.search("red tide", limit=6, interleave=True)) in ("ititit", "tititi")
    with_quotas = mixed.search("red tide", limit=6, interleave=True, quotas={"image": 2})
    assert kinds(with_quotas) in ("itittt", "tititt")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"quotas": {"video": 2}}, "quotas 'video': must be 'text', 'image' or 'audio'"),
        ({"quotas": {"image": -1}}, "quotas.image -1: must be at least 0"),
        ({"quotas": {"image": 8, "text": 3}}, "at most the limit, 10"),
        ({"quotas": {"image": 2}, "balance": True}, "balance and quotas exclude each other"),
    ],
)
def test_invalid_quotas_are_refused(mixed: Library, options: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        mixed.search("red tide", **options)  # type: ignore[arg-type]


def test_the_nearest_are_listed_without_a_good_match_unless_they_are_not_wanted(
    tides: Library,
) -> None:
    answer = tides.search("quarterly invoice template", facets=["year"])
    assert answer.no_good_match
    assert answer.confidence < 0.2
    assert len(answer.hits) + answer.more == 5
    assert answer.facets
    bare = tides.search("quarterly invoice template", facets=["year"], nearest=False)
    assert bare.no_good_match
    assert (bare.hits, bare.facets, bare.cursor) == ((), (), None)
    good = tides.search("the moon pulls the sea")
    assert good.confidence > 0.5
    assert good.hits == tides.search("the moon pulls the sea", nearest=False).hits


def test_evidence_tells_the_weight(mixed: Library) -> None:
    (hit,) = mixed.search("tide rises", limit=1, modality="text", weights={"bm25": 0.5}).hits
    weights = {one.source: one.weight for one in hit.evidence}
    assert weights == {"bm25": 0.5, "mini.text": 1.0}
    assert "weight 0.5" in hit.explanation


def test_a_cursor_is_not_moved_by_what_comes_later(tides: Library, tmp_path: Path) -> None:
    whole = [hit.chunk_id for hit in tides.search("tide and sea", limit=5).hits]
    first = tides.search("tide and sea", limit=2)
    for n in range(3):
        new = tmp_path / f"new{n}.txt"
        new.write_text(f"The tide and the sea, {n}.", "utf-8")
        tides.add(new)
    assert first.cursor is not None
    second = tides.search("tide and sea", limit=2, cursor=first.cursor)
    assert [hit.chunk_id for hit in (*first.hits, *second.hits)] == whole[:4]
    assert [hit.rank for hit in second.hits] == [3, 4]
    third = tides.search("tide and sea", limit=2, cursor=second.cursor)
    assert [hit.chunk_id for hit in third.hits] == whole[4:]
    assert third.cursor is None
    with pytest.raises(QueryError, match="invalid cursor"):
        tides.search("tide", cursor="page 2")
    with pytest.raises(QueryError, match="no longer exists"):
        tides.search("tide", cursor="v999999-2")


def test_filters_never_lose_what_matches(library: Library, tmp_path: Path) -> None:
    """With a filter as narrow as one document, every source gives that one."""
    generator = np.random.default_rng(0)
    words = ["tide", "moon", "sea", "mill", "boat", "sand", "wind", "rain", "salt", "gull"]
    for n in range(60):
        file = tmp_path / f"t{n}.txt"
        file.write_text(" ".join(generator.choice(words, 12)), "utf-8")
        library.add(file, metadata={"number": n, "even": n % 2 == 0})
    for n in (0, 17, 59):
        (hit,) = library.search("gull", where=f"number = {n}").hits
        assert hit.metadata["number"] == n
    assert len(library.search("gull", where="even = true", limit=50, all=True).hits) == 30


def test_one_line_says_it_all(tides: Library) -> None:
    def found(line: str, **options: object) -> list[str]:
        return [hit.title for hit in tides.query(line, **options).hits]  # type: ignore[arg-type]

    assert found("tide +boats") == ["Harbour"]
    assert set(found("tide -moon -bread year:2003..2010")) == {"Harbour", "Mill", "Power"}
    assert set(found("tide tags:sea")) == {"Moon", "Harbour", "Power"}
    assert found("tide modality:image") == []
    assert found("tide", where="year > 2005") == ["Power"]
    (moon,) = tides.search("moon", limit=1).hits
    assert "Moon" not in found(f"like:{moon.chunk_id} tide")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("-moon", "only excludes"),
        ('"open', "(?s)quote.*\\^"),
        ("tide year:>=many", "year"),
        ("like:nothing:0", "no chunk 'nothing:0'"),
        ("image:nowhere.png", "nowhere.png"),
    ],
)
def test_invalid_lines_are_refused(tides: Library, line: str, told: str) -> None:
    with pytest.raises((QueryError, FilterError, NotFoundError), match=told):
        tides.query(line)


def test_a_line_opens_no_files_where_it_must_not(tides: Library) -> None:
    with pytest.raises(QueryError, match="may not open"):
        tides.query("tide image:/etc/passwd", files=False)
