"""The sound tower's network, and its export."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

import yamnet
from audio_views import FRAME_MEAN, FRAME_STD
from image_export import shrink

DIMENSION = 256


class Block(nn.Module):
    """Two 3x3 convolutions with a shortcut; the first may halve both axes."""

    def __init__(self, inputs: int, outputs: int, stride: int = 2) -> None:
        super().__init__()
        self.stride = stride
        self.first = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Identity() if stride == 1 else nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`[N, inputs, T, B]` to `[N, outputs, T / stride, B / stride]`."""
        inner = functional.relu(self.first_norm(self.first(x)))
        inner = self.second_norm(self.second(inner))
        if self.stride == 2:
            x = functional.avg_pool2d(x, 2, ceil_mode=True)
        return functional.relu(inner + self.shortcut(x))


class SoundStudent(nn.Module):
    """Log-mel frames `[N, T, 64]` to a vector `[N, D]` of the space; YAMNet's answers in training.

    There are two heads. `head` learns from labels. `echo` learns from the teacher's own guess
    at the vector; its gradient does not reach the convolutions. The sum of both is shipped.
    """

    def __init__(self, widths: tuple[int, ...], teacher_features: int) -> None:
        super().__init__()
        self.widths = widths
        self.stem = nn.Conv2d(1, widths[0], 5, stride=2, padding=2, bias=False)
        self.stem_norm = nn.BatchNorm2d(widths[0])
        self.blocks = nn.Sequential(
            *(Block(a, b) for a, b in pairwise(widths)), Block(widths[-1], widths[-1], stride=1)
        )
        bands = 64 >> len(widths)
        self.feature = nn.Linear(widths[-1] * bands, 512)
        self.attention = nn.Linear(512, 1)
        self.teacher_head = nn.Linear(512, teacher_features)
        self.class_head = nn.Linear(512, yamnet.CLASSES)
        self.head = nn.Linear(1024, DIMENSION)
        self.echo = nn.Linear(1024, DIMENSION)
        self.dropout = nn.Dropout(0.2)

    def steps(self, frames: Tensor) -> Tensor:
        """Return the features of each time step, `[N, T / 32, 512]`."""
        x = ((frames - FRAME_MEAN) / FRAME_STD).unsqueeze(1)
        x = self.blocks(functional.relu(self.stem_norm(self.stem(x))))
        return functional.relu(self.feature(x.permute(0, 2, 1, 3).flatten(2)))

    def pooled(self, steps: Tensor) -> Tensor:
        """Return attention over time beside the mean over time, `[N, 1024]`."""
        weights = torch.softmax(self.attention(steps), dim=1)
        return torch.cat([(weights * steps).sum(1), steps.mean(1)], dim=-1)

    def vectors(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Return the two heads' unit vectors `[N, D]`."""
        return (
            functional.normalize(self.head(self.dropout(pooled)), dim=-1),
            functional.normalize(self.echo(pooled.detach()), dim=-1),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Frames `[N, T, 64]` to unit vectors `[N, D]`."""
        return functional.normalize(sum(self.vectors(self.pooled(self.steps(frames)))), dim=-1)


class TeacherGuess(nn.Module):
    """Where YAMNet's answers `[N, P, 1024]` and `[N, P, 521]` lie in the space, `[N, D]`."""

    def __init__(self) -> None:
        super().__init__()
        inputs = 2 * yamnet.FEATURES + yamnet.CLASSES
        self.layers = nn.Sequential(
            nn.Dropout(0.2),
            nn.Linear(inputs, 512),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(512, DIMENSION),
        )

    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        """Return unit vectors."""
        heard = [features.mean(1), features.amax(1), torch.sigmoid(logits).mean(1)]
        return functional.normalize(self.layers(torch.cat(heard, dim=-1)), dim=-1)


def load(checkpoint: Path) -> SoundStudent:
    """Return the student of a checkpoint, in evaluation mode."""
    state = torch.load(checkpoint, map_location="cpu")
    model = SoundStudent(tuple(state["widths"]), state["teacher_features"])
    model.load_state_dict({k: v.float() for k, v in state["model"].items()})
    return model.eval()


def export(cache: Path, folder: Path, name: str = "audio") -> None:
    """Write `audio.onnx`: `frames` float32 `[N, T, 64]`, any N and T >= 96, to `vectors`.

    Weights are stored in half precision.
    """
    path = folder / "audio.onnx"
    folder.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        load(cache / f"{name}.pt"),
        (torch.zeros(1, 3 * yamnet.PATCH_FRAMES, 64),),
        str(path),
        dynamo=False,
        opset_version=17,
        input_names=["frames"],
        output_names=["vectors"],
        dynamic_axes={"frames": {0: "n", 1: "t"}, "vectors": {0: "n"}},
    )
    onnx.save(shrink(onnx.load(path)), path)
