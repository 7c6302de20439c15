"""Startup time of the command line, relative to a bare Typer program."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

BARE = "import typer; app = typer.Typer(); app.command()(lambda: None); app()"


def timed(command: list[str], runs: int = 15) -> float:
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        took.append(time.perf_counter() - began)
    return float(np.median(took))


def main() -> None:
    trawl = str(Path(sys.executable).parent / "trawl")
    with tempfile.TemporaryDirectory() as folder:
        texts = Path(folder) / "texts"
        texts.mkdir()
        for n in range(30):
            (texts / f"{n}.txt").write_text(f"Text {n} about tides and muons.", "utf-8")
        os.environ["TRAWL_LIBRARY"] = f"{folder}/library"
        subprocess.run([trawl, "init"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([trawl, "add", str(texts)], check=True, stdout=subprocess.DEVNULL)
        baseline = timed([sys.executable, "-c", BARE, "--help"])
        print("| command | median s | ratio to baseline |\n|---|---|---|")
        print(f"| a bare Typer program, --help (baseline) | {baseline:.2f} | 1.00 |")
        for words in (["--help"], ["search", "muon decay"], ["status"]):
            took = timed([trawl, *words])
            print(f"| trawl {' '.join(words)} | {took:.2f} | {took / baseline:.2f} |")


if __name__ == "__main__":
    main()
