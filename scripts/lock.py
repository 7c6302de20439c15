"""Pin the dependencies: requirements.lock for running, requirements-dev.lock for the rest.

Each is what pip chooses in a fresh virtual environment, as plain `name==version` lines:
no index addresses, no hashes of one machine's files.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
HEAD = "# Made by `make lock`; do not edit.\n"


def installed(python: Path) -> list[str]:
    """Give what is installed there, without pip itself and without the project."""
    command = [python, "-m", "pip", "freeze", "--exclude-editable", "--exclude", "trawl-multimodal"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return sorted((line for line in lines if "==" in line), key=str.lower)


def main() -> None:
    """Resolve twice, the second time on top of the first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        install = [python, "-m", "pip", "install", "--quiet"]
        subprocess.run([*install, *project["project"]["dependencies"]], check=True)
        runtime = installed(python)
        subprocess.run([*install, *runtime, *project["dependency-groups"]["dev"]], check=True)
        development = [line for line in installed(python) if line not in runtime]
    (ROOT / "requirements.lock").write_text(HEAD + "\n".join(runtime) + "\n", "utf-8")
    (ROOT / "requirements-dev.lock").write_text(
        HEAD + "-r requirements.lock\n" + "\n".join(development) + "\n", "utf-8"
    )


if __name__ == "__main__":
    sys.exit(main())
