"""The mixed list of real CLIP vectors is as good as ``docs/ranking.md`` says, on one half."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "quality"

# In a process of its own: the benchmarks' modules are found beside one another, by
# names that the training scripts have too.
MEASURE = """
import json, sys
from half_and_half import METHODS, Pool, measure, measure_itself
from common import shopsphere
pool = Pool(shopsphere(), 5, sys.argv[1])
ours = METHODS["**calibrated**"]
print(json.dumps({
    "calibrated": measure(pool, ours),
    "itself": measure_itself(pool, ours),
    "cosine": measure(pool, METHODS["raw cosine"]),
}))
"""


def measured(reference_data: Path, script: str, *arguments: str) -> Any:
    """Return what a script on the benchmarks' modules prints as JSON."""
    if not (reference_data / "clip_vectors_shopsphere").is_dir():
        pytest.skip(f"no clip_vectors_shopsphere in {reference_data}")
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=BENCHMARKS,
        env={**os.environ, "TRAWL_DATA": str(reference_data), "PYTHONPATH": str(BENCHMARKS)},
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("asking", ["text", "image"])
def test_the_right_modality_stands_first_and_a_missing_answer_is_told(
    asking: str, reference_data: Path
) -> None:
    found = measured(reference_data, MEASURE, asking)
    first, _, tenth, area = found["calibrated"]
    assert first > 0.71
    assert tenth > 0.97
    assert area > 0.82
    assert found["itself"][0] > 0.98
    # And it is the ranking that does it: by cosine no answer is among the first ten.
    assert found["cosine"][:3] == [0, 0, 0]


WITH_WORDS = """
import json
from agreement import METHODS, WithWords
from common import recall_at, shopsphere
pool = WithWords(shopsphere(), 5)
found = {}
for name in ("**calibrated**", "RRF, k = 60"):
    ranks = []
    for asked, answer in pool.pictures():
        rows, _ = METHODS[name](*asked)
        ranks.append(rows.index(answer) + 1 if answer in rows else len(rows) + 1)
    found[name] = [recall_at(ranks, k) for k in (1, 10)]
print(json.dumps(found))
"""


def test_texts_found_by_words_and_vectors_leave_the_right_picture_its_place(
    reference_data: Path,
) -> None:
    """Agreement counts, but texts of like garments agree by chance, and do not win by it."""
    found = measured(reference_data, WITH_WORDS)
    first, tenth = found["**calibrated**"]
    assert first > 0.71
    assert tenth > 0.97
    # Where two sources of texts are simply counted, no picture is ever first.
    assert found["RRF, k = 60"][0] == 0
