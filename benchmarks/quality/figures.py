"""Measure the detection of figures and tables in PDFs.

    python benchmarks/quality/figures.py [--show]

It reads the reference papers (skipped if they are missing) and the papers of many layouts that
`tests/paper_layouts` makes. A figure or table counts as found if its box and the true one have an
intersection over union of 0.7. `--show` lists what was missed and what was found in error.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pypdfium2 as pdfium

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from paper_layouts import HELD_OUT, LAYOUTS, Truth  # noqa: E402
from paper_layouts.composed import compose, material  # noqa: E402
from trawl.readers.pdf.floats import Float, FloatFinder  # noqa: E402
from trawl.readers.pdf.objects import page_objects  # noqa: E402
from trawl.readers.pdf.pages import LOCK, frame_of, read_page  # noqa: E402

LEAST_IOU = 0.7
GRIDS = {
    ("Place-recognition-evaluation.pdf", "Table I"): "2abe2ee685e5",
    ("Place-recognition-evaluation.pdf", "Table II"): "1b150c1eac71",
    ("Place-recognition-evaluation.pdf", "Table III"): "2c5d6a77708d",
    ("Place-recognition-evaluation.pdf", "Table IV"): "b32f3a692c1d",
    ("Place-recognition-evaluation.pdf", "Table V"): "db7a0839c777",
    ("seals.pdf", "Table 1"): "fc5ed8e260fd",
}
"""Hashes of the cells of the reference papers' tables, which were read off the pages."""
DATA = Path(os.environ.get("TRAWL_DATA", ROOT.parent / "shared" / "data"))


@dataclass
class Score:
    """Counts over a set of papers. `missed` and `wrong` are for people to read."""

    figures: int = 0
    figures_found: int = 0
    figures_given: int = 0
    labels: int = 0
    captions: int = 0
    tables: int = 0
    tables_found: int = 0
    tables_given: int = 0
    grids: int = 0
    grids_exact: int = 0
    pages: int = 0
    seconds: float = 0.0
    missed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def add(self, name: str, truths: Sequence[Truth], floats: Sequence[tuple[int, Float]]) -> None:
        for kind in ("figure", "table"):
            true = [each for each in truths if each.kind == kind]
            given = [(page, each) for page, each in floats if each.kind == kind]
            matched: set[int] = set()
            for truth in true:
                hit = next(
                    (
                        at
                        for at, (page, each) in enumerate(given)
                        if page == truth.page
                        and at not in matched
                        and iou(each.box, truth.box) >= LEAST_IOU
                    ),
                    None,
                )
                if hit is None:
                    self.missed.append(
                        f"{name} page {truth.page}: {truth.label} {rounded(truth.box)}"
                    )
                    continue
                matched.add(hit)
                self._matched(name, truth, given[hit][1])
            for at, (page, each) in enumerate(given):
                if at not in matched:
                    self.wrong.append(
                        f"{name} page {page}: {each.kind} {each.label} {rounded(each.box)}"
                    )
            if kind == "figure":
                self.figures += len(true)
                self.figures_given += len(given)
            else:
                self.tables += len(true)
                self.tables_given += len(given)

    def _matched(self, name: str, truth: Truth, found: Float) -> None:
        right = found.label == truth.label
        if not right:
            self.wrong.append(f"{name} page {truth.page}: label {found.label}, not {truth.label}")
        if truth.kind == "figure":
            self.figures_found += 1
            self.labels += right
            same = squeezed(found.caption).startswith(squeezed(truth.caption))
            self.captions += same
            if not same:
                self.wrong.append(f"{name}: caption {found.caption!r}, not {truth.caption!r}")
            return
        self.tables_found += 1
        if truth.grid:
            self.grids += 1
            exact = found.rows == truth.grid
            self.grids_exact += exact
            if not exact:
                self.wrong.append(f"{name} page {truth.page}: {truth.label} cells {found.rows}")

    def add_grids(self, file: str, floats: Sequence[tuple[int, Float]]) -> None:
        """Compare the cells of a reference paper's tables, by their hashes."""
        for (name, label), expected in GRIDS.items():
            if name != file:
                continue
            self.grids += 1
            rows = next((f.rows for _, f in floats if f.label == label), ())
            exact = hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:12] == expected
            self.grids_exact += exact
            if not exact:
                self.wrong.append(f"{name}: {label} cells {rows}")

    def line(self, name: str) -> str:
        return (
            f"{name:24} {self.figures:4} {ratio(self.figures_found, self.figures)} "
            f"{ratio(self.figures_found, self.figures_given)} "
            f"{ratio(self.labels, self.figures_found)} {ratio(self.captions, self.figures_found)}"
            f"   {self.tables:4} {ratio(self.tables_found, self.tables)} "
            f"{ratio(self.tables_found, self.tables_given)} "
            f"{ratio(self.grids_exact, self.grids)}  {self.pages / max(self.seconds, 1e-9):6.1f}"
        )


def floats_of(data: bytes | Path, score: Score | None = None) -> list[tuple[int, Float]]:
    """Return the floats of a file with the numbers of their pages."""
    start = time.process_time()
    with LOCK:
        document = pdfium.PdfDocument(data)
        contents = [read_page(page, number + 1) for number, page in enumerate(document)]
        objects = [page_objects(page, frame_of(page)) for page in document]
    finder = FloatFinder()
    for content in contents:
        finder.look_ahead(content.lines)
    found = [
        (content.number, each)
        for content, painted in zip(contents, objects, strict=True)
        for each in finder.find(content, painted)
    ]
    if score is not None:
        score.pages += len(contents)
        score.seconds += time.process_time() - start
    return found


def iou(one: Sequence[float], other: Sequence[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (one, other))
    return width * height / (areas - width * height)


def squeezed(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).lower()


def rounded(box: Iterable[float]) -> list[int]:
    return [round(value) for value in box]


def ratio(part: int, whole: int) -> str:
    return f"{part / whole:5.2f}" if whole else "    -"


def reference() -> Score:
    score = Score()
    folder = DATA / "papers"
    items = json.loads((folder / "figures_truth.json").read_text())["items"]
    for name in sorted({item["file"] for item in items}):
        truths = [
            Truth(i["page"], i["kind"], i["label"], i["caption"], tuple(i["box"]))
            for i in items
            if i["file"] == name
        ]
        floats = floats_of(folder / name, score)
        score.add(name, truths, floats)
        score.add_grids(name, floats)
    return score


def own(names: Iterable[str]) -> Score:
    score = Score()
    for name in names:
        paper = LAYOUTS[name]()
        data = paper.pdf()
        score.add(name, paper.truths, floats_of(data, score))
    return score


def composed(papers: int = 24) -> Score | None:
    """Score papers with the figures of real papers, in random layouts."""
    score = Score()
    folder = DATA / "acl_figures"
    if not folder.is_dir():
        print(f"skipped: no figures in {folder}")
        return None
    lines = (folder / "figures.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    materials = [material(folder / each["figure"], each["caption"]) for each in records]
    for seed in range(papers):
        some = random.Random(seed).sample(materials, 7)
        paper = compose(seed, some)
        score.add(f"composed {seed}", paper.truths, floats_of(paper.pdf(), score))
    return score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--show", action="store_true", help="list misses and errors")
    parser.add_argument("--tuned-only", action="store_true", help="leave the held-out half out")
    options = parser.parse_args()
    print(
        f"{'papers':24} {'figs':>4} {'rec.':>5} {'prec.':>5} {'label':>5} {'capt.':>5}"
        f"   {'tabs':>4} {'rec.':>5} {'prec.':>5} {'grids':>5}  pages/s"
    )
    scores = {}
    if (DATA / "papers").is_dir():
        scores["reference papers"] = reference()
    else:
        print(f"skipped: no reference papers in {DATA / 'papers'}")
    scores["layouts, developed on"] = own(name for name in LAYOUTS if name not in HELD_OUT)
    if not options.tuned_only:
        scores["layouts, held out"] = own(name for name in LAYOUTS if name in HELD_OUT)
        scores["figures of real papers"] = composed()
    for name, score in scores.items():
        if score is None:
            continue
        print(score.line(name))
        if options.show:
            for text in score.missed:
                print("  missed", text)
            for text in score.wrong:
                print("  wrong ", text)


if __name__ == "__main__":
    main()
