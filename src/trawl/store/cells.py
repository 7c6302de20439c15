"""Read single values of Arrow arrays.

Arrow takes a tenth of a millisecond to take a few rows of a column. A search needs about twelve
rows of fourteen columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

Cell: TypeAlias = Callable[[int], Any]


def cells(array: pa.Array) -> Cell:
    """Return a function from a place in an array to its value, which `to_pylist` would return."""
    if array.offset:
        return lambda place: array[place].as_py()
    if array.null_count == len(array):
        return lambda place: None
    read = _present(array)
    if not array.null_count:
        return read
    is_valid = _bits(array.buffers()[0])
    return lambda place: read(place) if is_valid(place) else None


def _present(array: pa.Array) -> Cell:
    """Return the function for values that are not null."""
    kind = array.type
    if pa.types.is_struct(kind):
        fields = {field.name: cells(array.field(field.name)) for field in kind}
        return lambda place: {name: read(place) for name, read in fields.items()}
    if pa.types.is_list(kind):
        starts, item = memoryview(array.buffers()[1]).cast("i"), cells(array.values)
        return lambda place: [item(at) for at in range(starts[place], starts[place + 1])]
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        _, offsets, buffer = array.buffers()
        starts, data = memoryview(offsets).cast("i"), memoryview(buffer or b"")
        if pa.types.is_binary(kind):
            return lambda place: bytes(data[starts[place] : starts[place + 1]])
        return lambda place: str(data[starts[place] : starts[place + 1]], "utf-8")
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        numbers = np.frombuffer(array.buffers()[1], kind.to_pandas_dtype())
        return lambda place: numbers[place].item()
    if pa.types.is_boolean(kind):
        return _bits(array.buffers()[1])
    return lambda place: array[place].as_py()


def _bits(buffer: pa.Buffer) -> Callable[[int], bool]:
    bits = memoryview(buffer)
    return lambda place: bool(bits[place >> 3] >> (place & 7) & 1)
