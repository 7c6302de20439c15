"""Composed queries: the command line, the query language and Python say the same things."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import write_collection
from trawl import Library
from trawl.cli import main
from trawl.errors import UsageError
from trawl.library.inputs import load_picture, load_sound
from trawl.search import QueryPart
from trawl.types import Answer

Trawl = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("composed")
    write_collection(folder / "collection")
    with Library(folder / "library", create=True, freshness_s=0) as library:
        library.add(folder / "collection")
        yield library


@pytest.fixture(scope="module")
def base(opened: Library) -> Path:
    return opened.path.parent / "collection"


@pytest.fixture
def trawl(
    opened: Library,
    base: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> Callable[..., dict[str, Any]]:
    """Return a function that runs `trawl search` in this process and parses its output."""
    monkeypatch.chdir(base)

    def run(*arguments: str) -> dict[str, Any]:
        command = ["trawl", "search", "--json", "-l", str(opened.path), *arguments]
        monkeypatch.setattr(sys, "argv", command)
        assert main.exit_code() == 0, capsysbinary.readouterr().err
        found: dict[str, Any] = json.loads(capsysbinary.readouterr().out)
        return found

    return run


EVERYTHING = ("--all", "--per-document", "0")


def listed(answer: Answer) -> list[tuple[str, float]]:
    return [(hit.chunk_id, pytest.approx(hit.score, abs=1e-6)) for hit in answer.hits]


def printed(found: dict[str, Any]) -> list[tuple[str, float]]:
    return [(hit["chunk_id"], hit["score"]) for hit in found["hits"]]


def chunk_of(opened: Library, name: str) -> str:
    row = next(row for row in opened.documents() if row.uri.endswith(name))
    return opened.show(row.document_id).chunks[0].chunk_id


def test_a_line_a_command_and_parts_find_the_same(
    opened: Library, base: Path, trawl: Trawl
) -> None:
    chunk = chunk_of(opened, "bread.txt")
    line = (
        "(muon decay)^2 image:figures/sunset.jpg^0.5 -image:figures/decay.png^0.25 "
        f"-like:{chunk}^0.5 -sand"
    )
    pixels = opened.settings.max_pixels
    parts = [
        QueryPart("text", "muon decay", 2.0),
        QueryPart("image", load_picture(base / "figures/sunset.jpg", pixels), 0.5),
        QueryPart("image", load_picture(base / "figures/decay.png", pixels), -0.25),
        opened.like(chunk, -0.5),
    ]
    python = opened.search(parts=parts, excluded=["sand"])
    assert python.hits
    assert printed(trawl(line)) == listed(python)


def test_sounds_have_weights_too(opened: Library, base: Path, trawl: Trawl) -> None:
    sound = load_sound(base / "beep.wav", opened.settings.max_pixels)
    toward = opened.search(parts=[QueryPart("text", "a red sunset"), QueryPart("audio", sound, 3)])
    away = opened.search(parts=[QueryPart("text", "a red sunset"), QueryPart("audio", sound, -3)])
    assert printed(trawl("(a red sunset) audio:beep.wav^3")) == listed(toward)
    assert printed(trawl("(a red sunset) -audio:beep.wav^3")) == listed(away)
    assert listed(toward) != listed(away)


def test_away_from_a_chunk(opened: Library) -> None:
    chunk = chunk_of(opened, "sunset.jpg")
    alone = {hit.chunk_id: hit for hit in opened.search("a red sunset", limit=50).hits}
    away = {hit.chunk_id: hit for hit in opened.query(f"red sunset -like:{chunk}", limit=50).hits}

    def similarity(hits: dict[str, Any]) -> float:
        return next(e.similarity for e in hits[chunk].evidence if e.source == "mini.image")

    assert similarity(away) < similarity(alone)


def test_weights_fusion_and_rrf_k(opened: Library, trawl: Trawl) -> None:
    asked = ("river sand", "--fusion", "rrf", "--weight", "bm25=2", "--weight", "mini.image=0")
    python = opened.search(
        "river sand", fusion="rrf", weights={"bm25": 2, "mini.image": 0}, rrf_k=5
    )
    found = trawl(*asked, "--rrf-k", "5")
    assert printed(found) == listed(python)
    assert found["hits"][0]["score"] == pytest.approx(2 / 6 + 1 / 6, abs=0.2)
    weights = {e["source"]: e["weight"] for hit in found["hits"] for e in hit["evidence"]}
    assert weights["bm25"] == 2
    assert weights["mini.text"] == 1
    assert printed(trawl(*asked)) != printed(found)


def test_pages_by_cursor(trawl: Trawl) -> None:
    whole = trawl("river", "-n", "12", *EVERYTHING)
    first = trawl("river", "-n", "5", *EVERYTHING)
    second = trawl("river", "-n", "5", *EVERYTHING, "--cursor", first["cursor"])
    assert printed(first) + printed(second) == printed(whole)[:10]
    assert [hit["rank"] for hit in second["hits"]] == [6, 7, 8, 9, 10]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": {"bm52": 1}}, r"unknown source 'bm52'; .*bm25, mini\.text"),
        ({"weights": {"bm25": -1}}, "weights.bm25 -1: must be at least 0"),
        ({"weights": {"bm25": float("nan")}}, "weights.bm25 nan: must be a finite number"),
        ({"rrf_k": -1}, "rrf_k -1: must be at least 0"),
        ({"rrf_k": float("inf")}, "rrf_k inf: must be a finite number"),
    ],
)
def test_what_cannot_be_meant(opened: Library, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        opened.search("muon", **options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weight", "bm25"], "--weight bm25: expected SOURCE=NUMBER, such as bm25=0.5"),
        (["--weight", "bm25=much"], "--weight bm25=much: expected SOURCE=NUMBER"),
        (["--weight", "=2"], "--weight =2: expected SOURCE=NUMBER"),
        (["--cursor", "next"], "invalid cursor 'next'"),
        (["yaer:>=2020"], "      ^^^^\n"),
        (["year:new"], "query, character 11"),
    ],
)
def test_the_command_line_says_what_cannot_be_meant(
    opened: Library,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.setenv("TRAWL_LIBRARY", str(opened.path))
    monkeypatch.setattr(sys, "argv", ["trawl", "search", "muon", *arguments])
    assert main.exit_code() == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) <= 4
