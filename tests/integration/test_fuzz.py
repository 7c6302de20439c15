"""A bounded run of `python -m benchmarks.fuzz`: requests made of the OpenAPI document."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_interface_keeps_to_its_description(tmp_path: Path) -> None:
    """No 5xx, no status and no content that is not documented, whatever is asked."""
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.fuzz", "--cases", "12"),
            *("--phases", "examples,fuzzing", "--report", str(report)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    counted = json.loads(report.read_text("utf-8"))
    assert counted["errors"] == counted["failures"] == []
    assert counted["operations"]["tested"] == counted["operations"]["total"] >= 24
    assert counted["test_cases"]["generated"] > 200
