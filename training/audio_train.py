"""Train the sound tower with YAMNet's answers and the captions of the labels as targets."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import audio
import audio_views
import common
import yamnet
from audio_student import SoundStudent, TeacherGuess
from trawl.encoders import sounds as frontend

HELD_OUT_EVERY = 9  # one recording in so many is kept aside for choices


@dataclass(frozen=True)
class Recipe:
    """The training parameters; the fields are those of `[audio.recipe]` in config.toml."""

    widths: tuple[int, ...] = (20, 40, 72, 144, 256)
    minutes: float = 8.0
    batch_patches: int = 768
    learning_rate: float = 3e-3
    temperature: float = 0.07
    teacher_features: int = 256
    label_gradient: float = 0.5  # how much of the labels' gradient reaches the trunk
    average: float = 0.998


@dataclass
class Teacher:
    """YAMNet and its guess, and captions; `mean` and `axes` half-whiten YAMNet's features.

    `captions` `[C, D]` has those of label i from `starts[i]` to `starts[i + 1]`. YAMNet's own
    classes are the last labels.
    """

    network: nn.Module
    guess: TeacherGuess
    labels: list[str]
    captions: Tensor
    starts: Tensor
    mean: Tensor = field(default_factory=lambda: torch.zeros(0))
    axes: Tensor = field(default_factory=lambda: torch.zeros(0))

    def listen(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return features `[N, P, 1024]` and logits `[N, P, 521]` of frames `[N, 96 P, 64]`."""
        patches = frames.unflatten(1, (-1, yamnet.PATCH_FRAMES)).flatten(0, 1)
        with torch.no_grad(), torch.autocast("cuda", torch.bfloat16, enabled=frames.is_cuda):
            features, logits = self.network(patches)
        shape = (len(frames), -1)
        return features.float().unflatten(0, shape), logits.float().unflatten(0, shape)

    def fit_axes(self, views: audio_views.Views, count: int, patches: int) -> None:
        """Fit the half-whitened principal axes of the features on some `patches` of views."""
        heard = [self.listen(views.draw(32, 3)[0])[0].flatten(0, 1) for _ in range(patches // 96)]
        sample = torch.cat(heard).double()
        self.mean = sample.mean(0)
        variance, axes = torch.linalg.eigh(torch.cov((sample - self.mean).T))
        variance, axes = variance.flip(0)[:count].clamp(min=1e-9), axes.flip(1)[:, :count]
        self.mean, self.axes = self.mean.float(), (axes * variance**-0.25).float()

    def bank(self) -> Tensor:
        """Return one caption of every label and class `[L, D]`, drawn anew."""
        begins, counts = self.starts[:-1], self.starts.diff()
        drawn = (torch.rand(len(counts), device=counts.device) * counts).long()
        return self.captions[begins + drawn]


def held_out(folder: Path) -> set[tuple[str, str]]:
    """Return the (label, recording) pairs kept aside: one recording in nine of each label.

    Labels of UrbanSound8K and ESC-10 alone, where a label has nine recordings or more.
    """
    _, about = audio.load_sounds(folder / "clips.npz")
    recordings: dict[str, list[str]] = {}
    for entry in about:
        if entry["collection"] in ("urbansound8k_part", "esc10"):
            known = recordings.setdefault(entry["label"], [])
            if entry["recording"] not in known:
                known.append(entry["recording"])
    return {
        (label, recording)
        for label, known in recordings.items()
        if len(known) >= HELD_OUT_EVERY
        for recording in sorted(known)[::HELD_OUT_EVERY]
    }


class Aside:
    """The clips kept aside, and how many of them each head puts nearest to their own label."""

    def __init__(self, folder: Path, teacher: Teacher, device: str) -> None:
        kept = held_out(folder)
        sounds, about = audio.load_sounds(folder / "clips.npz")
        means = torch.stack(
            [teacher.captions[a:b].mean(0) for a, b in pairwise(teacher.starts.tolist())]
        )
        means = functional.normalize(means, dim=-1)
        self.teacher, self.clips = teacher, []
        for collection in ("urbansound8k_part", "esc10"):
            names = sorted({e["label"] for e in about if e["collection"] == collection})
            captions = means[[teacher.labels.index(name) for name in names]]
            for samples, entry in zip(sounds, about, strict=True):
                if (
                    entry["collection"] == collection
                    and (entry["label"], entry["recording"]) in kept
                ):
                    floats = frontend.levelled(samples.astype(np.float32) / 32767)
                    frames = frontend.audioset_frames(floats)
                    count = max(1, len(frames) // yamnet.PATCH_FRAMES) * yamnet.PATCH_FRAMES
                    frames = torch.from_numpy(np.resize(frames, (count, 64))).to(device)[None]
                    self.clips.append((collection, frames, captions, names.index(entry["label"])))

    @torch.no_grad()
    def measure(self, model: SoundStudent) -> dict[str, float]:
        """Return the shares that are right, by collection and head."""
        right: dict[str, list[bool]] = {}
        self.teacher.guess.eval()
        for collection, frames, captions, label in self.clips:
            head, echo = model.vectors(model.pooled(model.steps(frames)))
            guess = self.teacher.guess(*self.teacher.listen(frames))
            heads = {"guess": guess, "head": head, "echo": echo, "sum": head + echo}
            for name, vector in heads.items():
                best = int((captions @ vector[0]).argmax())
                right.setdefault(f"{collection[:5]} {name}", []).append(best == label)
        self.teacher.guess.train()
        return {name: round(float(np.mean(found)), 3) for name, found in right.items()}


def losses(
    model: SoundStudent, teacher: Teacher, views: audio_views.Views, patches: int, recipe: Recipe
) -> dict[str, Tensor]:
    """Return every part of the loss for one batch of views."""
    frames, own, other, weight = views.draw(recipe.batch_patches // patches, patches)
    features, logits = teacher.listen(frames)
    place = {label: i for i, label in enumerate(teacher.labels)}
    names = views.bank.labels
    rows = [
        torch.tensor([place[names[r]] for r in side], device=frames.device) for side in (own, other)
    ]
    bank = teacher.bank()
    alike = torch.softmax(bank @ bank.T / recipe.temperature, dim=-1)
    wanted = (alike[rows[0]] + weight * alike[rows[1]]) / (1 + weight)
    named = torch.sigmoid(logits).mean(1).pow(1.5)
    named = (named / named.sum(1, keepdim=True)) @ alike[-yamnet.CLASSES :]
    wanted = 0.8 * wanted + 0.2 * named
    target = functional.normalize(bank[rows[0]] + weight * bank[rows[1]], dim=-1)

    def ranked(vectors: Tensor, goal: Tensor) -> Tensor:
        scores = torch.log_softmax(vectors @ bank.T / recipe.temperature, dim=-1)
        return -(goal * scores).sum(-1).mean()

    def near(vectors: Tensor, goal: Tensor) -> Tensor:
        return (1 - (vectors * goal).sum(-1)).mean()

    guess = teacher.guess(features, logits)
    with torch.autocast("cuda", torch.bfloat16, enabled=frames.is_cuda):
        steps = model.steps(audio_views.masked(frames))
    steps = steps.float()
    by_patch = steps.unflatten(1, (patches, -1)).mean(2)
    heard = model.teacher_head(by_patch)
    answers = (features - teacher.mean) @ teacher.axes
    scaled = recipe.label_gradient * steps + (1 - recipe.label_gradient) * steps.detach()
    direct, echo = model.vectors(model.pooled(scaled))
    said = torch.softmax(guess.detach() @ bank.T / recipe.temperature, dim=-1)
    return {
        "guess": ranked(guess, wanted) + near(guess, target),
        "label": ranked(direct, wanted) + near(direct, target),
        "said": ranked(direct, said) + near(direct, guess.detach()),
        "echo": ranked(echo, said) + near(echo, guess.detach()),
        "feature": (1 - functional.cosine_similarity(heard, answers, dim=-1)).mean(),
        "class": functional.binary_cross_entropy_with_logits(
            model.class_head(by_patch), torch.sigmoid(logits)
        ),
    }


_WEIGHTS = {"guess": 1.0, "label": 0.5, "said": 1.0, "echo": 1.0, "feature": 3.0, "class": 20.0}


def _build(
    cache: Path, recipe: Recipe, everything: bool
) -> tuple[SoundStudent, Teacher, audio_views.Views]:
    folder, device = cache / "audio", common.device()
    bank = audio_views.Bank.load(folder, device, None if everything else held_out(folder))
    views = audio_views.Views(bank, seed=1)
    with np.load(folder / "yamnet.npz") as arrays:
        network = yamnet.Yamnet(dict(arrays)).to(device).eval()
    teacher = Teacher(network, TeacherGuess().to(device), *audio_views.words(folder, device))
    teacher.fit_axes(views, recipe.teacher_features, 8 * recipe.batch_patches)
    model = SoundStudent(tuple(recipe.widths), recipe.teacher_features).to(device)
    if device == "cuda":
        model = model.to(memory_format=torch.channels_last)
        network.to(memory_format=torch.channels_last)
    print(f"{len(bank.labels)} sounds, {len(teacher.labels)} labels", flush=True)
    return model, teacher, views


def train(cache: Path, recipe: Recipe, name: str = "audio", everything: bool = False) -> None:
    """Train for `recipe.minutes`; write `NAME.pt`, the running mean of the weights, as it goes.

    `everything` trains on the recordings too that are otherwise kept aside.
    """
    torch.backends.cudnn.benchmark = True
    model, teacher, views = _build(cache, recipe, everything)
    parameters = [*model.parameters(), *teacher.guess.parameters()]
    aside = None if everything else Aside(cache / "audio", teacher, common.device())
    optimiser = torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=0.02)
    average = copy.deepcopy(model).eval()
    began = saved = time.monotonic()
    step, sums, progress, checks = 0, {}, 0.0, 0
    while progress < 1.0:
        rate = min(1.0, (step + 1) / 200) * min(1.0, 1.02 - progress)
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * rate
        found = losses(model, teacher, views, (2, 3, 3, 4, 5)[step % 5], recipe)
        loss = sum(_WEIGHTS[key] * value for key, value in found.items())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimiser.step()
        _follow(average, model, min(recipe.average, step / (step + 10)))
        for key, value in found.items():
            sums[key] = sums.get(key, 0.0) + value.detach()
        step += 1
        progress = (time.monotonic() - began) / 60 / recipe.minutes
        if step % 250 == 0:
            line = " ".join(f"{key} {float(value) / 250:.3f}" for key, value in sums.items())
            print(f"step {step} {time.monotonic() - began:.0f} s {line}", flush=True)
            sums = {}
        if aside and progress * 8 >= checks + 1:
            checks += 1
            print(f"{progress:.2f} {aside.measure(average)}", flush=True)
            if checks == 4:
                _save(cache / f"{name}_half.pt", average, teacher, recipe)
        if time.monotonic() - saved > 60 or progress >= 1.0:
            _save(cache / f"{name}.pt", average, teacher, recipe)
            saved = time.monotonic()
    print(f"{step} steps", flush=True)


@torch.no_grad()
def _follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    mine = [*average.parameters(), *average.buffers()]
    theirs = [*model.parameters(), *model.buffers()]
    floats = [(a, b) for a, b in zip(mine, theirs, strict=True) if a.is_floating_point()]
    torch._foreach_lerp_([a for a, _ in floats], [b for _, b in floats], 1 - decay)


def _save(path: Path, model: SoundStudent, teacher: Teacher, recipe: Recipe) -> None:
    def halves(module: nn.Module) -> dict[str, Tensor]:
        state = module.state_dict()
        return {k: v.half().cpu() if v.is_floating_point() else v.cpu() for k, v in state.items()}

    state = {
        "model": halves(model),
        "guess": halves(teacher.guess),
        "widths": list(recipe.widths),
        "teacher_features": recipe.teacher_features,
    }
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)
