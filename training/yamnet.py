"""YAMNet as a PyTorch module, so that it can process a whole batch on a GPU.

The weights are those of the TFLite file: int8 with one scale a channel, widened to floats. The
front end is left out, since it is the package's own (`trawl.encoders.sounds`).
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

PATCH_FRAMES = 96
FEATURES, CLASSES = 1024, 521
_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)  # of the 13 depthwise convolutions


def read_class_names(data: Path) -> list[str]:
    """Return the names of YAMNet's 521 classes, in order."""
    with (data / "yamnet" / "yamnet_class_map.csv").open(encoding="utf-8") as file:
        return [row["display_name"] for row in csv.DictReader(file)]


def extract(tflite: Path) -> dict[str, np.ndarray]:
    """Return every layer's weights and biases of the TFLite file, float32, named by its order."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(tflite), experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    details = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    arrays: dict[str, np.ndarray] = {}
    layers = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    operations = [op for op in interpreter._get_ops_details() if op["op_name"] in layers]
    for number, operation in enumerate(operations[1:]):  # the first is the mel matrix
        _, weight, bias = (int(index) for index in operation["inputs"])
        values = interpreter.get_tensor(weight).astype(np.float32)
        scales = details[weight]["quantization_parameters"]["scales"]
        axis = details[weight]["quantization_parameters"]["quantized_dimension"]
        if len(scales):
            shape = [1] * values.ndim
            shape[axis] = -1
            values = values * scales.reshape(shape)
        if operation["op_name"] == "CONV_2D":
            values = values.transpose(0, 3, 1, 2)
        elif operation["op_name"] == "DEPTHWISE_CONV_2D":
            values = values.transpose(3, 0, 1, 2)
        arrays[f"weight_{number:02d}"] = np.ascontiguousarray(values)
        arrays[f"bias_{number:02d}"] = interpreter.get_tensor(bias)
    return arrays


def _padded(x: Tensor, stride: int) -> Tensor:
    """Pad for a 3x3 convolution as TensorFlow's SAME does for even sizes."""
    return functional.pad(x, (1, 1, 1, 1) if stride == 1 else (0, 1, 0, 1))


class Yamnet(nn.Module):
    """Log-mel patches `[N, 96, 64]` to features `[N, 1024]` and class logits `[N, 521]`."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        super().__init__()
        for name, values in arrays.items():
            self.register_buffer(name, torch.from_numpy(np.asarray(values, np.float32)))

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features and the class logits."""
        buffers = dict(self.named_buffers())
        x = patches.unsqueeze(1)
        x = functional.conv2d(_padded(x, 2), buffers["weight_00"], buffers["bias_00"], stride=2)
        x = functional.relu(x)
        for layer, stride in enumerate(_STRIDES):
            depth, point = f"{2 * layer + 1:02d}", f"{2 * layer + 2:02d}"
            weight = buffers[f"weight_{depth}"]
            x = functional.conv2d(
                _padded(x, stride),
                weight,
                buffers[f"bias_{depth}"],
                stride=stride,
                groups=len(weight),
            )
            x = functional.relu(x)
            x = functional.relu(
                functional.conv2d(x, buffers[f"weight_{point}"], buffers[f"bias_{point}"])
            )
        features = x.mean((2, 3))
        return features, functional.linear(features, buffers["weight_27"], buffers["bias_27"])
