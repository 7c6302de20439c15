"""The Python interface over the built-in model and a LanceDB library on disk."""

from __future__ import annotations

import json
import os
from pathlib import Path

import lancedb
import pytest
import soundfile

from conftest import opened_again, picture, tone
from trawl import Library
from trawl.encoders.images import ImageTower
from trawl.encoders.mini import MiniAudio, MiniText
from trawl.errors import (
    FilterError,
    LibraryError,
    LibraryLockedError,
    LibraryMissingError,
    NotFoundError,
    QueryError,
    SpaceMismatchError,
    UsageError,
)
from trawl.store import write_lock


def titles(library: Library, *args: object, **kwargs: object) -> list[str]:
    return [hit.title for hit in library.search(*args, **kwargs).hits]  # type: ignore[arg-type]


def test_one_list_holds_all_three_modalities(library: Library, collection: Path) -> None:
    report = library.add(collection)
    assert (report.added, report.failed) == (6, ())
    assert dict(library.status().chunks) == {"text": report.chunks - 3, "image": 2, "audio": 1}

    answer = library.search("muon decay", limit=20)
    assert {hit.modality for hit in answer.hits} == {"text", "image", "audio"}
    assert [hit.title for hit in answer.hits[:2]] == ["Muon decay", "decay"]
    assert [hit.rank for hit in answer.hits] == list(range(1, len(answer.hits) + 1))
    scores = [hit.score for hit in answer.hits]
    assert scores == sorted(scores, reverse=True)
    best = answer.hits[0]
    assert "<mark>muon</mark>" in best.snippet.lower()
    assert {evidence.source for evidence in best.evidence} == {"bm25", "mini.text"}
    assert best.span.start_char == 0
    assert best.metadata == {"year": 2021, "source": "arXiv", "tags": ["physics", "particles"]}


def test_a_figure_is_found_by_its_caption_from_the_markdown(
    library: Library, collection: Path
) -> None:
    library.add(collection / "muons.md")
    (hit,) = library.search("counts fall with time", modality="image").hits
    assert hit.uri.endswith("figures/decay.png")
    assert "<mark>counts</mark>" in hit.snippet
    assert hit.detail == "160 × 120 px"
    assert {evidence.source for evidence in hit.evidence} == {"bm25", "mini.text", "mini.image"}
    assert library.thumbnail(hit.chunk_id).startswith(b"\xff\xd8")


def test_queries_by_picture_and_by_sound(library: Library, collection: Path) -> None:
    library.add(collection)
    by_picture = library.search(image=collection / "figures" / "sunset.jpg", modality="image")
    assert by_picture.hits[0].title == "Evening"
    assert by_picture.hits[0].evidence[0].similarity == pytest.approx(1, abs=1e-3)
    by_sound = library.search(audio=collection / "beep.wav", modality="audio")
    assert by_sound.hits[0].uri.endswith("beep.wav")
    together = library.search("sea", image=collection / "figures" / "sunset.jpg", limit=1)
    assert together.hits[0].title == "Evening"


def test_adding_again_embeds_nothing(
    library: Library, collection: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = library.add(collection)
    version = library.status().version

    def refuse(*_: object) -> None:
        raise AssertionError("something was embedded")

    for tower in (MiniText, ImageTower, MiniAudio):
        for method in {"encode", "prepare", "run"} & set(dir(tower)):
            monkeypatch.setattr(tower, method, refuse)
    second = library.add(collection)
    assert (second.unchanged, second.added, second.replaced) == (first.added, 0, 0)
    assert second.failed == ()
    assert library.status().version == version


def test_what_changed_is_replaced_whole(library: Library, collection: Path) -> None:
    library.add(collection)
    before = library.show(collection / "long.txt")
    assert len(before.chunks) > 3
    (collection / "long.txt").write_text("One short line about a lighthouse.", "utf-8")
    report = library.add(collection)
    assert (report.replaced, report.added, report.unchanged) == (1, 0, 5)
    after = library.show(collection / "long.txt")
    assert [chunk.text for chunk in after.chunks] == ["One short line about a lighthouse."]
    assert after.document.document_id == before.document.document_id
    assert (
        not library.search("tonnes of sand past the bridge", limit=1)
        .hits[0]
        .title.startswith("Section")
    )


def test_prune_removes_what_is_gone_and_nothing_else(library: Library, collection: Path) -> None:
    outside = collection.parent / "outside.txt"
    outside.write_text("A note that lies elsewhere.", "utf-8")
    library.add([collection, outside])
    (collection / "bread.txt").unlink()
    assert library.add(collection).removed == 0
    assert library.add(collection, prune=True).removed == 1
    assert library.status().documents == 6
    assert "Sourdough bread" not in titles(library, "sourdough bread")
    library.show(outside)


def test_remove_by_folder_path_and_id(library: Library, collection: Path) -> None:
    library.add(collection)
    assert library.remove(collection / "figures") == 2
    (hit,) = library.search("sourdough", modality="text", limit=1).hits
    assert library.remove([hit.document_id, collection / "beep.wav"]) == 2
    assert library.status().documents == 2
    with pytest.raises(NotFoundError, match="nowhere"):
        library.remove("nowhere")


def test_filters(library: Library, collection: Path) -> None:
    library.add(collection)
    assert set(titles(library, "light", where="year >= 2020")) == {"Muon decay"}
    assert set(titles(library, "light", where="year < 2020")) == {"Evening"}
    assert set(titles(library, "x", where="tags contains 'physics'")) == {"Muon decay"}
    assert set(titles(library, "x", where="source in ('arXiv', 'CERN')")) == {"Muon decay"}
    assert set(titles(library, "x", where="media_type = 'audio/wav'")) <= {"beep"}
    with pytest.raises(FilterError, match='did you mean "year"'):
        library.search("x", where="yaer = 2020")
    assert titles(library, "x", where="source = '''; DROP TABLE chunks; --'") == []


def test_balance_gives_every_modality_a_share(library: Library, collection: Path) -> None:
    library.add(collection)
    hits = library.search("the engineers measure the river banks", limit=3, balance=True).hits
    assert {hit.modality for hit in hits} == {"text", "image", "audio"}
    only = library.search("river", modality={"image", "audio"}, limit=20).hits
    assert {hit.modality for hit in only} == {"image", "audio"}


@pytest.mark.parametrize("fusion", ["calibrated", "rrf", "weighted"])
def test_pages_follow_one_another(library: Library, collection: Path, fusion: str) -> None:
    library.add(collection)
    whole = library.search("river sand", limit=8, fusion=fusion).hits  # type: ignore[arg-type]
    pages = [
        hit
        for offset in (0, 3, 6)
        for hit in library.search(
            "river sand",
            limit=3,
            offset=offset,
            fusion=fusion,  # type: ignore[arg-type]
        ).hits
    ]
    assert [hit.chunk_id for hit in pages[:8]] == [hit.chunk_id for hit in whole]
    assert [hit.rank for hit in pages] == list(range(1, len(pages) + 1))


def test_metadata_of_another_type_fails_no_file(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "records"
    folder.mkdir()
    for name, year in (("a", 2020), ("b", "unknown"), ("c", 2022)):
        (folder / f"{name}.txt").write_text(f"Record {name}.", "utf-8")
        (folder / f"{name}.txt.json").write_text(json.dumps({"year": year}), "utf-8")
    report = library.add(folder)
    assert (report.added, report.failed) == (3, ())
    assert library.columns()["year"] == "text"
    (folder / "b.txt.json").write_text(json.dumps({"year": 2021}), "utf-8")
    assert library.add(folder).replaced == 1
    assert library.columns()["year"] == "integer"


def test_odd_metadata_keys(library: Library, tmp_path: Path) -> None:
    file = tmp_path / "x.txt"
    file.write_text("Some words.", "utf-8")
    odd = {"a b": 1, "A b": 2, "a_b": 3, "'; DROP TABLE chunks; --": "x", "größe": 1.5}
    with pytest.raises(UsageError, match="Reserved names"):
        library.add(file, metadata={"uri": "u"})
    library.add(file, metadata=odd)
    (hit,) = library.search("words").hits
    assert hit.metadata == odd
    assert hit.uri == str(file)
    assert len(library.search("words", where='"a b" = 1 and "A b" = 2 and a_b = 3').hits) == 1


def test_lancedb_opens_what_trawl_writes(library: Library, collection: Path) -> None:
    library.add(collection)
    database = lancedb.connect(
        library.location.address, storage_options=library.location.storage_options
    )
    table = database.open_table("chunks")
    assert table.count_rows() == sum(library.status().chunks.values())
    found = table.search("sourdough", query_type="fts").select(["title", "_score"]).to_list()
    assert [row["title"] for row in found] == ["Sourdough bread"]
    vector = table.to_arrow()["v_mini_2etext"].drop_null()[0].as_py()
    nearest = (
        table.search(vector, vector_column_name="v_mini_2etext")
        .distance_type("cosine")
        .select(["chunk_id", "_distance"])
        .limit(1)
        .to_list()
    )
    assert nearest[0]["_distance"] == pytest.approx(0, abs=1e-5)


def test_a_second_reader_sees_what_the_first_writes(library: Library, collection: Path) -> None:
    with opened_again(library, freshness_s=0) as reader:
        assert reader.search("bread").hits == ()
        library.add(collection)
        assert reader.search("bread", limit=1).hits[0].title == "Sourdough bread"


def test_one_writer_at_a_time(library: Library) -> None:
    impatient = opened_again(library, lock_wait_s=0.1)
    with write_lock(library.location), pytest.raises(LibraryLockedError, match="another process"):
        impatient.add([])


@pytest.mark.parametrize(
    ("query", "problem"),
    [("", "empty"), ("  \n", "empty"), ("word " * 2000, "10,000 characters")],
)
def test_queries_that_cannot_be_meant(library: Library, query: str, problem: str) -> None:
    with pytest.raises(QueryError, match=problem):
        library.search(query)


def test_requests_that_cannot_be_meant(library: Library, collection: Path) -> None:
    with pytest.raises(QueryError, match="give text, an image, a sound or a filter"):
        library.search()
    with pytest.raises(UsageError, match="'smell'"):
        library.search("x", modality="smell")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="limit 0"):
        library.search("x", limit=0)
    with pytest.raises(QueryError, match="not a picture"):
        library.search(image=collection / "bread.txt")
    with pytest.raises(QueryError, match=r"missing\.png"):
        library.search(image=collection / "missing.png")


@pytest.mark.parametrize(
    "query",
    ["'; DROP TABLE chunks; --", '"', "\\", "a AND (b OR", "\x00", "🐟🎣", "the", "* ?", "粒子"],
)
def test_any_words_are_a_query(library: Library, collection: Path, query: str) -> None:
    library.add(collection)
    assert len(library.search(query, limit=3).hits) == 3


def test_places_that_are_no_library(tmp_path: Path) -> None:
    with pytest.raises(LibraryMissingError, match="trawl init"):
        Library(tmp_path / "nothing")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(LibraryError, match=r"thesis\.tex"):
        Library(tmp_path / "mine", create=True)
    (tmp_path / "file").touch()
    with pytest.raises(LibraryError):
        Library(tmp_path / "file", create=True)
    (tmp_path / "library.json").write_text("{", "utf-8")
    with pytest.raises(LibraryError, match="cannot read"):
        Library(tmp_path)


def test_a_library_of_another_model_is_refused(library: Library) -> None:
    with pytest.raises(SpaceMismatchError, match="'other'"):
        opened_again(library, profile="other")
    identity = json.loads(library.location.read("library.json"))
    identity["spaces"][0]["fingerprint"] = "0" * 16
    library.location.write("library.json", json.dumps(identity).encode())
    with pytest.raises(SpaceMismatchError, match="another version"):
        opened_again(library)


def test_names_of_every_kind(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "odd names"
    for part in ("a", "b"):
        (folder / part).mkdir(parents=True)
        (folder / part / "same.txt").write_text(f"The same name in folder {part}.", "utf-8")
    names = ['it\'s "quoted".txt', "new\nline.txt", "fish 🐟.txt", "percent %20.txt", "größe.txt"]
    for name in names:
        (folder / name).write_text(f"A text in a file of an odd name, {len(name)}.", "utf-8")
    raw = os.fsencode(str(folder)) + b"/not-utf8-\xff.txt"
    with open(raw, "wb") as file:
        file.write(b"A text whose name is not UTF-8.")
    report = library.add(folder)
    assert (report.added, report.failed) == (8, ())
    hits = library.search("text name folder", limit=20).hits
    assert len({hit.document_id for hit in hits}) == 8
    assert str(folder / names[1]) in {hit.uri for hit in hits}
    assert library.add(folder).unchanged == 8
    assert library.remove(folder / names[0]) == 1


def test_links_and_loops_give_each_file_once(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "text.txt").write_text("Found once.", "utf-8")
    (folder / "deep" / "up").symlink_to(folder)
    (folder / "again.txt").symlink_to(folder / "deep" / "text.txt")
    (folder / "self").symlink_to(folder / "self")
    (folder / "broken.txt").symlink_to(folder / "gone.txt")
    report = library.add(folder)
    assert report.added == 1
    assert {Path(failure.uri).name for failure in report.failed} == {"self", "broken.txt"}
    (hit,) = library.search("found").hits
    assert hit.uri == str(folder / "deep" / "text.txt")


def test_a_text_pulls_in_no_pictures_from_elsewhere(library: Library, tmp_path: Path) -> None:
    picture("green", "blue").save(tmp_path / "secret.png")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "note.md").write_text("# Note\n\n![x](../secret.png)\n", "utf-8")
    library.add(tmp_path / "texts")
    assert library.status().documents == 1


def test_settings_in_the_order_of_their_strength(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.location.write("trawl.toml", b"chunk_tokens = 100\nport = 9000\n")
    assert opened_again(library).settings.chunk_tokens == 100
    monkeypatch.setenv("TRAWL_CHUNK_TOKENS", "120")
    opened = opened_again(library)
    assert (opened.settings.chunk_tokens, opened.settings.port) == (120, 9000)
    assert opened_again(library, chunk_tokens=150).settings.chunk_tokens == 150


def test_a_long_sound_is_found_by_its_moment(library: Library, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.flac", tone(300, 23.0), 16_000)
    assert library.add(tmp_path / "long.flac").chunks == 4
    spans = [chunk.span for chunk in library.show(tmp_path / "long.flac").chunks]
    assert [(span.start_s, span.end_s) for span in spans] == [(0, 10), (5, 15), (10, 20), (15, 23)]
    assert library.search("a tone", modality="audio").hits[0].detail.endswith("of 0:23")
