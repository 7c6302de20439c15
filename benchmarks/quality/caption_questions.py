"""Questions in the words of a caption: are the figure and a passage that cites it found together?

    python benchmarks/quality/caption_questions.py [--show]

The library holds the reference papers. Each question is the first sentence of a figure's caption,
without the number. The figure has to be among the first three results, and so does a passage that
cites it. Only figures that the text cites count for the second part.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from pathlib import Path

from common import data_folder
from trawl.library import Library
from trawl.types import Hit

FIRST = 3
_LABEL = re.compile(r"^(?:fig(?:ure)?)\.?\s*\d+\s*[.:]?\s*", re.IGNORECASE)


def question(caption: str) -> str:
    """Return the first sentence of a caption, without its number; at most 16 words."""
    text = _LABEL.sub("", caption)
    sentence = re.split(r"(?<=[a-z\])])[.:;]\s", text)[0]
    return " ".join(sentence.split()[:16]).rstrip(".")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--show", action="store_true", help="list what is missed")
    options = parser.parse_args()
    folder = data_folder("papers")
    items = json.loads((folder / "figures_truth.json").read_text())["items"]
    figures = [item for item in items if item["kind"] == "figure"]
    with (
        tempfile.TemporaryDirectory() as place,
        Library(Path(place) / "library", create=True) as library,
    ):
        library.add([folder])
        everything = {
            (Path(hit.uri).name, hit.label): hit
            for figure in figures
            for hit in library.search(figure["caption"], limit=100, per_document=0).hits
            if hit.label
        }
        counts = dict.fromkeys(("figures", "found", "cited", "passage", "both"), 0)
        for figure in figures:
            key = figure["file"], figure["label"]
            counts["figures"] += 1
            if key not in everything:
                print("not in the library:", key)
                continue
            cited_by = {e.chunk_id for e in everything[key].links if e.kind == "cited_by"}
            asked = question(everything[key].snippet.replace("<mark>", "").replace("</mark>", ""))
            hits = library.search(asked, limit=FIRST).hits
            found = any((Path(hit.uri).name, hit.label) == key for hit in hits)
            passage = any(hit.chunk_id in cited_by for hit in hits)
            counts["found"] += found
            counts["cited"] += bool(cited_by)
            counts["passage"] += passage
            counts["both"] += found and passage
            if options.show and not (found and (passage or not cited_by)):
                print(
                    *key,
                    f"({len(cited_by)} passages)",
                    repr(asked),
                    *map(shown, hits),
                    sep="\n    ",
                )
    figures_, cited = counts["figures"], max(counts["cited"], 1)
    print(f"figures among the first {FIRST}: {counts['found']} of {figures_}")
    print(f"citing passages among the first {FIRST}: {counts['passage']} of {cited} that are cited")
    print(f"both: {counts['both']} of {cited}")


def shown(hit: Hit) -> str:
    name = hit.label or hit.modality
    return f"{hit.score:.2f} {Path(hit.uri).name} page {hit.span.page} {name}: {hit.snippet[:70]}"


if __name__ == "__main__":
    main()
