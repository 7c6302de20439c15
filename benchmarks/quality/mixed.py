"""Photos, sounds and abstracts in one library, searched by text and measured by `trawl.evaluation`.

    python benchmarks/quality/mixed.py [PLOT]

400 photos of Flickr8k (200 queries, one caption each), the 80 clips of fold 4 of ESC-10 (queries:
their labels) and the first 600 abstracts of Cranfield (its first 100 queries with answers among
them), with the model `mini`. The difficulty: queries do not state the modality of their answers.
"""

from __future__ import annotations

import csv
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from common import cranfield, data_folder, table
from trawl import Library
from trawl.evaluation import Evaluation, Question, evaluate
from trawl.evaluation.plot import plot

PHOTOS, ASKED_PHOTOS, ABSTRACTS, ASKED_ABSTRACTS, FOLD = 400, 200, 600, 100, "4"


def photos(folder: Path) -> Iterator[Question]:
    source = data_folder("flickr8k")
    with (source / "captions.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    captions: dict[str, str] = {}
    for row in rows:
        captions.setdefault(row["image"], row["caption"])
    files = {path.name: path for path in source.rglob("*.jpg")}
    for number, name in enumerate(sorted(captions)[:PHOTOS]):
        shutil.copy(files[Path(name).name], folder)
        if number < ASKED_PHOTOS:
            yield Question(name, {str(folder / Path(name).name): 1}, text=captions[name])


def sounds(folder: Path) -> Iterator[Question]:
    source = data_folder("esc10")
    with (source / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["fold"] == FOLD]
    files = {path.stem: path for path in source.rglob("*.ogg")}
    clips: dict[str, dict[str, int]] = {}
    for row in rows:
        path = files[Path(row["clip"]).stem]
        shutil.copy(path, folder)
        clips.setdefault(row["label"], {})[str(folder / path.name)] = 1
    for label, answers in clips.items():
        yield Question(label, answers, text=f"the sound of a {label.replace('_', ' ').lower()}")


def abstracts(folder: Path) -> Iterator[Question]:
    collection = cranfield()
    files = {row: folder / f"{row}.txt" for row in range(ABSTRACTS)}
    for row, path in files.items():
        if collection.documents[row].strip():
            path.write_text(collection.documents[row], "utf-8")
    asked = 0
    for query, gains in sorted(collection.judgements.items()):
        answers = {str(files[row]): gain for row, gain in gains.items() if row in files}
        if answers and asked < ASKED_ABSTRACTS:
            asked += 1
            yield Question(f"cranfield {query}", answers, text=collection.queries[query])


def show(found: Evaluation) -> None:
    for measure in found.measures:
        table(
            f"{measure}, {found.questions} questions, by the modality of the answers",
            [f"{group} ({count})" for group, count in found.groups.items()],
            [
                (name, [found.figure(name, measure, group).value.mean for group in found.groups])
                for name in found.fusions
            ],
        )
    assert found.tuning is not None
    gain = found.tuning.held_out.gain[found.measures[0]]
    shown = ", ".join(f"{name} {weight:g}" for name, weight in found.tuning.weights.items())
    print(
        f"\nWeights fitted on half of the questions: {shown}. On the other half they gain "
        f"{gain.mean:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}) of {found.measures[0]}."
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        questions: list[Question] = []
        for name, write in (("photos", photos), ("sounds", sounds), ("abstracts", abstracts)):
            folder = Path(scratch) / name
            folder.mkdir()
            questions += write(folder)
        with Library(Path(scratch) / "library", create=True) as library:
            for name in ("photos", "sounds", "abstracts"):
                library.add(Path(scratch) / name)
            found = evaluate(library, questions, tune_weights=True)
    show(found)
    if len(sys.argv) > 1:
        plot(found, sys.argv[1], title="Photos, sounds and abstracts in one library")


if __name__ == "__main__":
    main()
