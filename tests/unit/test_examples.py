"""The example collection is complete, and its media can be rebuilt."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pypdfium2
import pytest
import soundfile
import yaml
from PIL import Image

ROOT = Path(__file__).parents[2]
BUILDER = ROOT / "examples" / "build_collection.py"
COLLECTION = ROOT / "src" / "trawl" / "examples"
LINK = re.compile(r"!\[([^\]]+)\]\(([^)]+)\)")
TOPICS = {"physics", "biology", "acoustics"}


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build the figures and sounds twice, in parallel."""
    folders = tuple(tmp_path_factory.mktemp("examples") / name for name in ("first", "second"))
    running = [
        subprocess.Popen([sys.executable, str(BUILDER), "--out", str(folder)]) for folder in folders
    ]
    assert [process.wait(timeout=100) for process in running] == [0, 0]
    return folders[0], folders[1]


@pytest.fixture(scope="module")
def collection() -> Path:
    return COLLECTION


def files_under(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def with_suffix(folder: Path, *suffixes: str) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.suffix in suffixes]


def words_of(path: Path) -> list[str]:
    with pypdfium2.PdfDocument(path) as document:
        return [page.get_textpage().get_text_range() for page in document]


def test_builds_are_reproducible(builds: tuple[Path, Path]) -> None:
    first, second = map(files_under, builds)
    assert first == second


def test_collection_is_complete_and_small(collection: Path) -> None:
    assert len(with_suffix(collection, ".md", ".txt")) == 21
    assert len(with_suffix(collection, ".png", ".jpg")) == 19
    assert len(with_suffix(collection, ".wav", ".flac", ".ogg")) == 11
    papers = with_suffix(collection, ".pdf")
    assert len(papers) == 2
    assert max(path.stat().st_size for path in papers) < 300_000
    assert sum(path.stat().st_size for path in collection.rglob("*")) < 5_000_000


def test_every_picture_has_a_caption(collection: Path) -> None:
    linked = set()
    for page in with_suffix(collection, ".md"):
        for caption, target in LINK.findall(page.read_text(encoding="utf-8")):
            assert len(caption.split()) >= 5, (page, caption)
            linked.add(page.parent / unquote(target))
    pictures = set(with_suffix(collection, ".png", ".jpg"))
    assert linked <= pictures
    with_sidecar = {p for p in pictures if p.with_name(p.name + ".json").is_file()}
    assert linked | with_sidecar == pictures
    assert not linked & with_sidecar


def test_every_text_has_metadata_and_a_reasonable_length(collection: Path) -> None:
    for page in with_suffix(collection, ".md", ".txt"):
        text = page.read_text(encoding="utf-8")
        if page.suffix == ".md":
            _, front, text = text.split("---\n", 2)
            metadata = yaml.safe_load(front)
            assert metadata["title"]
        else:
            beside = [
                p for s in (".json", ".yaml") if (p := page.with_name(page.name + s)).exists()
            ]
            assert len(beside) == 1, page
            metadata = yaml.safe_load(beside[0].read_text(encoding="utf-8"))
        assert metadata["topic"] in TOPICS
        assert isinstance(metadata["year"], int)
        assert len(metadata["tags"]) >= 3
        assert 100 <= len(text.split()) <= 600, page


def test_tables_refer_to_files_and_every_file_has_metadata(collection: Path) -> None:
    described: set[Path] = set()
    for table in with_suffix(collection, ".csv", ".jsonl"):
        with table.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines) if table.suffix == ".csv" else map(json.loads, lines))
        for row in rows:
            assert (table.parent / row["file"]).is_file(), row
            assert row["title"]
            assert row["topic"] in TOPICS
            assert 1800 <= int(row["year"]) <= 2030
            described.add(table.parent / row["file"])
    for sidecar in with_suffix(collection, ".json"):
        assert json.loads(sidecar.read_text(encoding="utf-8"))["topic"] in TOPICS
        described.add(sidecar.with_suffix(""))
    media = with_suffix(collection, ".png", ".jpg", ".wav", ".flac", ".ogg")
    assert set(media) <= described


def test_media_decode_and_are_neither_flat_nor_clipped(collection: Path) -> None:
    for path in with_suffix(collection, ".png", ".jpg"):
        with Image.open(path) as picture:
            assert np.asarray(picture.convert("L")).std() > 10, path
    for path in with_suffix(collection, ".wav", ".flac", ".ogg"):
        samples, rate_hz = soundfile.read(path)
        assert rate_hz == 16_000
        assert 4 <= len(samples) / rate_hz <= 10, path
        assert 0.3 < np.abs(samples).max() < 0.99, path


def test_packaged_media_match_the_build(builds: tuple[Path, Path]) -> None:
    built = files_under(builds[0])
    spoken = "sounds/spoken.ogg"  # recorded once, from a speech synthesiser
    packaged = with_suffix(COLLECTION, ".png", ".jpg", ".wav", ".flac", ".ogg", ".pdf")
    assert {str(path.relative_to(COLLECTION)) for path in packaged} == {*built, spoken}
    # Encoders differ between versions of Pillow and libsndfile; the decoded media do not.
    for path in with_suffix(builds[0], ".png", ".jpg"):
        with (
            Image.open(path) as fresh,
            Image.open(COLLECTION / path.relative_to(builds[0])) as kept,
        ):
            difference = np.subtract(fresh.convert("RGB"), kept.convert("RGB"), dtype=np.float32)
        assert np.abs(difference).mean() < 2, path
    for path in with_suffix(builds[0], ".pdf"):
        assert words_of(path) == words_of(COLLECTION / path.relative_to(builds[0]))
    for path in with_suffix(builds[0], ".wav", ".flac", ".ogg"):
        fresh_samples, _ = soundfile.read(path)
        kept_samples, _ = soundfile.read(COLLECTION / path.relative_to(builds[0]))
        assert np.abs(fresh_samples - kept_samples).max() < 0.05, path
