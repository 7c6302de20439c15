"""The image tower's network and the optimiser that trains it."""

from collections import defaultdict

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

DIM = 256

Stage = tuple[str, int, int, int, int]
"""Kind ("fused" or "apart"), channels, widening, stride of the first block, number of blocks."""


def _conv(come: int, go: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(come, go, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(go)]


class Block(nn.Module):
    """Widen, look around, narrow (Tan and Le 2021, "EfficientNetV2"), a shortcut where it fits.

    A "fused" block widens by a full 3x3 convolution; one that keeps them "apart" widens by a 1x1
    convolution and looks around in each channel by itself.
    """

    def __init__(self, kind: str, come: int, go: int, widening: int, stride: int) -> None:
        super().__init__()
        wide = come * widening
        if kind == "fused" and widening == 1:
            layers = [*_conv(come, go, 3, stride), nn.ReLU(inplace=True)]
        elif kind == "fused":
            layers = [*_conv(come, wide, 3, stride), nn.ReLU(inplace=True), *_conv(wide, go, 1)]
        else:
            layers = [*_conv(come, wide, 1), nn.ReLU(inplace=True)]
            layers += [*_conv(wide, wide, 3, stride, wide), nn.ReLU(inplace=True)]
            layers += _conv(wide, go, 1)
        self.layers = nn.Sequential(*layers)
        self.shortcut = stride == 1 and come == go
        if self.shortcut and isinstance(layers[-1], nn.BatchNorm2d):
            nn.init.zeros_(layers[-1].weight)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.shortcut else y


class ImageTower(nn.Module):
    """uint8 pixels ``[N, S, S, 3]`` to unit vectors ``[N, 256]``.

    ``features`` takes pixels ``[N, 3, S, S]``, 0 to 255, and also returns a guess of the teachers'
    features, which only training wants.
    """

    def __init__(self, stem: int, stages: list[Stage], head: int, teacher_dim: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [*_conv(3, stem, 3, 2), nn.ReLU(inplace=True)]
        previous = stem
        for kind, width, widening, stride, count in stages:
            for index in range(count):
                layers.append(Block(kind, previous, width, widening, stride if not index else 1))
                previous = width
        layers += [*_conv(previous, head, 1), nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*layers)
        self.place = nn.Linear(head, DIM)
        self.guess = nn.Linear(head, teacher_dim)

    def features(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return vectors ``[N, 256]``, not yet unit, and guessed features of the teachers."""
        pooled = self.body(pixels * (1 / 127.5) - 1).mean((2, 3))
        return self.place(pooled), self.guess(pooled)

    def forward(self, pixels: Tensor) -> Tensor:
        x = pixels.permute(0, 3, 1, 2).float()
        return F.normalize(self.place(self.body(x * (1 / 127.5) - 1).mean((2, 3))), dim=1)


class Muon(torch.optim.Optimizer):
    """Steps of orthogonalised momentum for convolutions (Jordan et al. 2024, "Muon").

    A weight ``[O, I, k, k]`` counts as a matrix ``[O, I k k]``. A step moves it by ``lr`` times its
    own length, and the length is then put back: the layers are followed by batch normalisation,
    for which only a weight's direction counts. Weights of one shape are moved together.
    """

    def __init__(self, params: list[nn.Parameter], lr: float, momentum: float = 0.9) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})
        for p in params:
            self.state[p]["length"] = p.detach().norm()
            self.state[p]["momentum"] = torch.zeros_like(p)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            alike: dict[tuple[int, ...], list[nn.Parameter]] = defaultdict(list)
            for p in group["params"]:
                alike[tuple(p.shape)].append(p)
            for params in alike.values():
                self._move(params, group["lr"], group["momentum"])

    def _move(self, params: list[nn.Parameter], lr: float, momentum: float) -> None:
        grads = torch.stack([p.grad for p in params])  # type: ignore[misc]
        moved = torch.stack([self.state[p]["momentum"] for p in params])
        moved = moved.mul_(momentum).add_(grads)
        now = torch.stack([p.detach() for p in params])
        lengths = torch.stack([self.state[p]["length"] for p in params])
        way = orthogonal(grads.add(moved, alpha=momentum).flatten(2))
        step = lr * lengths / (way.flatten(1).norm(dim=1) + 1e-9)
        after = now - step.view(-1, 1, 1, 1, 1) * way.view_as(now)
        factor = lengths / after.flatten(1).norm(dim=1)
        after = after * factor.view(-1, 1, 1, 1, 1)
        for p, weight, speed in zip(params, after, moved, strict=True):
            p.copy_(weight)
            self.state[p]["momentum"].copy_(speed)


def orthogonal(matrices: Tensor, rounds: int = 4) -> Tensor:
    """Bring the singular values of matrices ``[M, O, I]`` near 1 by Newton-Schulz iteration.

    The coefficients of the quintic are those of Jordan et al. 2024.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if tall else matrices
    x = x / (x.flatten(1).norm(dim=1).view(-1, 1, 1) + 1e-7)
    for _ in range(rounds):
        square = x @ x.transpose(1, 2)
        x = a * x + (b * square + c * (square @ square)) @ x
    return x.transpose(1, 2) if tall else x
