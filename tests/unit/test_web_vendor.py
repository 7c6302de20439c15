"""The vendored files of the page are those that scripts/vendor_web.py writes."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from importlib.resources import files
from pathlib import Path

FOLDER = files("trawl") / "web" / "vendor"
SCRIPT = Path(__file__).parents[2] / "scripts" / "vendor_web.py"


def test_the_files_have_the_hashes_of_the_manifest() -> None:
    manifest = json.loads((FOLDER / "manifest.json").read_text("utf-8"))
    found = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in FOLDER.iterdir()
        if file.name != "manifest.json"
    }
    assert found == manifest["sha256"]
    spec = importlib.util.spec_from_file_location("vendor_web", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert manifest["packages"] == {name: one[0] for name, one in script.PACKAGES.items()}
    for name in script.PACKAGES:
        assert "Permission" in (FOLDER / f"LICENSE-{name}.txt").read_text("utf-8") or (
            "Apache License" in (FOLDER / f"LICENSE-{name}.txt").read_text("utf-8")
        )
