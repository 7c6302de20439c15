"""`docs/formats.md` names every extension and an existing test for each row."""

from __future__ import annotations

import re
from pathlib import Path

from trawl.readers import FORMATS

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "formats.md").read_text("utf-8")


def test_each_row_names_existing_tests() -> None:
    sources = "\n".join(path.read_text("utf-8") for path in ROOT.glob("tests/*/test_reader*.py"))
    existing = set(re.findall(r"^def (test_\w+)", sources, re.MULTILINE))
    rows = [
        line
        for line in TABLE.splitlines()
        if line.startswith("|") and not line.startswith(("| ---", "| Format |", "| Aspect |"))
    ]
    assert len(rows) > 20
    for row in rows:
        named = set(re.findall(r"`(test_\w+)`", row))
        assert named, row
        assert named <= existing, named - existing


def test_each_extension_is_named() -> None:
    listed = set(re.findall(r"`(\.[\w.]+)`", TABLE))
    for format_ in FORMATS:
        if format_.media_type != "text/x-source":
            assert format_.suffixes <= listed, format_.suffixes - listed
