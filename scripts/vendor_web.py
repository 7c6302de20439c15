"""Vendor Preact and htm into the page: `python scripts/vendor_web.py`.

Downloads the pinned packages with npm, checks their integrity, and writes their ES modules,
licences and a manifest of hashes to src/trawl/web/vendor.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "src" / "trawl" / "web" / "vendor"
PACKAGES = {
    "preact": (
        "11.2.0",
        "/HfHI/7N84e6GrWBJ3J280z3mLaRJiDcSvj/A+y/4AbLnND/1UlGHe1sR6oYuTGwId0nP7dqDU9OnLxMPZ7xBg==",
    ),
    "htm": (
        "3.1.1",
        "983Vyg8NwUE7JkZ6NmOqpCZ+sh1bKv2iYTlUkzlWmA5JD2acKoxd4KVxbMmxX/85mtfdnDmTFoNKcg5DGAvxNQ==",
    ),
}
MODULES = {
    "core.js": ("preact", "package/dist/preact.mjs"),
    "hooks.js": ("preact", "package/hooks/dist/hooks.mjs"),
    "htm.js": ("htm", "package/dist/htm.mjs"),
    "LICENSE-preact.txt": ("preact", "package/LICENSE"),
    "LICENSE-htm.txt": ("htm", "package/LICENSE"),
}
ENTRY = """\
// Preact, its hooks and htm: made by scripts/vendor_web.py.
import { h } from "./core.js";
import htm from "./htm.js";

export * from "./core.js";
export * from "./hooks.js";
export const html = htm.bind(h);
"""


def fetch(name: str, folder: Path) -> tarfile.TarFile:
    """Download a package. Raises `SystemExit` if its integrity is not the pinned one."""
    version, integrity = PACKAGES[name]
    command = ["npm", "pack", "--silent", f"{name}@{version}"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    file = folder / f"{name}-{version}.tgz"
    found = base64.b64encode(hashlib.sha512(file.read_bytes()).digest()).decode()
    if found != integrity:
        raise SystemExit(f"{file.name} has the integrity {found}, not {integrity}")
    return tarfile.open(file)


def module(text: str) -> str:
    """Return a module whose imports are relative, without its source map."""
    text = re.sub(r"\n?//# sourceMappingURL=\S+", "", text)
    return re.sub(r'from"preact"', 'from"./core.js"', text).rstrip() + "\n"


def main() -> None:
    """Write the vendored files and their manifest."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    written = {"preact.js": ENTRY}
    with tempfile.TemporaryDirectory() as folder:
        archives = {name: fetch(name, Path(folder)) for name in PACKAGES}
        for target, (name, path) in MODULES.items():
            file = archives[name].extractfile(path)
            assert file is not None
            written[target] = module(file.read().decode())
    for target, text in written.items():
        (FOLDER / target).write_text(text, "utf-8")
    manifest = {
        "packages": {name: version for name, (version, _) in PACKAGES.items()},
        "sha256": {
            target: hashlib.sha256(text.encode()).hexdigest()
            for target, text in sorted(written.items())
        },
    }
    (FOLDER / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
