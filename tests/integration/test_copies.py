"""Copies of a file are one hit with several places; a hit whose file is gone says so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from conftest import picture
from trawl import Library


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in"
    made.mkdir()
    (made / "herons.txt").write_text("Herons stand in shallow water.", "utf-8")
    (made / "owls.txt").write_text("Owls hunt at night.", "utf-8")
    picture("red", "white").save(made / "red.png")
    return made


def copied(file: Path, *names: str) -> list[Path]:
    return [Path(shutil.copy(file, file.parent / name)) for name in names]


def test_copies_are_one_hit_with_places(library: Library, folder: Path) -> None:
    (copy,) = copied(folder / "herons.txt", "a copy.txt")
    (folder / "hard.txt").hardlink_to(folder / "herons.txt")
    library.add(folder)
    assert library.status().documents == 5
    (hit,) = library.search("herons water", required=["herons"]).hits
    places = {hit.uri, *(place.uri for place in hit.places)}
    assert places == {str(copy), str(folder / "hard.txt"), str(folder / "herons.txt")}
    assert len(hit.places) == 2
    owls = library.search("owls", required=["owls"]).hits
    assert [hit.places for hit in owls] == [()]
    shown = library.show(copy)
    assert {place.uri for place in shown.places} == places - {str(copy)}
    assert not shown.gone
    # Each copy remains a document of its own.
    assert library.remove(copy) == 1
    (hit,) = library.search("herons water", required=["herons"]).hits
    assert len(hit.places) == 1


def test_copies_of_pictures_with_other_captions(library: Library, folder: Path) -> None:
    copied(folder / "red.png", "second.png")
    (folder / "second.png.json").write_text('{"caption": "A flag", "year": 1999}', "utf-8")
    library.add(folder)
    hits = library.search("a red picture", modality="image").hits
    assert len(hits) == 1
    # A filter or a word that only one of them has finds that one.
    (hit,) = library.search("a red picture", where="year = 1999").hits
    assert hit.uri == str(folder / "second.png")
    assert [place.uri for place in hit.places] == [str(folder / "red.png")]
    (hit,) = library.search("flag", required=["flag"]).hits
    assert hit.uri == str(folder / "second.png")
    (facet,) = library.search("picture", modality="image", facets=["year"]).facets
    assert facet.counts == ((1999, 1),)


def test_files_of_other_types_or_bytes_are_no_copies(library: Library, folder: Path) -> None:
    copied(folder / "herons.txt", "herons.md")
    (folder / "more.txt").write_text("Herons stand in shallow water. \n", "utf-8")
    library.add(folder)
    hits = library.search("herons", required=["herons"], all=True).hits
    assert len(hits) == 3
    assert all(hit.places == () for hit in hits)


def test_pages_of_copies(library: Library, folder: Path) -> None:
    for number in range(6):
        file = folder / f"bird{number}.txt"
        file.write_text(f"Bird number {number} has wings.", "utf-8")
        for copy in range(5):
            copied(file, f"copy{copy}-of-{number}.txt")
    library.add(folder)
    whole = library.search("bird wings", required=["bird"], limit=6, all=True)
    contents = [hit.snippet for hit in whole.hits]
    assert len(set(contents)) == 6
    assert all(len(hit.places) == 5 for hit in whole.hits)
    paged, cursor = [], None
    for _ in range(3):
        answer = library.search("bird wings", required=["bird"], limit=2, all=True, cursor=cursor)
        paged += [hit.chunk_id for hit in answer.hits]
        cursor = answer.cursor
    assert paged == [hit.chunk_id for hit in whole.hits]
    (facet,) = library.search("bird wings", all=True, facets=["media_type"]).facets
    assert facet.counts == (("text/plain", 8), ("image/png", 1))
    for options in ({"balance": True}, {"group": True}, {"diversity": 0.5}, {"per_document": 0}):
        hits = library.search("bird wings", limit=9, **options).hits  # type: ignore[arg-type]
        assert len({hit.snippet for hit in hits if hit.modality == "text"}) == len(
            [hit for hit in hits if hit.modality == "text"]
        ), options


def test_many_copies_do_not_displace_other_files(library: Library, folder: Path) -> None:
    for number in range(130):
        copied(folder / "herons.txt", f"copy{number}.txt")
    (folder / "few.txt").write_text("A pond with one of the herons, reeds and frogs.", "utf-8")
    library.add(folder)
    hits = library.search("herons stand in shallow water", required=["herons"], all=True).hits
    assert [Path(hit.uri).name == "few.txt" for hit in hits] == [False, True]
    assert len(hits[0].places) == 130


def test_a_query_by_a_chunk_leaves_out_its_copies(library: Library, folder: Path) -> None:
    copied(folder / "red.png", "second.png")
    library.add(folder)
    (hit,) = library.search("red", modality="image").hits
    others = library.similar(hit.chunk_id, all=True).hits
    assert {Path(one.uri).suffix for one in others} == {".txt"}


def test_a_file_that_is_gone_is_marked_and_its_copy_precedes_it(
    library: Library, folder: Path
) -> None:
    (copy,) = copied(folder / "herons.txt", "zz.txt")
    library.add(folder)
    (hit,) = library.search("herons", required=["herons"]).hits
    assert not hit.gone
    Path(hit.uri).unlink()
    (now,) = library.search("herons", required=["herons"]).hits
    assert (now.uri, now.gone) == (hit.places[0].uri, False)
    assert [place.uri for place in now.places] == [hit.uri]
    Path(now.uri).unlink()
    (dead,) = library.search("herons", required=["herons"]).hits
    assert dead.gone
    assert library.show(dead.document_id).gone
    assert library.add(folder, prune=True).removed == 2
    assert copy.exists() is False


def test_a_folder_in_place_of_the_file_or_a_path_below_it(library: Library, folder: Path) -> None:
    library.add(folder)
    shutil.rmtree(folder)
    folder.write_text("no folder any more", "utf-8")
    assert all(hit.gone for hit in library.search("herons", all=True).hits)
