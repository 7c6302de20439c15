"""Columns, metadata and rows, without a table on disk."""

from __future__ import annotations

import datetime
import itertools

import numpy as np
import pytest

from trawl.errors import MetadataError
from trawl.store.columns import ColumnTypes, column_type, fit_value
from trawl.store.rows import (
    chunk_rows,
    metadata_from_json,
    metadata_to_json,
    span_from_row,
)
from trawl.store.schema import (
    chunks_schema,
    filter_column,
    metadata_column,
    metadata_columns,
    metadata_fields,
)
from trawl.types import Chunk, ColumnType, Document, Metadata, Space, Span, Value

KEYS = [
    "year",
    "Year",
    "YEAR",
    "a b",
    "a_b",
    "a.b",
    "größe",
    "_61",
    "a",
    "",
    "'; DROP",
    "日本",
    "uri",
]


def test_no_two_keys_share_a_column() -> None:
    columns = [metadata_column(key) for key in KEYS]
    assert len(set(columns)) == len(KEYS)
    assert all(column.replace("_", "").isalnum() and column.isascii() for column in columns)
    assert all(column == column.lower() for column in columns)


def test_keys_and_types_come_back_from_the_schema() -> None:
    kinds: list[ColumnType] = ["text", "integer", "real", "boolean", "date", "texts"]
    columns = {key: kinds[n % len(kinds)] for n, key in enumerate(KEYS)}
    assert metadata_columns(metadata_fields(columns)) == columns


def test_a_built_in_column_comes_before_a_key_of_its_name() -> None:
    assert filter_column("uri") == "uri"
    assert filter_column("year") == metadata_column("year") != "year"


METADATA: Metadata = {
    "text": "it's",
    "whole": 3,
    "real": 2.5,
    "yes": True,
    "day": datetime.date(2024, 2, 29),
    "time": datetime.datetime(2024, 2, 29, 10, 30, tzinfo=datetime.UTC),
    "tags": ["a", "b"],
}


def test_metadata_survives_json() -> None:
    assert metadata_from_json(metadata_to_json(METADATA)) == METADATA
    assert metadata_from_json(None) == {}


DAY, NOON = datetime.date(2024, 5, 1), datetime.datetime(2024, 5, 1, 12)


@pytest.mark.parametrize(
    ("values", "kind", "held"),
    [
        ([4, 4], "integer", [4, 4]),
        ([4, 4.5], "real", [4.0, 4.5]),
        ([DAY, NOON], "datetime", [datetime.datetime(2024, 5, 1), NOON]),
        (["a", ["b", "c"]], "texts", [["a"], ["b", "c"]]),
        ([4, ["b"], True], "texts", [["4"], ["b"], ["true"]]),
        ([2021, "n.d."], "text", ["2021", "n.d."]),
        ([True, 1], "text", ["true", "1"]),
        ([DAY, 1.5, "x"], "text", ["2024-05-01", "1.5", "x"]),
    ],
)
def test_the_type_of_a_column_holds_every_value(
    values: list[Value], kind: ColumnType, held: list[Value]
) -> None:
    for order in itertools.permutations(values):
        types = ColumnTypes({"key": value} for value in order)
        assert types.columns() == {"key": kind}
    assert [fit_value(value, kind) for value in values] == held


def test_a_column_widens_from_the_type_that_it_has() -> None:
    types = ColumnTypes([{"year": 2021.5}], {"year": "integer", "day": "date"})
    assert types.columns() == {"year": "real", "day": "date"}


def test_a_time_with_a_zone_is_held_in_utc() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=2))
    assert fit_value(NOON.replace(tzinfo=zone), "datetime") == datetime.datetime(2024, 5, 1, 10)
    first = datetime.datetime.min.replace(tzinfo=zone)
    assert fit_value(first, "datetime") == datetime.datetime.min


@pytest.mark.parametrize("value", [2**63, float("nan"), float("inf")])
def test_numbers_that_no_column_holds(value: float) -> None:
    with pytest.raises(MetadataError):
        column_type("key", value)


SPACE = Space("m", 4, "f")


def _rows(vector: list[float]) -> object:
    document = Document("d", "/a/b.txt", "h", "text/plain", "Title", {}, 1)
    chunk = Chunk("d", 0, "text", Span(0, 5), "words", {"m.text": np.array(vector, np.float32)})
    return chunk_rows([(document, [chunk])], chunks_schema({"m.text": SPACE, "m.image": SPACE}))


def test_rows_hold_words_from_title_name_and_text() -> None:
    (row,) = _rows([1, 0, 0, 0]).to_pylist()  # type: ignore[attr-defined]
    assert row["words"] == " title || b txt || words "
    assert row["terms"] == "titl b txt word"
    assert row["v_m_2etext"] == [1, 0, 0, 0]
    assert row["v_m_2eimage"] is None
    assert span_from_row(row["span"]) == Span(0, 5)


@pytest.mark.parametrize("vector", [[0, 0, 0, 0], [2, 0, 0, 0], [float("nan"), 0, 0, 0]])
def test_vectors_of_another_length_than_1_never_get_in(vector: list[float]) -> None:
    with pytest.raises(AssertionError, match="length"):
        _rows(vector)
