"""Small mixed libraries rank as well as ``docs/ranking.md`` says, on the development half."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "quality"

# In a process of its own: the benchmarks' modules are found beside one another, by names that
# the training scripts have too.
MEASURE = """
import json
import numpy as np
from everyday import METHODS, exact_words, far_off, mean_mrr, more_like, trios
from everyday_data import load_collection
collection = load_collection(0)
ours = METHODS["**calibrated**"]
methods = {name: METHODS[name] for name in ("raw cosine", "RRF, k = 60", "**calibrated**")}
found = {"mrr": {}}
for size, libraries in ((12, 12), (30, 8), (150, 2)):
    found["mrr"][size] = {
        name: float(np.mean(list(groups.values())))
        for name, groups in mean_mrr(collection, methods, size, libraries).items()
    }
only = {"ours": ours}
found["trios"] = trios(collection, only, 60, 4)["ours"]
found["words"] = exact_words(collection, only, 30, 4)["ours"]
found["like"] = more_like(collection, only, 30, 3)["ours"]
found["false alarms"], found["far-off"], found["area"] = far_off(collection, ours, 0, 45, 4)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def measured(reference_data: Path) -> Any:
    for folder in ("flickr8k", "imagenet_samples", "esc10", "ambient_sounds", "animal_sounds"):
        if not (reference_data / folder).is_dir():
            pytest.skip(f"no {folder} in {reference_data}")
    done = subprocess.run(
        [sys.executable, "-c", MEASURE],
        cwd=BENCHMARKS,
        env={**os.environ, "TRAWL_DATA": str(reference_data), "PYTHONPATH": str(BENCHMARKS)},
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.parametrize("size", ["12", "30", "150"])
def test_calibration_beats_raw_cosine_and_rrf(measured: Any, size: str) -> None:
    found = measured["mrr"][size]
    assert found["**calibrated**"] > found["raw cosine"]
    assert found["**calibrated**"] > found["RRF, k = 60"] + 0.1


def test_names_and_exact_words_come_first(measured: Any) -> None:
    assert measured["trios"] >= 0.95
    assert measured["words"] >= 0.98


@pytest.mark.parametrize("modality", ["text", "image", "audio"])
def test_more_like_this_starts_with_the_same_modality(measured: Any, modality: str) -> None:
    found = measured["like"]
    assert found[f"{modality}: same modality first"] >= 0.95
    assert found[f"{modality}: copy first"] == 1
    assert found[f"{modality}: copy's score"] > 0.95


def test_far_off_questions_are_flagged_and_answerable_ones_are_not(measured: Any) -> None:
    assert measured["false alarms"] <= 0.07
    assert measured["far-off"] >= 0.4
    assert measured["area"] > 0.9
