"""The graph that multiplies codes, written without the package `onnx`, as that package reads it."""

from __future__ import annotations

import onnx

from trawl.store.products import _graph


def test_the_graph_is_an_onnx_model() -> None:
    model = onnx.load_model_from_string(_graph(200, 3))
    (node,) = model.graph.node
    assert (node.op_type, list(node.input)) == ("MatMulNBits", ["queries", "packed", "scales"])
    packed, scales = model.graph.initializer
    assert (list(packed.dims), list(scales.dims)) == ([200, 3, 16], [600])
    assert model.graph.output[0].type.tensor_type.shape.dim[1].dim_value == 200
