"""Step 2: let the teachers look at the material once, and keep what they say.

Answers are written in numbered parts, so a killed run goes on where it stopped, and training may
begin with the parts that are there. The text tower comes first: the first parts of its teacher's
answers also fix the space.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

import common

PART_TEXTS = 4096


def teach_text(cache: Path, config: dict[str, Any]) -> None:
    """`teacher_text/NNNN.npy`: float16 `[4096, 384]` for each part of `texts.jsonl`, in order.

    `space.npz` is fitted as soon as `[space] fit_texts` answers are there, and then stays.
    """
    lines = (cache / "texts.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines][: config["text"]["texts"]]
    folder = cache / "teacher_text"
    folder.mkdir(parents=True, exist_ok=True)
    teacher = common.TextTeacher(config["text"]["max_teacher_tokens"])
    for part, start in enumerate(range(0, len(texts), PART_TEXTS)):
        path = folder / f"{part:04d}.npy"
        if path.exists():
            continue
        began = time.monotonic()
        vectors = teacher.embed(texts[start : start + PART_TEXTS]).astype(np.float16)
        partial = folder / "partial.npy"
        np.save(partial, vectors)
        partial.rename(path)
        rate = len(vectors) / (time.monotonic() - began)
        print(f"part {part}: {len(vectors)} texts, {rate:.0f} a second", flush=True)
        if start + len(vectors) >= config["space"]["fit_texts"]:
            fit_space(cache, config)
    fit_space(cache, config)


def fit_space(cache: Path, config: dict[str, Any]) -> None:
    """Fit `space.npz` on the first `fit_texts` answers, where it is not there yet."""
    path = common.space_path(cache)
    if path.exists():
        return
    _, vectors = load_text_vectors(cache)
    count, options = config["space"]["fit_texts"], config["space"]
    space = common.Space.fit(vectors[:count], options["dimension"], options["whitening"])
    space.save(path)


def load_text_vectors(cache: Path) -> tuple[list[dict[str, str]], np.ndarray]:
    """The rows of `texts.jsonl` that have been taught, and their vectors float16 `[N, 384]`."""
    parts = sorted((cache / "teacher_text").glob("[0-9]*.npy"))
    vectors = np.concatenate([np.load(path) for path in parts])
    with (cache / "texts.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line, _ in zip(file, range(len(vectors)), strict=False)]
    return rows, vectors


def main() -> None:
    """Ask one tower's teachers."""
    arguments = common.argument_parser(__doc__).parse_args()
    config = common.load_config()
    common.seed_everything(config["seed"], arguments.threads)
    if arguments.tower == "text":
        teach_text(arguments.cache, config)
    elif arguments.tower == "audio":
        import audio

        audio.teach(arguments.cache, config["audio"]["passes"], config["seed"])
    else:
        import image

        image.teach(arguments.cache)


if __name__ == "__main__":
    main()
