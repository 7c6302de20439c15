"""Several libraries as one: directories, a server's library, and members that fail."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import pytest
from PIL import Image

from conftest import picture
from served import over_http, wait_until_ready
from trawl import Libraries, Library
from trawl.cli import main
from trawl.client import Client
from trawl.errors import FilterError, LibraryError, NotFoundError, QueryError, UsageError
from trawl.libraries.served import ServedLibraries
from trawl.server import create_app
from trawl.settings import load_settings

NOTES = {
    "muon": "The muon decays to an electron and two neutrinos after two microseconds.",
    "pion": "A charged pion decays to a muon and a neutrino in flight.",
    "bread": "Knead the dough, let the yeast rise, and bake the bread for an hour.",
    "soup": "Boil the onions and carrots for a soup, and add salt and pepper.",
    "ship": "The old ship left the harbour at dawn with sails of white linen.",
    "comet": "The comet passed the sun and grew a tail of dust and gas.",
    "rain": "Rain fell on the roof all night, and the river rose by a metre.",
    "violin": "She tuned the violin and played a slow movement by Bach.",
    "market": "At the market they sold apples, cheese and fresh fish.",
}
PARTS = {"physics": ("muon", "comet", "soup"), "home": ("pion", "bread", "rain")}
SERVED = ("ship", "violin", "market")


class Place(NamedTuple):
    physics: Path
    home: Path
    server: str
    one: Path


def index(folder: Path, name: str, notes: Sequence[str], year: int, *, pictures: bool) -> Path:
    files = folder / f"files-{name}"
    files.mkdir()
    for note in notes:
        (files / f"{note}.txt").write_text(NOTES[note])
    if pictures:
        picture("red", "white").save(files / "flag.png")
    with Library(folder / name, create=True) as library:
        assert library.add(files, metadata={"year": year}).failed == ()
    return folder / name


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("several")
    found = [
        index(folder, name, notes, 2020 + number, pictures=number == 0)
        for number, (name, notes) in enumerate(PARTS.items())
    ]
    served = index(folder, "served", SERVED, 2022, pictures=True)
    one = folder / "one"
    with Library(one, create=True) as library:
        for part in ("physics", "home", "served"):
            library.add(folder / f"files-{part}")
    with Library(served) as library:
        settings = load_settings(served, rate_limit="")
        with over_http(create_app(library, settings)) as address:
            wait_until_ready(address)
            yield Place(found[0], found[1], address, one)


@pytest.fixture(scope="module")
def libraries(place: Place) -> Iterator[Libraries]:
    members = {"physics": place.physics, "home": place.home, "away": place.server}
    with Libraries(members, library_timeout_s=60) as opened:
        yield opened


def names(answer_or_hits: object) -> list[str]:
    return [Path(hit.uri).name for hit in getattr(answer_or_hits, "hits", answer_or_hits)]


@pytest.mark.parametrize("query", ["muon decay", "a musical instrument", "ship", "red flag"])
def test_the_list_is_that_of_one_library_with_everything(
    place: Place, libraries: Libraries, query: str
) -> None:
    with Library(place.one) as library:
        expected = library.search(query, all=True, per_document=0)
    found = libraries.search(query, all=True, per_document=0)
    # In libraries this small, what chance brings is measured roughly.
    assert names(found)[0] == names(expected)[0]
    assert set(names(found)) == set(names(expected))
    assert found.hits[0].score == pytest.approx(expected.hits[0].score, abs=0.3)
    assert {one.name: one.error for one in found.libraries} == dict.fromkeys(
        ("physics", "home", "away")
    )


def test_hits_name_their_library_and_their_ids_work(libraries: Libraries) -> None:
    hits = {Path(hit.uri).name: hit for hit in libraries.search("red flag", all=True).hits}
    assert {hits[f"{name}.txt"].library for name in PARTS["home"]} == {"home"}
    flag = hits["flag.png"]
    assert flag.chunk_id.startswith(f"{flag.library}~")
    assert libraries.thumbnail(flag.chunk_id)[:2] == b"\xff\xd8"
    with libraries.original(flag.chunk_id).file as file:
        assert Image.open(file).size == (160, 120)
    for hit in hits.values():
        shown = libraries.show(hit.chunk_id)
        assert shown.document.document_id == hit.document_id
        assert hit.chunk_id in [chunk.chunk_id for chunk in shown.chunks]
    with pytest.raises(NotFoundError, match="physics, home, away"):
        libraries.thumbnail("elsewhere~" + flag.chunk_id)


def test_the_same_file_in_two_libraries_is_one_hit(libraries: Libraries) -> None:
    found = [hit for hit in libraries.search("red flag", all=True).hits if "flag" in hit.uri]
    assert len(found) == 1
    [place] = found[0].places
    assert {found[0].document_id[:4], place.document_id[:4]} == {"phys", "away"}


def test_pages_continue_without_gap_or_repetition(libraries: Libraries) -> None:
    whole = libraries.search("the night", all=True, limit=10)
    pages, cursor = [], None
    for _ in range(5):
        answer = libraries.search("the night", all=True, limit=3, cursor=cursor)
        pages += [hit.chunk_id for hit in answer.hits]
        if (cursor := answer.cursor) is None:
            break
    assert pages == [hit.chunk_id for hit in whole.hits]
    with pytest.raises(QueryError, match="same libraries"):
        libraries.search("the night", cursor="m3-000000-1-1-1")


def test_filters_list_and_count_what_matches_in_all(libraries: Libraries) -> None:
    answer = libraries.search(where="year >= 2021", sort="-year", facets=["year"], limit=4)
    assert answer.total == 7
    assert [hit.metadata["year"] for hit in answer.hits] == [2022] * 4
    assert dict(answer.facets[0].counts) == {2022: 4, 2021: 3}
    query = libraries.query("muon year:>=2020", facets=["year"], all=True)
    assert sum(dict(query.facets[0].counts).values()) >= 6
    assert dict(libraries.facets(["year"])[0].counts) == {2020: 4, 2021: 3, 2022: 4}
    page = libraries.document_page(sort="year", offset=3, limit=2)
    assert page.total == 11
    assert [one.metadata["year"] for one in page.documents] == [2020, 2021]
    assert libraries.status().documents == 11
    versions = [one.version for one in libraries.statuses().values()]
    assert min(versions) > 0
    assert libraries.status().version == sum(versions)


def test_chunks_like_one_are_found_in_the_other_libraries(libraries: Libraries) -> None:
    muon = libraries.search("muon decay", limit=1).hits[0]
    found = libraries.similar(muon.chunk_id, all=True)
    assert names(found)[0] in ("pion.txt", "muon.txt")
    assert muon.chunk_id not in [hit.chunk_id for hit in found.hits]
    assert len({hit.library for hit in found.hits}) == 3


def test_queries_by_picture_reach_servers(libraries: Libraries, place: Place) -> None:
    flag = place.physics.parent / "files-physics" / "flag.png"
    answer = libraries.search(image=flag)
    assert answer.hits[0].uri.endswith("flag.png")
    assert [one.error for one in answer.libraries] == [None] * 3


def test_words_sorting_and_diversity_work_over_all(libraries: Libraries) -> None:
    with_both = libraries.search("rain", required=["river"])
    assert names(with_both) == ["rain.txt"]
    diverse = libraries.search("decay", diversity=0.5, all=True)
    assert len(diverse.hits) == 10
    ordered = libraries.search("the", sort="-year", all=True)
    years = [hit.metadata["year"] for hit in ordered.hits]
    assert years == sorted(years, reverse=True)
    with pytest.raises(FilterError, match="no column 'colour'"):
        libraries.search("muon", sort="colour")
    with pytest.raises(UsageError, match="unknown source 'other'"):
        libraries.search("muon", weights={"other": 2.0})


def test_a_failing_member_costs_only_its_results(place: Place, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        slow = f"http://127.0.0.1:{silent.getsockname()[1]}"
        members = {
            "physics": place.physics,
            "missing": tmp_path / "none",
            "slow": slow,
            "closed": "http://127.0.0.1:9",
        }
        reported = []
        with Libraries(members, library_timeout_s=60, on_missing=reported.append) as libraries:
            libraries._members["slow"].timeout_s = 0.5
            answer = libraries.search("muon decay")
            errors = {one.name: one.error for one in answer.libraries}
            assert names(answer)[0] == "muon.txt"
            assert errors["physics"] is None
            assert "no library at" in str(errors["missing"])
            assert errors["slow"] == "no answer within 0.5 s"
            assert "no response from" in str(errors["closed"])
            libraries.status()
            assert {one.name for one in reported} == {"missing", "slow", "closed"}


def test_no_member_at_all_is_an_error(tmp_path: Path) -> None:
    with (
        Libraries([tmp_path / "a", tmp_path / "b"]) as libraries,
        pytest.raises(LibraryError, match="no library answered"),
    ):
        libraries.search("muon")


def test_the_command_line_warns_and_succeeds(
    place: Place, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    catalogue = tmp_path / "all.toml"
    catalogue.write_text(
        f'[libraries]\nphysics = "{place.physics}"\nhome = "{place.home}"\nlost = "lost"\n'
    )

    def trawl(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["trawl", *arguments])
        code = main.exit_code()
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    code, out, err = trawl("search", "muon", "-l", str(catalogue), "--json")
    found = json.loads(out)
    assert code == 0
    assert "warning: without library lost: no library at" in err
    assert {one["name"]: bool(one["error"]) for one in found["libraries"]} == {
        "physics": False, "home": False, "lost": True,
    }  # fmt: skip
    assert found["hits"][0]["library"] in ("physics", "home")
    several = ("-l", str(place.physics), "-l", str(place.home))
    code, out, _ = trawl("show", found["hits"][0]["chunk_id"], *several)
    assert code == 0
    assert "muon" in out
    code, out, _ = trawl("status", *several, "--json")
    assert json.loads(out)["libraries"].keys() == {"physics", "home"}
    code, _, err = trawl("rm", "muon.txt", *several)
    assert code == 2
    assert "for one library" in err
    code, _, err = trawl("add", str(tmp_path), "-l", str(catalogue))
    assert code == 2
    assert "catalogue" in err
    code, _, err = trawl("search", "muon", "-l", str(tmp_path / "a"), "-l", str(tmp_path / "b"))
    assert code == 1
    assert "no library answered" in err


def test_a_server_of_several_libraries_searches_and_shows(place: Place, tmp_path: Path) -> None:
    lost = tmp_path / "lost"
    addresses = [str(place.physics), place.server, str(lost)]
    with ServedLibraries(addresses, library_timeout_s=60) as several:
        settings = load_settings(None, rate_limit="")
        app = create_app(cast(Library, several), settings)
        with over_http(app) as address, Client(address) as client:
            wait_until_ready(address)
            away = several.names[1]
            answer = client.search("red flag", all=True, facets=["year"])
            assert {hit.library for hit in answer.hits} == {"physics", away}
            errors = {one.name: one.error for one in answer.libraries}
            assert errors.pop("lost") is not None
            assert set(errors.values()) == {None}
            assert str(tmp_path) not in str(answer.libraries)
            ship = client.search("ship").hits[0]
            assert ship.library == away
            assert client.chunk(ship.chunk_id).text == NOTES["ship"]
            assert client.media(ship.chunk_id).data.decode() == NOTES["ship"]
            assert client.show(ship.document_id).document.uri == "ship.txt"
            assert client.similar(ship.chunk_id).hits[0].chunk_id != ship.chunk_id
            flag = next(hit for hit in answer.hits if hit.uri == "flag.png")
            assert client.thumbnail(flag.chunk_id)[:2] == b"\xff\xd8"
            flags = client.search(image=place.physics.parent / "files-physics" / "flag.png")
            assert flags.hits[0].uri == "flag.png"
            assert client.health()["documents"] == 8
            assert client.documents(sort="year").total == 8
            page = client.search("the", limit=3, all=True)
            following = client.search("the", limit=3, all=True, cursor=page.cursor)
            assert [hit.rank for hit in following.hits] == [4, 5, 6]
            for refused in (
                lambda: client.submit([place.physics.parent / "files-home" / "rain.txt"]),
                lambda: client.remove(ship.document_id),
                lambda: client.set_metadata(ship.document_id, {"year": 1}),
            ):
                with pytest.raises(UsageError, match="several libraries"):
                    refused()
