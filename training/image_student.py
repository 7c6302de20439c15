"""The image tower's network and the optimiser that trains it."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

DIM = 256


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2016), the second one starting at zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(width)
        nn.init.zeros_(self.second_norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.first_norm(self.first(x)))
        return F.relu(x + self.second_norm(self.second(y)))


class ImageTower(nn.Module):
    """uint8 pixels ``[N, S, S, 3]`` to unit vectors ``[N, 256]``; S is free, 48 to 112.

    ``features`` also returns a guess of the teacher's feature, which only training wants.
    """

    def __init__(
        self, widths: tuple[int, ...], blocks: tuple[int, ...], teacher_dim: int = 1280
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        previous = 3
        for width, count in zip(widths, blocks, strict=True):
            layers += [
                nn.Conv2d(previous, width, 3, 2, 1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
                *(Block(width) for _ in range(count)),
            ]
            previous = width
        self.body = nn.Sequential(*layers)
        self.place = nn.Linear(previous, DIM)
        self.guess = nn.Linear(previous, teacher_dim)

    def pooled(self, pixels: Tensor) -> Tensor:
        """Return the mean of the last layer's channels, ``[N, C]``."""
        x = pixels.permute(0, 3, 1, 2).float() * (1 / 127.5) - 1
        return self.body(x).mean((2, 3))

    def features(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return unit vectors ``[N, 256]`` and guessed teacher features ``[N, 1280]``."""
        pooled = self.pooled(pixels)
        return F.normalize(self.place(pooled), dim=1), self.guess(pooled)

    def forward(self, pixels: Tensor) -> Tensor:
        return F.normalize(self.place(self.pooled(pixels)), dim=1)


class Muon(torch.optim.Optimizer):
    """Steps of orthogonalised momentum for convolutions (Jordan et al. 2024, "Muon").

    A weight ``[O, I, k, k]`` counts as a matrix ``[O, I k k]``. A step moves it by ``lr`` times its
    own length, and the length is then put back: the layers are followed by batch normalisation,
    for which only a weight's direction counts.
    """

    def __init__(self, params: list[nn.Parameter], lr: float, momentum: float = 0.9) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["length"] = p.detach().norm()
                self.state[p]["momentum"] = torch.zeros_like(p)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                moved = state["momentum"].mul_(group["momentum"]).add_(p.grad)
                ahead = p.grad.add(moved, alpha=group["momentum"])
                way = orthogonal(ahead.reshape(len(p), -1)).view_as(p)
                p.add_(way, alpha=-float(group["lr"] * state["length"] / (way.norm() + 1e-9)))
                p.mul_(state["length"] / p.norm())


def orthogonal(matrix: Tensor, rounds: int = 4) -> Tensor:
    """Bring a wide matrix's singular values near 1, by the quintic Newton-Schulz iteration.

    The coefficients are those of Jordan et al. 2024.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix / (matrix.norm() + 1e-7)
    for _ in range(rounds):
        square = x @ x.T
        x = a * x + (b * square + c * (square @ square)) @ x
    return x


class ThreeViews(nn.Module):
    """The tower as it is shipped: the whole picture, its mirror image, and its middle.

    Pixels ``[N, S', S', 3]`` where S' is ``size_px / MIDDLE``: the whole is shrunk to the side that
    the tower was trained at, the middle is cut out as it is. The three unit vectors are added,
    the middle's by ``MIDDLE_SHARE``, and brought to length 1.
    """

    MIDDLE = 0.82
    MIDDLE_SHARE = 0.7

    def __init__(self, tower: ImageTower, size_px: int) -> None:
        super().__init__()
        self.tower, self.size_px = tower, size_px
        self.given_px = round(size_px / self.MIDDLE)

    def forward(self, pixels: Tensor) -> Tensor:
        given = pixels.permute(0, 3, 1, 2).float()
        side = (self.size_px, self.size_px)
        whole = F.interpolate(given, side, mode="bilinear", align_corners=False)
        edge = (self.given_px - self.size_px) // 2
        middle = given[:, :, edge : edge + self.size_px, edge : edge + self.size_px]
        views = torch.cat([whole, whole.flip(3), middle]).permute(0, 2, 3, 1)
        found = self.tower(views).reshape(3, -1, DIM)
        both = F.normalize(found[0] + found[1], dim=1)
        return F.normalize(both + self.MIDDLE_SHARE * found[2], dim=1)
