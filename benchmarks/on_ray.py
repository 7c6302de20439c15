"""Add photos with and without Ray: the fixed start, and the rate after the first files.

Usage: python on_ray.py [PICTURES] (default 2000), from Flickr8k in the reference data. The ratio is
the median of three pairs of runs, which take turns.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

RUNS = 3
FIRST = 100
CHILD = """
import sys, time
began = time.perf_counter()
from trawl.library import Library, RayCluster
times = []
engine = "local" if sys.argv[3] == "0" else RayCluster(workers=int(sys.argv[3]))
with Library(sys.argv[1], create=True) as library:
    paths = open(sys.argv[2]).read().splitlines()
    report = library.add(
        paths, engine=engine, progress=lambda *_: times.append(time.perf_counter() - began)
    )
first = int(sys.argv[4])
total = time.perf_counter() - began
print(report.added, times[0], (len(times) - first) / (times[-1] - times[first - 1]), total)
"""


def run(folder: str, listing: Path, workers: int) -> tuple[float, float, float]:
    """Return the seconds until the first file, files per second afterwards, and all seconds."""
    library = tempfile.mkdtemp(dir=folder)
    command = [sys.executable, "-c", CHILD, f"{library}/library", listing, str(workers), str(FIRST)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    _, first_s, rate, total_s = map(float, done.stdout.split())
    return first_s, rate, total_s


def main() -> None:
    if find_spec("ray") is None:
        sys.exit("skipped: no ray; `make ray` installs it")
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TRAWL_DATA", beside)) / "flickr8k" / "images"
    if not folder.is_dir():
        sys.exit(f"skipped: no photos at {folder}; set TRAWL_DATA")
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    workers = os.cpu_count() or 1
    ratios = []
    with tempfile.TemporaryDirectory() as work:
        listing = Path(work) / "paths"
        listing.write_text("\n".join(map(str, sorted(folder.iterdir())[:count])), "utf-8")
        for _ in range(RUNS):
            local, ray = run(work, listing, 0), run(work, listing, workers)
            ratios.append(ray[1] / local[1])
            print(
                f"{count} pictures. This process: first after {local[0]:.1f} s, then "
                f"{local[1]:.0f} per second, {local[2]:.1f} s in all. Ray, {workers} workers: "
                f"first after {ray[0]:.1f} s, then {ray[1]:.0f} per second, {ray[2]:.1f} s in all. "
                f"Ratio of the rates {ratios[-1]:.2f}",
                flush=True,
            )
    print(f"median ratio of the rates {statistics.median(ratios):.2f} (target: at least 0.9)")


if __name__ == "__main__":
    main()
