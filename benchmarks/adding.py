"""Add photos or texts: items per second, relative to the encoder alone; memory; bytes on the disk.

Usage: python adding.py [PICTURES] (default 2000), from Flickr8k in the reference data;
python adding.py texts [ABSTRACTS] (default 2000), from SciFact, whose library is compared with a
LanceDB table of the same passages, vectors, ids and metadata.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
DATA = Path(os.environ.get("TRAWL_DATA", BESIDE))

CHILD = """
import resource, sys, time
from trawl import Library
paths = open(sys.argv[2]).read().splitlines()
with Library(sys.argv[1], create=True) as library:
    began = time.process_time()
    report = library.add(paths)
    cpu = time.process_time() - began
    again = library.add(paths)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(report.added, len(report.failed), report.seconds, cpu, again.seconds, again.unchanged, peak)
"""


def bare_pictures(paths: list[Path]) -> float:
    """Return the seconds per picture of the image encoder alone, on decoded pictures."""
    from PIL import Image

    from trawl.encoders import load_model

    encoder = load_model("mini").encoders["image"]
    images = [Image.open(path).convert("RGB") for path in paths[:512]]
    encoder.encode(images[:16])
    began = time.perf_counter()
    for start in range(0, len(images), 16):
        encoder.encode(images[start : start + 16])
    return (time.perf_counter() - began) / len(images)


def bare_texts(library: Path, abstracts: int) -> float:
    """Return the seconds per abstract of the text encoder alone, on the passages of a library."""
    import lance

    from trawl.encoders import load_model
    from trawl.store import passage_text

    table = lance.dataset(str(library / "chunks.lance")).to_table(columns=["title", "text"])
    passages = [passage_text(row["title"], "", row["text"]) for row in table.to_pylist()]
    encoder = load_model("mini").encoders["text"]
    encoder.encode(passages[:64])
    began = time.perf_counter()
    for start in range(0, len(passages), 64):
        encoder.encode(passages[start : start + 64])
    return (time.perf_counter() - began) / abstracts


def abstracts(folder: Path, count: int) -> list[Path]:
    """Write abstracts of SciFact as text files, and return their paths."""
    paths = []
    with (DATA / "scifact" / "corpus.jsonl").open(encoding="utf-8") as lines:
        for number, line in zip(range(count), lines, strict=False):
            record = json.loads(line)
            paths.append(folder / f"{number}.txt")
            paths[-1].write_text(f"{record['title']}\n\n{record['text']}", "utf-8")
    return paths


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def print_disk(library: Path, work: Path) -> None:
    """Print the bytes of a library by part, and those of LanceDB for the same content."""
    import lance
    import lancedb
    from lancedb.index import FTS, IvfFlat

    live: Counter[str] = Counter()
    for name in ("chunks", "documents", "media"):
        folder = library / f"{name}.lance"
        table = lance.dataset(str(folder))
        for path in table.tracked_files(min_version=table.version).read_all()["path"].to_pylist():
            live[f"{name}, {path.partition('/')[0]}"] += (folder / path).stat().st_size
        for index in table.describe_indices():
            live[f"of it {index.name}"] = sum(each.size_bytes or 0 for each in index.segments)
        if name == "chunks":
            names = {field.id(): field.name() for field in table.lance_schema.fields()}
            for column in table.stats.data_stats().fields:
                live[f"of it {names.get(column.id, 'nested')}"] += column.bytes_on_disk
    used = size(library)
    current = sum(n for part, n in live.items() if not part.startswith("of it"))
    print(f"disk {used / 1e6:.1f} MB, of the current version {current / 1e6:.1f} MB")
    for part, n in live.items():
        if n > current / 200:
            print(f"  {part}: {n / 1e6:.1f} MB")
    chunks = lance.dataset(str(library / "chunks.lance"))
    columns = ["chunk_id", "uri", "title", "text", "metadata"]
    vector = next(name for name in chunks.schema.names if name.startswith("v_"))
    rows = chunks.to_table(columns=[*columns, vector]).rename_columns([*columns, "vector"])
    peer = lancedb.connect(work / "lancedb").create_table("chunks", rows)
    for step in ("no index", "full text with positions", "IVF_FLAT" if len(rows) >= 10_000 else ""):
        if step.startswith("full"):
            peer.create_index("text", config=FTS(with_position=True))
        elif step.startswith("IVF"):
            peer.create_index("vector", config=IvfFlat(distance_type="cosine"))
        if step:
            other = size(work / "lancedb")
            print(
                f"LanceDB, {step}: {other / 1e6:.1f} MB; "
                f"ratio {used / other:.2f}, of the current version {current / other:.2f}"
            )


def main() -> None:
    texts = sys.argv[1:2] == ["texts"]
    given = sys.argv[2:] if texts else sys.argv[1:]
    count = int(given[0]) if given else 2000
    source = DATA / ("scifact/corpus.jsonl" if texts else "flickr8k/images")
    if not source.exists():
        sys.exit(f"skipped: no data at {source}; set TRAWL_DATA")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        paths = abstracts(work, count) if texts else sorted(source.iterdir())[:count]
        listing = work / "paths"
        listing.write_text("\n".join(map(str, paths)), "utf-8")
        out = subprocess.run(
            [sys.executable, "-c", CHILD, f"{work}/library", listing],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        added, failed, seconds, cpu_s, again_s, unchanged, peak = (float(value) for value in out)
        library = work / "library"
        alone_s = bare_texts(library, len(paths)) if texts else bare_pictures(paths)
        print(f"{added:.0f} added, {failed:.0f} failed, {added / seconds:.0f} per second")
        print(f"processor: {cpu_s / added * 1000:.2f} ms each")
        print(f"encoder alone (baseline): {1 / alone_s:.0f} per second")
        print(f"ratio: {added / seconds * alone_s:.2f}")
        print(f"added again, {unchanged:.0f} unchanged: {again_s:.2f} s; peak {peak:.0f} MB")
        if texts:
            print_disk(library, work)


if __name__ == "__main__":
    main()
