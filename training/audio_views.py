"""Random views of the sounds, made by the batch on the device: crops, rooms, mixtures, noise.

The teacher and the student receive the same view, so the teacher's answer describes exactly that
view.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import audio
import yamnet
from trawl.encoders import sounds as frontend

PATCH_SAMPLES = 160 * yamnet.PATCH_FRAMES
FRAME_MEAN, FRAME_STD = -3.0, 2.0
_STARTS_A_CLIP = 16
# How much of a batch each collection is.
_SHARES = {
    "urbansound8k_part": 0.34,
    "esc10": 0.18,
    "ambient_sounds": 0.18,
    "animal_sounds": 0.12,
    "generated": 0.18,
}


class LogMel(torch.nn.Module):
    """`trawl.encoders.sounds.audioset_frames` for batches on the device, with the same numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.from_numpy(frontend._audioset_hann()))
        self.register_buffer("matrix", torch.from_numpy(frontend._audioset_bank()))

    def forward(self, samples: Tensor, frames: int) -> Tensor:
        """Return `[N, frames, 64]` of samples `[N, T]`, brought to one loudness first."""
        rms = samples.square().mean(1, keepdim=True).sqrt().clamp(min=1e-9)
        samples = samples * (0.08 / rms).clamp(max=100.0)
        windows = samples.unfold(1, 400, 160)[:, :frames] * self.window
        spectrum = torch.fft.rfft(windows, 512).abs()
        return torch.log(spectrum @ self.matrix + 0.001)


@dataclass
class Bank:
    """All sounds end to end, and the probability of drawing each.

    `starts` `[N]` and `lengths` `[N]` are places in `samples`; `begins` `[N, 16]` are loud places
    of each sound, where a crop may begin; `odds` `[N]` add up to 1.
    """

    samples: Tensor
    starts: Tensor
    lengths: Tensor
    begins: Tensor
    labels: list[str]
    odds: np.ndarray

    @classmethod
    def load(cls, folder: Path, device: str, left_out: set[tuple[str, str]] | None = None) -> Bank:
        """Read the prepared sounds, without the `left_out` (label, recording) pairs."""
        pieces, about = [], []
        for name in ("clips.npz", "generated.npz"):
            sounds, described = audio.load_sounds(folder / name)
            for sound, entry in zip(sounds, described, strict=True):
                if left_out and (entry["label"], entry["recording"]) in left_out:
                    continue
                if len(sound) >= 800 and (np.abs(sound).max() > 0 or "silence" in entry["label"]):
                    pieces.append(sound)
                    about.append(entry)
        rng = np.random.default_rng(0)
        lengths = np.array([len(p) for p in pieces])
        return cls(
            torch.from_numpy(np.concatenate(pieces)).to(device),
            torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)[:-1]])).to(device),
            torch.from_numpy(lengths).to(device),
            torch.from_numpy(np.stack([_loud_places(p, rng) for p in pieces])).to(device),
            [entry["label"] for entry in about],
            _odds(about),
        )


def _loud_places(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return 16 sample numbers a little before an audible part."""
    usable = len(sound) // 400 * 400
    level = np.sqrt(np.square(sound[:usable].astype(np.float32)).reshape(-1, 400).mean(1))
    loud = np.flatnonzero(level >= 0.15 * np.quantile(level, 0.98))
    if not len(loud):
        loud = np.arange(len(level))
    places = 400 * rng.choice(loud, _STARTS_A_CLIP) - rng.integers(0, 12_000, _STARTS_A_CLIP)
    return np.maximum(places, 0)


def _odds(about: list[dict[str, str]]) -> np.ndarray:
    """Return odds that make a collection's labels equally likely, and a label's recordings."""
    groups: dict[str, dict[str, dict[str, list[int]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for row, entry in enumerate(about):
        groups[entry["collection"]][entry["label"]][entry["recording"]].append(row)
    odds = np.zeros(len(about))
    for collection, labels in groups.items():
        for recordings in labels.values():
            for rows in recordings.values():
                odds[rows] = _SHARES[collection] / len(labels) / len(recordings) / len(rows)
    return odds / odds.sum()


def _normal(shape: tuple[int, ...], like: Tensor) -> Tensor:
    return torch.randn(shape, device=like.device)


def _uniform(count: int, low: float, high: float, device: torch.device) -> Tensor:
    return low + (high - low) * torch.rand((count, 1), device=device)


def _chosen(count: int, share: float, device: torch.device) -> Tensor:
    return (torch.rand((count, 1), device=device) < share).float()


class Views:
    """Draws batches of views: log-mel frames, labels, and how loud the second sound is."""

    def __init__(self, bank: Bank, seed: int) -> None:
        self.bank, self.rng = bank, np.random.default_rng(seed)
        self.device = bank.samples.device
        self.log_mel = LogMel().to(self.device)

    def draw(self, count: int, patches: int) -> tuple[Tensor, np.ndarray, np.ndarray, Tensor]:
        """Return frames `[count, 96 patches, 64]`, two rows of the bank, the second's weight.

        The weight `[count, 1]` is 0 where there is only one sound.
        """
        rows = self.rng.choice(len(self.bank.odds), (2, count), p=self.bank.odds)
        length = 16_384 * patches
        first, second = (self._cropped(torch.from_numpy(r).to(self.device), length) for r in rows)
        quieter_db = _uniform(count, 0, 15, self.device)
        weight = 10 ** (-quieter_db / 20) * _chosen(count, 0.55, self.device)
        spectrum = torch.fft.rfft(first + weight * second)
        spectrum = spectrum * self._equaliser(count, length) * self._room(count, length)
        spectrum = self._noisy(spectrum, length)
        samples = torch.fft.irfft(spectrum, length)
        driven = _chosen(count, 0.1, self.device)
        clipped = torch.tanh(samples * _uniform(count, 1, 20, self.device))
        samples = driven * clipped + (1 - driven) * samples
        samples = samples[:, : PATCH_SAMPLES * patches + 240]
        frames = self.log_mel(samples, yamnet.PATCH_FRAMES * patches)
        return frames, rows[0], rows[1], weight

    def _cropped(self, rows: Tensor, length: int) -> Tensor:
        """Return a crop of each row at another speed, round again where it ends; RMS 1."""
        count = len(rows)
        pick = torch.randint(self.bank.begins.shape[1], (count,), device=self.device)
        begin = self.bank.begins[rows, pick][:, None].double()
        speed = torch.exp(0.22 * _normal((count, 1), begin).clamp(-1.5, 1.5)).double()
        speed = torch.where(torch.rand((count, 1), device=self.device) < 0.3, 1.0, speed)
        places = begin + speed * torch.arange(length, device=self.device)
        whole = places.floor()
        share = (places - whole).float()
        whole = whole.long()
        size, start = self.bank.lengths[rows][:, None], self.bank.starts[rows][:, None]
        left = self.bank.samples[start + whole % size].float()
        right = self.bank.samples[start + (whole + 1) % size].float()
        sound = torch.lerp(left, right, share)
        return sound / sound.square().mean(1, keepdim=True).sqrt().clamp(min=1.0)

    def _hertz(self, length: int) -> Tensor:
        return torch.linspace(0, 8000, length // 2 + 1, device=self.device)

    def _equaliser(self, count: int, length: int) -> Tensor:
        """Return smooth gains by frequency; some cut the lows or the highs off."""
        hertz = self._hertz(length)
        place = torch.log1p(hertz / 200) / np.log1p(8000 / 200) * 8
        low = place.floor().long().clamp(max=7)
        knots = 5 * _normal((count, 9), hertz) * _chosen(count, 0.6, self.device)
        gain_db = torch.lerp(knots[:, low], knots[:, low + 1], (place - low)[None])
        high_cut = torch.exp(_uniform(count, np.log(1500), np.log(8000), self.device))
        low_cut = torch.exp(_uniform(count, np.log(30), np.log(500), self.device))
        cut = torch.relu(torch.log2(hertz.clamp(min=1) / high_cut)) * _chosen(
            count, 0.2, self.device
        )
        cut = cut + torch.relu(torch.log2(low_cut / hertz.clamp(min=1))) * _chosen(
            count, 0.2, self.device
        )
        return 10 ** ((gain_db - 18 * cut) / 20)

    def _room(self, count: int, length: int) -> Tensor:
        """Return the spectrum of a room's answer: the sound itself, then decaying noise."""
        size = 8000
        time = torch.arange(size, device=self.device)
        decay = torch.exp(-time / _uniform(count, 150, 1500, self.device))
        answer = _normal((count, size), time) * decay
        answer = answer / answer.square().sum(1, keepdim=True).sqrt()
        answer = answer * _uniform(count, 0.2, 1.5, self.device) * _chosen(count, 0.3, self.device)
        answer[:, 0] += 1.0
        return torch.fft.rfft(answer, length)

    def _noisy(self, spectrum: Tensor, length: int) -> Tensor:
        """Add noise of any tilt, from far below the sound to near it; none to a third."""
        count = len(spectrum)
        tilt = self._hertz(length).clamp(min=40) ** -_uniform(count, -0.1, 1.2, self.device)
        noise = torch.fft.rfft(_normal((count, length), spectrum)) * tilt
        power = spectrum.abs().square().mean(1, keepdim=True)
        ratio = (power / noise.abs().square().mean(1, keepdim=True)).sqrt()
        level = 10 ** (-_uniform(count, 0, 60, self.device) / 20)
        return spectrum + noise * ratio * level * _chosen(count, 0.65, self.device)


def masked(frames: Tensor) -> Tensor:
    """Silence a band and a stretch of time in half of the views (SpecAugment, Park 2019)."""
    count, steps, bands = frames.shape
    keep = torch.ones_like(frames, dtype=torch.bool)
    for axis, size, widest in ((2, bands, 10), (1, steps, 40)):
        at = torch.randint(size, (count, 1), device=frames.device)
        wide = torch.randint(1, widest, (count, 1), device=frames.device)
        wide = wide * (torch.rand((count, 1), device=frames.device) < 0.5)
        place = torch.arange(size, device=frames.device)
        inside = (place >= at) & (place < at + wide)
        keep &= ~(inside[:, None, :] if axis == 2 else inside[:, :, None])
    return torch.where(keep, frames, FRAME_MEAN - FRAME_STD)


def words(folder: Path, device: str) -> tuple[list[str], Tensor, Tensor]:
    """Return the labels of `words.npz`, the captions' vectors `[C, D]`, each label's first."""
    with np.load(folder / "words.npz") as arrays:
        labels = json.loads(str(arrays["labels"]))
        vectors = torch.from_numpy(arrays["vectors"].astype(np.float32))
        starts = torch.from_numpy(arrays["starts"])
    return labels, torch.nn.functional.normalize(vectors, dim=-1).to(device), starts.to(device)
