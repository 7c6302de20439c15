"""Values of Arrow arrays, read one by one, are those of `to_pylist`."""

from __future__ import annotations

import datetime
from typing import Any

import pyarrow as pa
import pytest

from trawl.store.cells import cells
from trawl.store.schema import LINKS, SPAN

SPAN_VALUE = {
    "start_char": 3,
    "end_char": None,
    "page": 2,
    "box": [0.5, 1.0, 2.0, 3.0],
    "start_s": None,
    "end_s": 1.5,
    "section": "Méthods",
    "regions": [{"page": 1, "box": [1.0]}, None, {"page": None, "box": None}],
}
LINK = {"kind": "cites", "ordinal": 3, "label": None}


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.string(), ["a", "", None, "naïve 山"]),
        (pa.string(), ["a", "b"]),
        (pa.string(), ["", ""]),
        (pa.string(), [None, None]),
        (pa.large_string(), ["a", None]),
        (pa.binary(), [b"\x00\xff", b"", None]),
        (pa.int32(), [1, None, -7]),
        (pa.int64(), [2**40, 0]),
        (pa.float32(), [0.5, None]),
        (pa.float64(), [0.1, -1e300]),
        (pa.bool_(), [True, False, None, *[True] * 9]),
        (pa.date32(), [datetime.date(2020, 2, 29), None]),
        (pa.list_(pa.string()), [["a", None], [], None, ["b"]]),
        (SPAN, [SPAN_VALUE, None, {}, SPAN_VALUE]),
        (LINKS, [[LINK, LINK], None, [], [None]]),
    ],
)
def test_values_are_those_of_arrow(kind: pa.DataType, values: list[Any]) -> None:
    array = pa.array(values, kind)
    for some in (array, array[1:], array[:1]):
        read = cells(some)
        assert [read(place) for place in range(len(some))] == some.to_pylist()
