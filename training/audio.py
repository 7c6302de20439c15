"""The sound tower: prepared clips, YAMNet's answers, the student, its training and its export.

The student is a small residual network over log-mel frames. YAMNet (a teacher; none of its weights
are kept) says what it hears in every augmented clip; captions say where the clip belongs in the
space. Folds named `test` in `audio_material.read_clips` are never read here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

import audio_material as material
import common
import sounds_more
from trawl.encoders import sounds as melspectrogram

PATCH_FRAMES = 96
PART_CLIPS = 256
YAMNET_SAMPLES = 15_600
YAMNET_FEATURE_TENSOR = 112


class SoundTeacher:
    """YAMNet's 1,024-d embedding of each 0.975 s of 16 kHz sound."""

    def __init__(self, data: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self.interpreter = Interpreter(
            str(data / "yamnet" / "yamnet.tflite"),
            num_threads=1,
            experimental_preserve_all_tensors=True,
        )
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]["index"]

    def patches(self, samples: np.ndarray, hop_samples: int = 15_360) -> np.ndarray:
        """float32 `[P, 1024]`, one row for every whole `hop_samples` (at least one)."""
        count = max(1, (len(samples) - 400) // hop_samples)
        padded = np.pad(
            samples, (0, max(0, (count - 1) * hop_samples + YAMNET_SAMPLES - len(samples)))
        )
        rows = []
        for start in range(0, count * hop_samples, hop_samples):
            self.interpreter.set_tensor(self.input, padded[start : start + YAMNET_SAMPLES])
            self.interpreter.invoke()
            rows.append(self.interpreter.get_tensor(YAMNET_FEATURE_TENSOR)[0].copy())
        return np.stack(rows)


def prepare(cache: Path, generated: int, seed: int) -> None:
    """`audio/clips.npz` (every training clip at 16 kHz) and `audio/generated.npz`, end to end."""
    data, rng = common.data_dir(), np.random.default_rng(seed)
    clips = [c for c in material.read_clips(data) if c.part == "train"]
    _save_sounds(
        cache / "audio" / "clips.npz",
        (
            (material.decode(c.path), {"label": c.label.lower(), "collection": c.collection})
            for c in clips
        ),
    )
    kinds = list(sounds_more.KINDS)

    def drawn() -> Iterator[tuple[np.ndarray, dict[str, str]]]:
        for i in range(generated):
            samples, kind, caption = sounds_more.generate(rng, kinds[i % len(kinds)])
            yield samples, {"label": kind, "collection": "generated", "caption": caption}

    _save_sounds(cache / "audio" / "generated.npz", drawn())


def _save_sounds(path: Path, sounds: Iterator[tuple[np.ndarray, dict[str, str]]]) -> None:
    if path.exists():
        return
    pieces, described = [], []
    for samples, entry in sounds:
        peak = max(1.0, float(np.abs(samples).max(initial=0.0)))
        pieces.append((samples / peak * 32767).astype(np.int16))
        described.append(entry)
    starts = np.concatenate([[0], np.cumsum([len(p) for p in pieces])])
    common.save_atomically(
        path, samples=np.concatenate(pieces), starts=starts, about=np.array(json.dumps(described))
    )
    print(
        f"{path.name}: {len(pieces)} sounds, {starts[-1] / material.RATE_HZ / 60:.0f} minutes",
        flush=True,
    )


def load_sounds(path: Path) -> tuple[list[np.ndarray], list[dict[str, str]]]:
    """float32 samples and descriptions of what `prepare` wrote."""
    with np.load(path) as arrays:
        samples, starts = arrays["samples"], arrays["starts"]
        about = json.loads(str(arrays["about"]))
    pieces = [samples[a:b].astype(np.float32) / 32767 for a, b in pairwise(starts)]
    return pieces, about


def teach(cache: Path, passes: int, seed: int) -> None:
    """`audio/taught_PPP_NN.npz`: log-mel frames, YAMNet's answers and what each clip is.

    Pass 0 is the clips as they are, and the generated sounds; later passes are augmented, and a
    third of their clips are mixtures of two.
    """
    teacher = SoundTeacher(common.data_dir())
    clips, about = load_sounds(cache / "audio" / "clips.npz")
    made, made_about = load_sounds(cache / "audio" / "generated.npz")
    for number in range(passes):
        rng = np.random.default_rng(seed + number)
        todo = [(clips, about, int(i)) for i in rng.permutation(len(clips))]
        share = (
            range(len(made))
            if number == 0
            else rng.choice(len(made), len(made) // 4, replace=False)
        )
        todo += [(made, made_about, int(i)) for i in share]
        for part, start in enumerate(range(0, len(todo), PART_CLIPS)):
            path = cache / "audio" / f"taught_{number:03d}_{part:02d}.npz"
            part_rng = np.random.default_rng((seed, number, part))
            if not path.exists():
                began = time.monotonic()
                _teach_part(
                    path,
                    todo[start : start + PART_CLIPS],
                    (clips, about),
                    teacher,
                    part_rng,
                    number > 0,
                )
                print(f"pass {number} part {part}: {time.monotonic() - began:.0f} s", flush=True)


def _teach_part(path, todo, partners, teacher, rng, augmented) -> None:
    frames, answers, described = [], [], []
    for pool, about, i in todo:
        samples, entry = pool[i], dict(about[i])
        if augmented:
            samples = material.augment(samples, rng)
            if rng.random() < 0.33:
                j = int(rng.integers(len(partners[0])))
                samples = material.mix(samples, partners[0][j], -rng.uniform(0, 9))
                entry["with"] = partners[1][j]["label"]
        samples = melspectrogram.levelled(samples[: 5 * material.RATE_HZ])
        samples = np.pad(samples, (0, max(0, material.RATE_HZ - len(samples))))
        frames.append(melspectrogram.audioset_frames(samples).astype(np.float16))
        answers.append(teacher.patches(samples).astype(np.float16))
        described.append(entry)
    common.save_atomically(
        path,
        frames=np.concatenate(frames),
        answers=np.concatenate(answers),
        frame_starts=np.cumsum([0] + [len(f) for f in frames]),
        answer_starts=np.cumsum([0] + [len(a) for a in answers]),
        about=np.array(json.dumps(described)),
    )
