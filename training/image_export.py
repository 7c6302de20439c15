"""Write an image tower as ONNX, its weights kept in half precision."""

import copy
from pathlib import Path

import numpy as np
import onnx
import torch

from image_student import ImageTower

_LEAST_HALVED = 1024
"""Arrays of fewer numbers stay as they are."""


def export_student(student: ImageTower, path: Path, size_px: int) -> None:
    """Write the tower: ``pixels`` uint8 ``[N, S, S, 3]`` to ``vectors`` ``[N, 256]``."""
    shipped = copy.deepcopy(student).eval()
    example = torch.zeros(2, size_px, size_px, 3, dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1, max=4096)
    program = torch.onnx.export(
        shipped,
        (example,),
        dynamo=True,
        input_names=["pixels"],
        output_names=["vectors"],
        dynamic_shapes={"pixels": {0: batch}},
        verbose=False,
        optimize=True,
    )
    part = path.with_suffix(".part")
    part.write_bytes(shrink(program.model_proto).SerializeToString())
    part.replace(path)


def shrink(model: onnx.ModelProto) -> onnx.ModelProto:
    """Keep the weights in half precision, widened again when the file is loaded.

    The arithmetic stays in single precision. Notes of the exporter, which name the files of the
    machine it ran on, are dropped.
    """
    widened = []
    for kept in model.graph.initializer:
        del kept.metadata_props[:]
        if kept.data_type != onnx.TensorProto.FLOAT or np.prod(kept.dims) < _LEAST_HALVED:
            continue
        name, halved = kept.name, onnx.numpy_helper.to_array(kept).astype(np.float16)
        kept.CopyFrom(onnx.numpy_helper.from_array(halved, f"{name}.half"))
        widened.append(
            onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT)
        )
    rest = list(model.graph.node)
    del model.graph.node[:], model.metadata_props[:], model.graph.metadata_props[:]
    del model.graph.value_info[:], model.functions[:]
    for node in rest:
        del node.metadata_props[:]
        node.doc_string = ""
    for end in (*model.graph.input, *model.graph.output):
        del end.metadata_props[:]
    model.graph.node.extend([*widened, *rest])
    model.graph.doc_string = model.doc_string = ""
    onnx.checker.check_model(model)
    return model
