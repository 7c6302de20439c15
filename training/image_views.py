"""Views of pictures, made on the device in whole batches: crops, mixtures, light and colour.

``crop`` and ``mix`` make the teachers' input. ``disturb`` changes such a view once more for the
student, whose target stays the same. Pictures are ``[N, 3, S, S]``, 0 to 255.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def _uniform(like: Tensor, low: float, high: float) -> Tensor:
    """Return ``[N, 1, 1, 1]`` random numbers for a batch."""
    count, device = len(like), like.device
    return torch.rand(count, 1, 1, 1, device=device) * (high - low) + low


def window(pixels: Tensor, area: Tensor, lopsided: float, mirrored: Tensor) -> Tensor:
    """Cut a random box of share ``area`` [N] out of each picture and widen it to the same side."""
    count, device = len(pixels), pixels.device
    aspect = torch.exp((torch.rand(count, device=device) * 2 - 1) * lopsided)
    wide, high = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    x = (torch.rand(count, device=device) * 2 - 1) * (1 - wide)
    y = (torch.rand(count, device=device) * 2 - 1) * (1 - high)
    place = torch.zeros(count, 2, 3, device=device)
    place[:, 0, 0] = torch.where(mirrored, -wide, wide)
    place[:, 1, 1], place[:, 0, 2], place[:, 1, 2] = high, x, y
    grid = F.affine_grid(place, list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)


def crop(pixels: Tensor, figure: Tensor) -> Tensor:
    """Return a random view of each picture: figures are hardly cut, and never mirrored."""
    device = pixels.device
    free = torch.rand(len(pixels), device=device)
    area = torch.where(figure, 0.65 + 0.35 * free, 0.3 + 0.7 * free)
    whole = torch.rand(len(pixels), device=device) < 0.2
    area = torch.where(whole, torch.ones_like(area), area)
    mirrored = ~figure & (torch.rand(len(pixels), device=device) < 0.5)
    return window(pixels, area, 0.25, mirrored)


def mix(pixels: Tensor, chosen: Tensor) -> Tensor:
    """Blend the chosen pictures [N] with the next one, or paste a box of the next one in.

    Only a teacher can give a target for a mixture (Beyer et al. 2022, "Knowledge distillation: a
    good teacher is patient and consistent").
    """
    other = pixels.roll(1, 0)
    share = _uniform(pixels, 0.15, 0.5)
    blended = pixels + share * (other - pixels)
    side = pixels.shape[-1]
    along = torch.linspace(0, 1, side, device=pixels.device)
    length = _uniform(pixels, 0.35, 0.75)
    left, top = _uniform(pixels, 0, 1) * (1 - length), _uniform(pixels, 0, 1) * (1 - length)
    inside = (along > left) & (along < left + length)
    beside = (along[:, None] > top) & (along[:, None] < top + length)
    pasted = torch.where(inside & beside, other, pixels)
    mixed = torch.where(_uniform(pixels, 0, 1) < 0.5, blended, pasted)
    return torch.where(chosen[:, None, None, None], mixed, pixels)


def disturb(pixels: Tensor, figure: Tensor, size_px: int) -> Tensor:
    """Return a view slightly cut, mirrored, relit, tinted, blurred or sharpened, at ``size_px``."""
    count, device = len(pixels), pixels.device
    area = 0.8 + 0.2 * torch.rand(count, device=device)
    mirrored = ~figure & (torch.rand(count, device=device) < 0.5)
    x = window(pixels, area, 0.08, mirrored)
    x = F.interpolate(x, (size_px, size_px), mode="bilinear", antialias=True, align_corners=False)
    blurred = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    amount = _uniform(x, -0.8, 0.8) * (_uniform(x, 0, 1) < 0.4)
    x = x + amount * (blurred - x)
    grey = x.mean(1, keepdim=True)
    colour = torch.where(_uniform(x, 0, 1) < 0.06, torch.zeros_like(amount), _uniform(x, 0.6, 1.4))
    x = grey + colour * (x - grey)
    tint = 1 + 0.06 * torch.randn(count, 3, 1, 1, device=device)
    gain, shift = _uniform(x, 0.75, 1.25), 12 * torch.randn(count, 1, 1, 1, device=device)
    return (x * gain * tint + shift).clamp(0, 255)
