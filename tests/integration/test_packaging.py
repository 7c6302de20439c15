"""The distribution builds, passes `twine check`, and works once installed."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from trawl import __version__

ROOT = Path(__file__).parent.parent.parent
NAME = f"trawl_multimodal-{__version__}"
# As in an empty environment: nothing of the project but what the wheel installs.
ENVIRONMENT = {
    key: value
    for key, value in os.environ.items()
    if not key.startswith("TRAWL_") and key != "PYTHONPATH"
}


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source distribution, and the wheel from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def test_twine_accepts_both_distributions(distributions: Path) -> None:
    names = sorted(path.name for path in distributions.iterdir())
    assert names == [f"{NAME}-py3-none-any.whl", f"{NAME}.tar.gz"]
    command = [sys.executable, "-m", "twine", "check", "--strict"]
    done = subprocess.run(
        [*command, *(str(distributions / name) for name in names)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_wheel_has_the_package_and_nothing_else(distributions: Path) -> None:
    with zipfile.ZipFile(distributions / f"{NAME}-py3-none-any.whl") as wheel:
        names = wheel.namelist()
    assert {name.split("/")[0] for name in names} == {"trawl", f"{NAME}.dist-info"}
    assert not [name for name in names if "__pycache__" in name]
    tracked = subprocess.run(
        ["git", "ls-files", "src/trawl"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert {name.removeprefix("src/") for name in tracked.stdout.split()} <= set(names)
    with tarfile.open(distributions / f"{NAME}.tar.gz") as source:
        assert f"{NAME}/CHANGELOG.md" in source.getnames()


def test_installed_wheel_runs_the_demo(distributions: Path, tmp_path: Path) -> None:
    """Install without dependencies, and borrow them from the present environment."""
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True
    )
    [site] = (tmp_path / "env").glob("lib/python*/site-packages")
    with zipfile.ZipFile(distributions / f"{NAME}-py3-none-any.whl") as wheel:
        wheel.extractall(site)
    [present] = [path for path in sys.path if path.endswith("site-packages")]
    # A plain path: the .pth files there, such as that of an editable install, are not read.
    (site / "dependencies.pth").write_text(present + "\n", "utf-8")
    python = str(tmp_path / "env" / "bin" / "python")
    where = subprocess.run(
        [python, "-c", "import trawl; print(trawl.__file__)"],
        cwd=tmp_path, env=ENVIRONMENT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert Path(where.stdout.strip()).is_relative_to(site)
    done = subprocess.run(
        [python, "-m", "trawl", "demo"],
        cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "added      53" in done.stdout
    assert "Muon decay in a cloud chamber" in done.stdout
    assert (tmp_path / "trawl-demo" / "library" / "library.json").is_file()
