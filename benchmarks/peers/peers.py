"""Vector search beside other projects, each in its own environment: `make peers`.

Usage: python peers.py [VECTORS] (default 100000). Environments and results are kept in the folder
of the other benchmarks' files. The vectors are those of `mini` for sentences of the reference data
(without it, made-up ones), and as a hard case, directions at random. Trawl and LanceDB run in
this project's environment. A peer that does not end in five minutes is reported so.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "server"))

import common  # noqa: E402
from trawl.encoders import load_model  # noqa: E402

INSTALLED = {
    "chroma": ["chromadb==1.5.9"],
    "qdrant-local": ["qdrant-client==1.20.0"],
    "faiss-hnsw": ["faiss-cpu==1.15.1"],
    "usearch-hnsw": ["usearch==2.26.6"],
}
OURS = ["trawl-disk", "trawl-held", "lancedb-default", "lancedb-tuned"]
QUERIES = 500
LIMIT_S = 300
COLUMNS = ["p50_ms", "p95_ms", "first_ms", "recall", "a_second", "build_s", "disk_mb", "memory_mb"]


def environment(peer: str, folder: Path) -> Path:
    """Return the Python that has a peer; create its environment at first use."""
    if peer in OURS:
        return Path(sys.executable)
    python = folder / peer / "bin" / "python"
    if not python.is_file():
        subprocess.run([sys.executable, "-m", "venv", folder / peer], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "numpy==2.4.6", *INSTALLED[peer]]
        subprocess.run(install, check=True)
    return python


def with_nearest(vectors: np.ndarray, path: Path) -> Path:
    """Write vectors, the last of them as queries, and each query's ten nearest."""
    rows, queries = vectors[:-QUERIES], vectors[-QUERIES:]
    similarities = queries @ rows.T
    nearest = np.argsort(-similarities, axis=1, kind="stable")[:, :10]
    np.savez(path, vectors=rows, queries=queries, nearest=nearest)
    return path


def of_sentences(count: int) -> np.ndarray:
    found = sorted(set(common.sentences()))
    chosen = np.random.default_rng(0).permutation(len(found))[: count + QUERIES]
    model = load_model("mini")
    texts = [found[n] for n in chosen]
    return np.concatenate(
        [model.text.encode(texts[start : start + 512]) for start in range(0, len(texts), 512)]
    )


def at_random(count: int) -> np.ndarray:
    found = np.random.default_rng(1).standard_normal((count + QUERIES, 256)).astype(np.float32)
    unit: np.ndarray = found / np.linalg.norm(found, axis=1, keepdims=True)
    return unit


def run(peer: str, data: Path, work: Path, environments: Path) -> dict[str, object]:
    folder = work / peer
    shutil.rmtree(folder, ignore_errors=True)
    command = [environment(peer, environments), HERE / "_peer.py", peer, data, folder]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return {"peer": peer, "failed": f"not ended after {LIMIT_S} s"}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if ran.returncode:
        return {"peer": peer, "failed": ran.stderr.strip().rpartition("\n")[2][:200]}
    figures: dict[str, object] = json.loads(ran.stdout.splitlines()[-1])
    return figures


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    work = common.place() / "peers"
    work.mkdir(parents=True, exist_ok=True)
    results = {}
    for name, make in (("sentences", of_sentences), ("random", at_random)):
        data = with_nearest(make(count), work / f"{name}.npz")
        print(f"\n{count:,} vectors, {name}\n\n| peer | {' | '.join(COLUMNS)} |", flush=True)
        print("|---" * (len(COLUMNS) + 1) + "|")
        results[name] = []
        for peer in [*OURS, *INSTALLED]:
            one = run(peer, data, work, work / "env")
            results[name].append(one)
            row = [one.get(key, one.get("failed", "")) for key in COLUMNS]
            print(f"| {one['peer']} | {' | '.join(map(str, row))} |", flush=True)
    (work / "results.json").write_text(json.dumps(results, indent=1), "utf-8")


if __name__ == "__main__":
    main()
