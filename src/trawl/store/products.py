"""Products of queries with many vectors, by codes of four bits a dimension.

ONNX Runtime multiplies matrices of four bits in the registers of the processor, as language
models need it (`MatMulNBits`). A search reads an eighth of the bytes that it would read of
float32, and reading them is most of its cost.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_GROUP = 32
"""The dimensions that share a scale."""
_MOST = 7
_ZERO = 8

_MAX_SHARED = 16

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Codes:
    """Vectors as numbers from -7 to 7, for groups of 32 dimensions that share a scale.

    `packed` is uint8 [N, G, 16], two numbers a byte, the earlier in the lower bits, each
    increased by 8; `scales` is float32 [N, G].
    """

    packed: NDArray[np.uint8]
    scales: Floats

    @classmethod
    def of(cls, vectors: Floats) -> Codes:
        """Encode vectors, float32 [N, D]. Missing dimensions of the last group are 0."""
        count, dimension = vectors.shape
        groups = -(-dimension // _GROUP)
        if dimension % _GROUP:
            vectors = np.pad(vectors, ((0, 0), (0, groups * _GROUP - dimension)))
        grouped = vectors.reshape(count, groups, _GROUP)
        scales = np.maximum(grouped.max(axis=2), -grouped.min(axis=2)) / _MOST
        inverse = np.divide(1, scales, out=np.zeros_like(scales), where=scales > 0)
        numbers = np.rint(grouped * inverse[:, :, None] + _ZERO).astype(np.uint8)
        return cls(numbers[..., 0::2] | numbers[..., 1::2] << 4, scales)

    @classmethod
    def joined(cls, parts: Iterable[Codes]) -> Codes:
        """Join the codes of vectors of one dimension."""
        parts = list(parts)
        return cls(
            np.concatenate([part.packed for part in parts]),
            np.concatenate([part.scales for part in parts]),
        )

    @staticmethod
    def bytes_per_vector(dimension: int) -> int:
        """Return the memory that a vector of `dimension` takes in `Products`, as measured."""
        return -(-dimension // _GROUP) * (_GROUP // 2 + 12)


class Products:
    """Multiplies coded vectors with queries. Safe to use from several threads.

    Most of a product's cost is reading the codes, so queries that arrive during one
    product share the next.
    """

    def __init__(self, codes: Codes, threads: int) -> None:
        self._session = _session(codes, threads)
        self._width = codes.scales.shape[1] * _GROUP
        self._mutex = Lock()
        self._busy = False
        self._waiting: list[_Request] = []

    def times(self, query: Floats) -> Floats:
        """Return the approximate products with a query [D], float32 [N], to be modified."""
        request = _Request(query)
        with self._mutex:
            self._waiting.append(request)
            leads, self._busy = not self._busy, True
        if not leads:
            request.woken.wait()
        if request.product is None:  # this thread computes for all that wait
            try:
                self._compute(request)
            finally:
                self._wake_next()
        assert request.product is not None
        return request.product

    def _compute(self, own: _Request) -> None:
        with self._mutex:
            self._waiting.remove(own)
            batch = [own, *self._waiting[: _MAX_SHARED - 1]]
            del self._waiting[: _MAX_SHARED - 1]
        queries = np.zeros((len(batch), self._width), np.float32)
        for place, request in enumerate(batch):
            queries[place, : len(request.query)] = request.query
        try:
            (products,) = self._session.run(None, {"queries": queries})
        except BaseException:
            with self._mutex:  # the others try again
                self._waiting[:0] = batch[1:]
            raise
        for request, product in zip(batch, products, strict=True):
            request.product = product
            request.woken.set()

    def _wake_next(self) -> None:
        with self._mutex:
            if self._waiting:
                self._waiting[0].woken.set()
            else:
                self._busy = False


@dataclass(slots=True, eq=False)
class _Request:
    query: Floats
    product: Floats | None = None
    woken: Event = field(default_factory=Event)


def _session(codes: Codes, threads: int) -> InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    # Waiting threads that spin would take CPU time from concurrent searches.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    arrays = {"packed": codes.packed, "scales": codes.scales.reshape(-1)}
    # Within the graph, the session would keep a second copy.
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in arrays.values()]
    options.add_external_initializers(list(arrays), values)
    graph = _graph(*codes.scales.shape)
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


# --- the graph, a protocol buffer (onnx.proto of the ONNX project) ------------------------------

_FLOAT, _UINT8, _INT, _EXTERNAL = 1, 2, 2, 1


def _graph(count: int, groups: int) -> bytes:
    """Return the ONNX model of one `MatMulNBits`, from "queries" [M, D] to "products" [M, N].

    The codes, "packed" and "scales", are initializers whose data are elsewhere.
    """
    numbers = {
        "K": groups * _GROUP,
        "N": count,
        "bits": 4,
        "block_size": _GROUP,
        "accuracy_level": 4,  # multiply with queries of eight bits, which is the fast way
    }
    names = b"".join(_part(1, name) for name in ("queries", "packed", "scales"))
    attributes = b"".join(
        _part(5, _part(1, name) + _number(3, value) + _number(20, _INT))
        for name, value in numbers.items()
    )
    operator = _part(4, "MatMulNBits") + _part(7, "com.microsoft")
    graph = (
        _part(1, names + _part(2, "products") + attributes + operator)
        + _part(2, "products")
        + _part(5, _tensor("packed", (count, groups, _GROUP // 2), _UINT8))
        + _part(5, _tensor("scales", (count * groups,), _FLOAT))
        + _part(11, _value("queries", groups * _GROUP))
        + _part(12, _value("products", count))
    )
    versions = (("", 17), ("com.microsoft", 1))
    opsets = b"".join(_part(8, _part(1, name) + _number(2, one)) for name, one in versions)
    return _number(1, 10) + _part(7, graph) + opsets


def _tensor(name: str, shape: tuple[int, ...], kind: int) -> bytes:
    dimensions = b"".join(_number(1, size) for size in shape)
    place = _part(13, _part(1, "location") + _part(2, name))
    return dimensions + _number(2, kind) + _part(8, name) + place + _number(14, _EXTERNAL)


def _value(name: str, width: int) -> bytes:
    shape = _part(1, _part(2, "M")) + _part(1, _number(1, width))
    return _part(1, name) + _part(2, _part(1, _number(1, _FLOAT) + _part(2, shape)))


def _number(field_number: int, value: int) -> bytes:
    return _varint(field_number << 3) + _varint(value)


def _part(field_number: int, content: str | bytes) -> bytes:
    content = content.encode() if isinstance(content, str) else content
    return _varint(field_number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)
