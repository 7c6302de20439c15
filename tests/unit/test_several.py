"""Parts of a search of several libraries that need no library."""

from __future__ import annotations

import datetime
import math
from pathlib import Path

import numpy as np
import pytest

from trawl.errors import FilterError, QueryError, SettingsError, UsageError
from trawl.libraries import entries_of
from trawl.libraries.cursors import format_cursor, parse_cursor
from trawl.query import And, Comparison, Exists, Not, OneOf, Or, Untyped, parse_filter
from trawl.ranking import Null, fuse, joined_null
from trawl.types import Ranking
from trawl.wire.filters import filter_fields, filter_of


@pytest.mark.parametrize("count", [2, 3, 10])
def test_equal_libraries_have_the_null_of_one_that_is_as_large_as_all(count: int) -> None:
    null = Null(best=0.4, std=0.05, growth=0.03, size=1000)
    joined = joined_null([(null, 2000)] * count)
    assert joined.best == pytest.approx(0.4 + 0.03 * math.log(2 * count))
    assert (joined.std, joined.growth, joined.size) == pytest.approx((0.05, 0.03, 2000 * count))


def test_the_null_of_a_small_library_hardly_counts() -> None:
    large, small = Null(0.4, 0.05, 0.03, 1000), Null(0.1, 0.05, 0.03, 10)
    assert joined_null([(large, 1000), (small, 10)]).best == pytest.approx(0.4, abs=1e-3)


def test_a_row_is_judged_only_by_sources_that_searched_it() -> None:
    null = Null(0.3, 0.05, 0.0, 100)
    ours = Ranking("a.text", np.array([1]), np.array([0.5], np.float32), 100, ranges=((0, 9),))
    other = Ranking("b.text", np.array([11]), np.array([0.5], np.float32), 100, ranges=((10, 19),))
    nulls = {"a.text": null, "b.text": null}
    together = fuse([ours, other], nulls=nulls)
    assert together.scores[0] == pytest.approx(fuse([ours], nulls=nulls).scores[0], rel=1e-3)


@pytest.mark.parametrize(
    "node",
    [
        parse_filter("year >= 2020 and (a = 'x' or not b in (1, 2.5)) and c contains 'y'"),
        And((Untyped("year", ">=", "2020"), Not(Exists("a")))),
        Or((OneOf("day", (datetime.date(2024, 5, 1), True)), And(()))),
        Comparison("at", "<", datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)),
    ],
)
def test_filters_survive_the_wire(node: object) -> None:
    assert filter_of(filter_fields(node)) == node  # type: ignore[arg-type]


@pytest.mark.parametrize("fields", [["compare", "a", "; drop", 1], ["maybe"], 3, ["in", "a", {}]])
def test_other_filters_are_refused(fields: object) -> None:
    with pytest.raises(FilterError):
        filter_of(fields)
    nested: list[object] = ["exists", "a"]
    for _ in range(100):
        nested = ["not", nested]
    with pytest.raises(FilterError, match="deeper"):
        filter_of(nested)


def test_cursors_name_the_libraries_that_answered() -> None:
    cursor = format_cursor(20, {"a": 3, "c": 12}, ["a", "b", "c"])
    assert parse_cursor(cursor, ["a", "b", "c"]) == (20, {"a": 3, "b": None, "c": 12})
    for names in (["a", "c", "b"], ["a", "b"]):
        with pytest.raises(QueryError, match="same libraries"):
            parse_cursor(cursor, names)


def test_libraries_are_named_by_the_last_part_of_their_address(tmp_path: Path) -> None:
    found = entries_of(["/data/papers", "/more/papers/", "s3://bucket/x/photos", "http://h:80"])
    assert list(found) == ["papers", "papers-2", "photos", "h-80"]
    with pytest.raises(UsageError, match="given twice"):
        entries_of(["/data/papers", "/data/../data/papers"])


def test_a_catalogue_names_libraries(tmp_path: Path) -> None:
    file = tmp_path / "all.toml"
    file.write_text(
        '[libraries]\npapers = "papers"\nphotos = "s3://bucket/photos"\n'
        'sounds = {address = "https://sounds.example", key_env = "SOUNDS_KEY"}\n'
    )
    found = entries_of([str(file)])
    assert found["papers"].address == str(tmp_path / "papers")
    assert found["photos"].address == "s3://bucket/photos"
    assert (found["sounds"].key_env, found["sounds"].is_server) == ("SOUNDS_KEY", True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x = 1", "unknown table 'x'"),
        ("[libraries]", "names no library"),
        ('[libraries]\n"a~b" = "c"', "no name for a library"),
        ("[libraries]\na = 1", "needs an address"),
        ('[libraries]\na = {address = "b", keys = 1}', "unknown key 'keys'"),
        ('[libraries]\na = "other.toml"', "must be a library"),
        ("[libraries", "cannot read the catalogue"),
    ],
)
def test_a_wrong_catalogue_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "all.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=problem):
        entries_of([str(file)])
