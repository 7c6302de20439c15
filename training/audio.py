"""The sound tower's prepared material: clips, generated sounds, YAMNet's weights, captions.

Folds named `test` in `audio_material.read_clips` are never read here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np

import audio_material as material
import common
import sounds_more
import yamnet

CAPTIONS_A_LABEL = 24
_CLASS_TEMPLATES = ("{}", "the sound of {}", "{} can be heard")


def prepare(cache: Path, generated: int, seed: int) -> None:
    """Write `audio/clips.npz`, `generated.npz`, `yamnet.npz` and `words.npz`; keep what is there.

    A folder that has the reference clips but no YAMNet and no text teacher may be given
    `yamnet.npz` and `words.npz` from elsewhere.
    """
    data, folder = common.data_dir(), cache / "audio"
    folder.mkdir(parents=True, exist_ok=True)
    clips = [c for c in material.read_clips(data) if c.part == "train"]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        if not (folder / "clips.npz").exists():
            sounds = pool.map(material.decode, [c.path for c in clips], chunksize=8)
            _save_sounds(folder / "clips.npz", sounds, [_about(c) for c in clips])
        if not (folder / "generated.npz").exists():
            drawn = list(pool.map(_generate, [(seed, i) for i in range(generated)], chunksize=8))
            _save_sounds(folder / "generated.npz", (d[0] for d in drawn), [d[1] for d in drawn])
    if not (folder / "yamnet.npz").exists():
        common.save_atomically(
            folder / "yamnet.npz", **yamnet.extract(data / "yamnet" / "yamnet.tflite")
        )
    if not (folder / "words.npz").exists():
        prepare_words(cache, data, seed)


def _about(clip: material.Clip) -> dict[str, str]:
    return {
        "label": clip.label.lower(),
        "collection": clip.collection,
        "recording": material.recording_of(clip),
    }


def _generate(what: tuple[int, int]) -> tuple[np.ndarray, dict[str, str]]:
    """Draw one sound; its seed is its number, so that any machine draws the same."""
    seed, number = what
    kinds = list(sounds_more.KINDS)
    kind = kinds[number % len(kinds)]
    samples, kind, caption = sounds_more.generate(np.random.default_rng((seed, number)), kind)
    return samples, {
        "label": f"generated {kind}",
        "collection": "generated",
        "caption": caption,
        "recording": str(number),
    }


def _save_sounds(path: Path, sounds: Iterable[np.ndarray], about: list[dict[str, str]]) -> None:
    pieces = []
    for samples in sounds:
        peak = max(1.0, float(np.abs(samples).max(initial=0.0)))
        pieces.append((samples / peak * 32767).astype(np.int16))
    starts = np.concatenate([[0], np.cumsum([len(p) for p in pieces])])
    common.save_atomically(
        path, samples=np.concatenate(pieces), starts=starts, about=np.array(json.dumps(about))
    )
    minutes = starts[-1] / material.RATE_HZ / 60
    print(f"{path.name}: {len(pieces)} sounds, {minutes:.0f} minutes", flush=True)


def load_sounds(path: Path) -> tuple[list[np.ndarray], list[dict[str, str]]]:
    """Return the int16 samples and descriptions of what `prepare` wrote."""
    with np.load(path) as arrays:
        samples, starts = arrays["samples"], arrays["starts"]
        about = json.loads(str(arrays["about"]))
    return [samples[a:b] for a, b in pairwise(starts)], about


def caption_texts(folder: Path, data: Path, seed: int) -> tuple[list[str], list[list[str]]]:
    """Return the labels, YAMNet's classes last, and some captions of each."""
    rng = np.random.default_rng(seed)
    captions: dict[str, set[str]] = {}
    for name in ("clips.npz", "generated.npz"):
        with np.load(folder / name) as arrays:
            about = json.loads(str(arrays["about"]))
        for entry in about:
            own = [entry["caption"]] if "caption" in entry else material.captions_of(entry["label"])
            captions.setdefault(entry["label"], set()).update(own)
    labels = sorted(captions)
    texts = []
    for label in labels:
        pool = sorted(captions[label])
        rows = rng.permutation(len(pool))[:CAPTIONS_A_LABEL]
        texts.append([pool[row] for row in rows])
    for name in yamnet.read_class_names(data):
        labels.append(f"class {name}")
        texts.append([template.format(name.lower()) for template in _CLASS_TEMPLATES])
    return labels, texts


def prepare_words(cache: Path, data: Path, seed: int) -> None:
    """Write `audio/words.npz`: the labels and the text teacher's vectors of their captions."""
    labels, texts = caption_texts(cache / "audio", data, seed)
    flat = [text for group in texts for text in group]
    vectors = common.load_space().project(common.TextTeacher().embed(flat))
    common.save_atomically(
        cache / "audio" / "words.npz",
        labels=np.array(json.dumps(labels)),
        texts=np.array(json.dumps(texts)),
        starts=np.cumsum([0] + [len(group) for group in texts]),
        vectors=np.round(vectors * 127 / np.abs(vectors).max()).astype(np.int8),
    )
