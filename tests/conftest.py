"""What tests share: a small collection on disk, and libraries to put it in."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
from PIL import Image, ImageDraw

from buckets import new_bucket, serving_buckets
from trawl import Library

if TYPE_CHECKING:
    from lance import LanceDataset

REFERENCE_DATA = Path(
    os.environ.get("TRAWL_DATA") or Path(__file__).parent.parent.parent / "shared" / "data"
)


# Tests that run in the background of a shell inherit that Ctrl-C is ignored, and so would the
# programs that they start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def reference_data() -> Path:
    if not REFERENCE_DATA.is_dir():
        pytest.skip("no reference data: set TRAWL_DATA to its folder")
    return REFERENCE_DATA


@pytest.fixture(scope="session")
def storage_options() -> Iterator[dict[str, str]]:
    """The options for an S3 server that runs for the session."""
    with serving_buckets() as options:
        yield options


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--in-bucket", action="store_true", help="put the libraries of tests in an object store"
    )


@pytest.fixture
def library(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Library]:
    place: dict[str, Any] = {"path": tmp_path / "library"}
    if request.config.getoption("--in-bucket"):
        options = request.getfixturevalue("storage_options")
        place = {
            "path": f"{new_bucket(options)}/library",
            "storage_options": options,
            "cache_dir": tmp_path / "cache",
        }
    with Library(**place, create=True, freshness_s=0) as opened:
        yield opened


def table(library: Library, name: str) -> LanceDataset:
    """Open a table of a library."""
    import lance  # after `trawl.store`, which sets what it logs

    location = library.location
    return lance.dataset(location.table(name), storage_options=location.storage_options)


def opened_again(library: Library, **settings: Any) -> Library:
    """Open the library of another `Library`."""
    kept = {"storage_options": library.location.storage_options} if library.path is None else {}
    return Library(library.location.address, **{**kept, **settings})


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """Texts, pictures and a sound, with metadata beside some of them."""
    folder = tmp_path / "collection"
    write_collection(folder)
    return folder


def write_collection(folder: Path) -> None:
    folder.mkdir()
    (folder / "muons.md").write_text(
        "---\nyear: 2021\nsource: arXiv\ntags: [physics, particles]\n---\n"
        "# Muon decay\n\nA muon decays to an electron and two neutrinos with a mean life of "
        "2.2 microseconds.\n\n![Decay curve of the muon: counts fall with time]"
        "(figures/decay.png)\n",
        "utf-8",
    )
    (folder / "bread.txt").write_text(
        "Sourdough bread\n\nKnead the dough, let it rise overnight, and bake it in a hot oven "
        "until the crust is brown.\n",
        "utf-8",
    )
    (folder / "long.txt").write_text(
        "\n\n".join(
            f"Section {n}. The river carries {n} tonnes of sand past the bridge each day, and "
            "the engineers measure how the banks give way in spring."
            for n in range(40)
        ),
        "utf-8",
    )
    (folder / "figures").mkdir()
    picture("black", "white").save(folder / "figures" / "decay.png")
    picture("red", "yellow").save(folder / "figures" / "sunset.jpg")
    (folder / "figures" / "sunset.jpg.json").write_text(
        json.dumps({"title": "Evening", "caption": "a red sunset over the sea", "year": 2019}),
        "utf-8",
    )
    soundfile.write(folder / "beep.wav", tone(1_000, 3.0), 16_000)


def picture(background: str, ink: str, size: tuple[int, int] = (160, 120)) -> Image.Image:
    image = Image.new("RGB", size, background)
    pen = ImageDraw.Draw(image)
    pen.ellipse((size[0] // 4, size[1] // 4, size[0] * 3 // 4, size[1] * 3 // 4), fill=ink)
    return image


def tone(frequency_hz: float, duration_s: float, sample_rate_hz: int = 16_000) -> np.ndarray:
    time_s = np.arange(int(duration_s * sample_rate_hz)) / sample_rate_hz
    return (0.3 * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


Contents = dict[str, dict[str, tuple[object, ...]]]


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], Contents]:
    """Return a function that reads everything in a library, to compare two."""
    return _contents


def _contents(path: Path) -> Contents:
    import lance

    found: Contents = {}
    for table, key in (("chunks", "chunk_id"), ("documents", "document_id"), ("media", "chunk_id")):
        rows = lance.dataset(str(path / f"{table}.lance")).to_table().to_pylist()
        assert len({row[key] for row in rows}) == len(rows), f"{table} holds a row twice"
        found[table] = {
            row[key]: tuple(
                _plain(value) for name, value in sorted(row.items()) if name != "added_at"
            )
            for row in rows
        }
    return found


class _Vector:
    """A vector that equals another if no element differs by more than rounding.

    The last bits of an encoder's output depend on the batch, which depends on the moment.
    """

    def __init__(self, value: list[float]) -> None:
        self.value = np.asarray(value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Vector) and np.allclose(
            self.value, other.value, rtol=0, atol=1e-5
        )

    def __repr__(self) -> str:
        return repr(self.value)


def _plain(value: object) -> object:
    return _Vector(value) if _is_vector(value) else value


def _is_vector(value: object) -> bool:
    return isinstance(value, list) and len(value) > 16 and isinstance(value[0], float)
