"""The sound tower's network and how it is trained. See `audio.py` for the material."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import audio_material as material
import common

PATCH_FRAMES = 96
FRAME_MEAN, FRAME_STD = -3.0, 2.0


class Block(nn.Module):
    """Two 3x3 convolutions with a shortcut; halves both axes."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`[N, inputs, T, B]` to `[N, outputs, T / 2, B / 2]`."""
        inner = functional.relu(self.first_norm(self.first(x)))
        inner = self.second_norm(self.second(inner))
        return functional.relu(inner + self.shortcut(functional.avg_pool2d(x, 2, ceil_mode=True)))


class SoundStudent(nn.Module):
    """Log-mel frames `[N, T, 64]` to a vector `[N, D]` of the space; features for the teacher."""

    def __init__(self, dimension: int, teacher_features: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, widths[0], 5, stride=2, padding=2, bias=False)
        self.stem_norm = nn.BatchNorm2d(widths[0])
        self.blocks = nn.Sequential(*(Block(a, b) for a, b in pairwise(widths)))
        bands = 64 >> len(widths)
        self.feature = nn.Linear(widths[-1] * bands, 512)
        self.attention = nn.Linear(512, 1)
        self.teacher_head = nn.Linear(512, teacher_features)
        self.head = nn.Linear(1024, dimension)
        self.dropout = nn.Dropout(0.2)

    def steps(self, frames: Tensor) -> Tensor:
        """What is heard at each step of time: `[N, T / 32, 512]`."""
        x = ((frames - FRAME_MEAN) / FRAME_STD).unsqueeze(1)
        x = self.blocks(functional.relu(self.stem_norm(self.stem(x))))
        return functional.relu(self.feature(x.permute(0, 2, 1, 3).flatten(2)))

    def pooled(self, steps: Tensor) -> Tensor:
        """Attention over time beside the mean over time, then the space: `[N, D]`, length 1."""
        weights = torch.softmax(self.attention(steps), dim=1)
        both = torch.cat([(weights * steps).sum(1), steps.mean(1)], dim=-1)
        return functional.normalize(self.head(self.dropout(both)), dim=-1)

    def forward(self, frames: Tensor) -> Tensor:
        """Frames `[N, T, 64]` to unit vectors `[N, D]`."""
        return self.pooled(self.steps(frames))


@dataclass
class Taught:
    """All that `audio.teach` wrote: frames and answers end to end, and what each clip is."""

    frames: np.ndarray
    frame_starts: np.ndarray
    answers: np.ndarray
    answer_starts: np.ndarray
    about: list[dict[str, str]]

    @classmethod
    def load(cls, cache: Path) -> Taught:
        """Read every finished part."""
        frames, answers, about, f_starts, a_starts = (
            [],
            [],
            [],
            [np.zeros(1, np.int64)],
            [np.zeros(1, np.int64)],
        )
        for path in sorted((cache / "audio").glob("taught_???_??.npz")):
            with np.load(path) as part:
                frames.append(part["frames"])
                answers.append(part["answers"])
                f_starts.append(part["frame_starts"][1:] + f_starts[-1][-1])
                a_starts.append(part["answer_starts"][1:] + a_starts[-1][-1])
                about += json.loads(str(part["about"]))
        return cls(
            np.concatenate(frames),
            np.concatenate(f_starts),
            np.concatenate(answers),
            np.concatenate(a_starts),
            about,
        )

    def window(
        self, row: int, patches: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """`patches` patches in a row (round again where the clip ends), frames and answers."""
        count = int(self.answer_starts[row + 1] - self.answer_starts[row])
        chosen = (int(rng.integers(count)) + np.arange(patches)) % count
        frames = self.frame_starts[row] + chosen[:, None] * PATCH_FRAMES + np.arange(PATCH_FRAMES)
        return self.frames[frames.ravel()], self.answers[self.answer_starts[row] + chosen]


@dataclass
class Words:
    """The captions of every label as vectors, by the teacher and by the shipped text tower."""

    labels: list[str]
    vectors: list[np.ndarray]  # for each label [captions, D]

    def sample(self, rng: np.random.Generator) -> Tensor:
        """One caption of each label: `[L, D]`."""
        rows = [v[int(rng.integers(len(v)))] for v in self.vectors]
        return torch.from_numpy(np.stack(rows))


def load_words(cache: Path, about: list[dict[str, str]]) -> Words:
    """Embed every caption of every label; generated kinds bring their own captions."""
    captions: dict[str, set[str]] = {}
    for entry in about:
        own = (
            {entry["caption"]} if "caption" in entry else set(material.captions_of(entry["label"]))
        )
        captions.setdefault(_label(entry), set()).update(own)
        if "with" in entry:
            captions.setdefault(entry["with"], set()).update(material.captions_of(entry["with"]))
    labels = sorted(captions)
    texts = sorted({c for label in labels for c in captions[label]})
    spaces = [common.Space.load(common.space_path(cache)).project(_taught_captions(cache, texts))]
    if (common.MODEL_DIR / "text.npz").exists():
        from trawl.encoders import load_model

        spaces.append(load_model("mini").text.encode(texts))
    row = {text: i for i, text in enumerate(texts)}
    vectors = [
        np.concatenate([space[[row[c] for c in sorted(captions[label])]] for space in spaces])
        for label in labels
    ]
    return Words(labels, vectors)


def _taught_captions(cache: Path, texts: list[str]) -> np.ndarray:
    """The text teacher's vectors `[N, 384]`; what it was asked before is kept in the cache."""
    path = cache / "audio" / "captions.npz"
    known: dict[str, np.ndarray] = {}
    if path.exists():
        with np.load(path) as arrays:
            known = dict(zip(json.loads(str(arrays["texts"])), arrays["vectors"], strict=True))
    fresh = [text for text in texts if text not in known]
    if fresh:
        known |= dict(zip(fresh, common.TextTeacher().embed(fresh), strict=True))
        common.save_atomically(
            path, texts=np.array(json.dumps(list(known))), vectors=np.stack(list(known.values()))
        )
    return np.stack([known[text] for text in texts])


def _label(entry: dict[str, str]) -> str:
    return f"generated {entry['label']}" if entry["collection"] == "generated" else entry["label"]


@dataclass(frozen=True)
class Recipe:
    """How to train; the fields are those of `[audio]` in config.toml."""

    widths: tuple[int, ...] = (16, 32, 64, 128, 256)
    steps: int = 1200
    batch: int = 64
    patches: int = 3
    learning_rate: float = 2e-3
    temperature: float = 0.07
    caption_weight: float = 1.0
    teacher_weight: float = 2.0
    teacher_features: int = 256


def _teacher_basis(answers: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Centre `[1024]` and half-whitened principal axes `[1024, count]` of the answers."""
    sample = answers[:: max(1, len(answers) // 20000)].astype(np.float64)
    mean = sample.mean(0)
    variance, axes = np.linalg.eigh(np.cov((sample - mean).T))
    variance, axes = variance[::-1][:count], axes[:, ::-1][:, :count]
    return mean.astype(np.float32), (axes * variance**-0.25).astype(np.float32)


def _spec_augment(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """SpecAugment (Park 2019): a band of pitches and a stretch of time are silenced; and a floor.

    The floor of noise, of any level and tilt, is what tells a recording from a computed sound:
    without it the student takes perfect silence between partials for a part of the sound.
    """
    frames = frames + np.float32(rng.normal(0, 0.3))
    low, wide = int(rng.integers(56)), int(rng.integers(1, 10))
    if rng.random() < 0.5:
        frames[:, low : low + wide] = FRAME_MEAN - FRAME_STD
    if rng.random() < 0.5:
        at = int(rng.integers(len(frames) - 40))
        frames[at : at + int(rng.integers(5, 40))] = FRAME_MEAN - FRAME_STD
    if rng.random() < 0.6:
        level = rng.uniform(-7.0, -1.5) + rng.uniform(-1.5, 1.5) * np.linspace(
            -1, 1, frames.shape[1]
        )
        grain = rng.normal(0, 0.4, frames.shape)
        frames = np.logaddexp(frames, (level + grain).astype(np.float32))
    return frames


class Sampler:
    """Draws batches; takes up parts that `audio.teach` finished in the meantime."""

    def __init__(self, cache: Path, recipe: Recipe, rng: np.random.Generator) -> None:
        self.cache, self.recipe, self.rng = cache, recipe, rng
        taught = Taught.load(cache)
        self.words = load_words(cache, taught.about)
        self.index = {label: i for i, label in enumerate(self.words.labels)}
        self.mean, self.axes = _teacher_basis(taught.answers, recipe.teacher_features)
        self._take(taught)

    def _take(self, taught: Taught) -> None:
        index, about = self.index, taught.about
        self.taught = taught
        self.own = np.array([index[_label(e)] for e in about])
        self.other = np.array(
            [index[e["with"]] if "with" in e else index[_label(e)] for e in about]
        )
        # A sound that was made up counts a third: there are many and they are easy.
        odds = np.array([0.3 if e["collection"] == "generated" else 1.0 for e in about])
        self.odds = odds / odds.sum()

    def reload(self) -> None:
        """Look for new parts."""
        self._take(Taught.load(self.cache))

    def batch(self) -> tuple[Tensor, Tensor, Tensor, np.ndarray, np.ndarray]:
        """Frames, answers, one caption of every label, and each clip's label and second label."""
        rows = self.rng.choice(len(self.own), self.recipe.batch, replace=False, p=self.odds)
        drawn = [self.taught.window(int(row), self.recipe.patches, self.rng) for row in rows]
        frames = np.stack([_spec_augment(f.astype(np.float32), self.rng) for f, _ in drawn])
        answers = (np.stack([a for _, a in drawn]).astype(np.float32) - self.mean) @ self.axes
        bank = self.words.sample(self.rng)
        return (
            torch.from_numpy(frames),
            torch.from_numpy(answers),
            bank,
            self.own[rows],
            self.other[rows],
        )


def train(cache: Path, recipe: Recipe, name: str = "audio", seed: int = 1) -> None:
    """Train the student; `NAME.pt` is written every two minutes and gone on from if it is there."""
    common.seed_everything(seed)
    sampler = Sampler(cache, recipe, np.random.default_rng(seed))
    shape = {"dimension": 256, "teacher_features": recipe.teacher_features, "widths": recipe.widths}
    model = SoundStudent(**shape).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=0.02)
    checkpoint, step = cache / f"{name}.pt", 0
    if checkpoint.exists():
        state = torch.load(checkpoint)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        step = state["step"]
    print(f"{len(sampler.own)} clips, {len(sampler.words.labels)} labels", flush=True)
    began = saved = time.monotonic()
    sums = np.zeros(3)
    while step < recipe.steps:
        rate = 0.5 + 0.5 * math.cos(math.pi * step / recipe.steps)
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * rate * min(1.0, (step + 1) / 100)
        losses = _losses(model, *sampler.batch(), recipe)
        loss = recipe.caption_weight * (losses[0] + losses[1]) + recipe.teacher_weight * losses[2]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        sums += [float(x.detach()) for x in losses]
        step += 1
        if step % 100 == 0:
            print(
                f"step {step} {np.round(sums / 100, 3)} {time.monotonic() - began:.0f} s",
                flush=True,
            )
            sums[:] = 0
        if step % 300 == 0:
            sampler.reload()
        if time.monotonic() - saved > 120 or step == recipe.steps:
            state = {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
            torch.save({**state, "step": step, "shape": shape}, checkpoint)
            saved = time.monotonic()


def _losses(
    model: SoundStudent,
    frames: Tensor,
    answers: Tensor,
    bank: Tensor,
    own: np.ndarray,
    other: np.ndarray,
    recipe: Recipe,
) -> tuple[Tensor, Tensor, Tensor]:
    """How far the caption is; how it ranks among all labels' captions; how far YAMNet is."""
    steps = model.steps(frames)
    vectors = model.pooled(steps)
    target = functional.normalize(bank[own] + 0.7 * bank[other], dim=-1)
    near = (1 - (vectors * target).sum(-1)).mean()
    wanted = torch.softmax(bank @ bank.T / recipe.temperature, dim=-1)
    wanted = (wanted[own] + 0.7 * wanted[other]) / 1.7
    ranked = (
        -(wanted * torch.log_softmax(vectors @ bank.T / recipe.temperature, dim=-1)).sum(-1).mean()
    )
    heard = model.teacher_head(steps.unflatten(1, (recipe.patches, -1)).mean(2))
    taught = (1 - functional.cosine_similarity(heard, answers, dim=-1)).mean()
    return near, ranked, taught


def export(cache: Path, folder: Path, name: str = "audio") -> None:
    """`audio.onnx`: `frames` float32 `[N, T, 64]`, any N and T >= 96, to `vectors` `[N, D]`."""
    state = torch.load(cache / f"{name}.pt", map_location="cpu")
    model = SoundStudent(**state["shape"])
    model.load_state_dict(state["model"])
    folder.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        model.eval(),
        (torch.zeros(1, 3 * PATCH_FRAMES, 64),),
        str(folder / "audio.onnx"),
        dynamo=False,
        opset_version=17,
        input_names=["frames"],
        output_names=["vectors"],
        dynamic_axes={"frames": {0: "n", 1: "t"}, "vectors": {0: "n"}},
    )
