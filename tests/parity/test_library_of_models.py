"""A library made with models of one's own: several spaces, long queries, models that changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from trawl import Library
from trawl.errors import SpaceMismatchError

from .conftest import Case

pytest.importorskip("torch", reason="no torch: `make parity` installs it")
pytest.importorskip("transformers", reason="no transformers: `make parity` installs it")
pytest.importorskip("onnxscript", reason="no onnxscript: `make parity` installs it")

pytestmark = pytest.mark.timeout(600)


def test_a_library_of_two_models(case_of: Callable[[str], Case], tmp_path: Path) -> None:
    folders = [
        case_of(family).onnx.card.towers["text"].directory for family in ("bert-mean", "clip")
    ]
    profile = ",".join(map(str, folders))
    media = tmp_path / "media"
    media.mkdir()
    (media / "muons.txt").write_text("A muon decays to an electron and two neutrinos. " * 30)
    Image.new("RGB", (300, 200), "red").save(media / "red.png")
    Image.radial_gradient("L").save(media / "round.png")

    with Library(tmp_path / "library", create=True, profile=profile, freshness_s=0) as library:
        report = library.add(media)
        assert (report.added, report.failed) == (3, ())
        answer = library.search(image=media / "round.png", modality="image")
        assert answer.hits[0].uri.endswith("round.png")
        source = f"{folders[1].name}.image"
        assert source in {found.source for found in answer.hits[0].evidence}
        assert not library.search("muon").notices
        long = library.search("a muon decays " * 60)
        assert any("ignored the last" in notice for notice in long.notices)

    with Library(tmp_path / "library", profile=profile) as again:
        assert again.status().documents == 3
    with pytest.raises(SpaceMismatchError):
        Library(tmp_path / "library", profile="mini")

    card = folders[1] / "card.toml"
    before = card.read_text("utf-8")
    card.write_text(before.replace('filter = "bicubic"', 'filter = "bilinear"'), "utf-8")
    try:
        with pytest.raises(SpaceMismatchError, match="another version"):
            Library(tmp_path / "library")
    finally:
        card.write_text(before, "utf-8")
