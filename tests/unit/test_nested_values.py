"""Nested metadata becomes dotted keys."""

from __future__ import annotations

from typing import Any

import pytest

from trawl.readers.values import MAX_KEYS, lenient_metadata


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": {"b": {"c": 1}}}, {"a.b.c": 1}),
        (
            {"authors": [{"name": "Curie", "born": 1867}, {"name": "Noether", "at": {"x": "y"}}]},
            {
                "authors.name": ["Curie", "Noether"],
                "authors.born": ["1867"],
                "authors.at.x": ["y"],
            },
        ),
        ({"a": [{"b": [1, 2]}, {"b": 3}, {"b": None}]}, {"a.b": ["1", "2", "3"]}),
        ({"a": [{"b": [{"c": 1}, {"c": 2}]}]}, {"a.b.c": ["1", "2"]}),
        ({"a": [], "b": [None], "c": {}}, {"a": [], "b": []}),
    ],
)
def test_objects_and_lists_of_objects(value: Any, expected: Any) -> None:
    assert lenient_metadata(value) == (expected, ())


@pytest.mark.parametrize(
    ("value", "key", "text", "kind"),
    [
        ({"a": [{"b": 1}, 2]}, "a", '[{"b": 1}, 2]', "dict"),
        ({"a": [[1]]}, "a", "[[1]]", "list"),
        ({"a": [{"b": [[1]]}]}, "a.b", "[[1]]", "list"),
    ],
)
def test_other_lists_are_json_with_a_notice(value: Any, key: str, text: str, kind: str) -> None:
    notice = f"metadata {key!r} is a list that contains a {kind}; kept as JSON text"
    assert lenient_metadata(value) == ({key: text}, (notice,))


def test_values_that_contain_themselves_end() -> None:
    endless: dict[str, Any] = {"x": 1}
    endless["many"] = [endless, endless]
    metadata, notices = lenient_metadata(endless)
    assert metadata["many.x"] == ["1", "1"]
    assert "left out" in notices[-1]
    wide: dict[str, Any] = {"x": 1}
    for _ in range(20):
        wide = {"k": [wide] * 10}
    assert "left out" in lenient_metadata(wide)[1][-1]


def test_too_many_keys_in_a_list_have_a_notice() -> None:
    metadata, notices = lenient_metadata({"a": [{str(n): n for n in range(MAX_KEYS + 5)}]})
    assert len(metadata) == MAX_KEYS
    assert notices == (f"more than {MAX_KEYS:,} metadata keys; the others are left out",)
