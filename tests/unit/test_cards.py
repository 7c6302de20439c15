"""Model cards: parsing, validation and fingerprints."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from trawl.encoders import load_model, load_profile, profile_of_spaces
from trawl.encoders.cards import load_card
from trawl.errors import ModelError

CARD = """
name = "toy"
family = "mini"
licence = "CC0-1.0"
preprocessing = 1
[space]
name = "toy"
dimension = 8
[text]
max_tokens = 0
[text.files]
"weights.npz" = "{digest}"
[prior."text>image"]
mean = 0.1
std = 0.2
"""


@pytest.fixture
def card_file(tmp_path: Path) -> Path:
    (tmp_path / "weights.npz").write_bytes(b"weights")
    file = tmp_path / "card.toml"
    file.write_text(CARD.format(digest=hashlib.sha256(b"weights").hexdigest()), "utf-8")
    return file


def test_a_card(card_file: Path) -> None:
    card = load_card(card_file)
    assert (card.name, card.space.dimension) == ("toy", 8)
    assert card.priors["text", "image"] == (0.1, 0.2)
    assert card.towers["text"].path("weights.npz").read_bytes() == b"weights"


def test_the_fingerprint_covers_everything_that_determines_vectors(card_file: Path) -> None:
    before = load_card(card_file).space.fingerprint
    text = card_file.read_text("utf-8")
    card_file.write_text(text.replace("CC0-1.0", "MIT").replace("mean = 0.1", "mean = 0.3"))
    assert load_card(card_file).space.fingerprint == before
    for old, new in (
        ("preprocessing = 1", "preprocessing = 2"),
        ("max_tokens = 0", "max_tokens = 9"),
    ):
        card_file.write_text(text.replace(old, new), "utf-8")
        assert load_card(card_file).space.fingerprint != before


def test_a_batch_size_changes_no_vectors(card_file: Path) -> None:
    before = load_card(card_file)
    text = card_file.read_text("utf-8")
    card_file.write_text(text.replace("max_tokens = 0", "max_tokens = 0\nbatch = 128"))
    after = load_card(card_file)
    assert (before.towers["text"].batch, after.towers["text"].batch) == (None, 128)
    assert after.space.fingerprint == before.space.fingerprint
    card_file.write_text(text.replace("max_tokens = 0", "max_tokens = 0\nbatch = 0"))
    with pytest.raises(ModelError, match="expected a whole number above 0"):
        load_card(card_file)


def test_damaged_and_missing_weights(card_file: Path) -> None:
    tower = load_card(card_file).towers["text"]
    (card_file.parent / "weights.npz").write_bytes(b"others")
    with pytest.raises(ModelError, match=r"damaged.*install the model again"):
        tower.path("weights.npz")
    (card_file.parent / "weights.npz").unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        tower.path("weights.npz")


@pytest.mark.parametrize("text", ["name = ", "name = 'x'", ""])
def test_invalid_cards(card_file: Path, text: str) -> None:
    card_file.write_text(text, "utf-8")
    with pytest.raises(ModelError, match=r"card\.toml"):
        load_card(card_file)


def test_unknown_names() -> None:
    with pytest.raises(ModelError, match="did you mean 'mini'"):
        load_profile("minni")
    with pytest.raises(ModelError, match=r"There are: .*mini"):
        load_model("clop")


def test_a_choice_of_dimensions(card_file: Path) -> None:
    text = card_file.read_text("utf-8")
    with pytest.raises(ModelError, match="no vectors of 4 dimensions; choose from 8"):
        load_card(card_file).shortened(4)
    card_file.write_text(text.replace("dimension = 8", "dimension = 8\ndimensions = [8, 4]"))
    card = load_card(card_file)
    assert card.shortened(8) is card
    short = card.shortened(4)
    assert short.space.dimension == 4
    assert short.space.fingerprint != card.space.fingerprint
    with pytest.raises(ModelError, match="no vectors of 5 dimensions; choose from 8, 4"):
        card.shortened(5)
    with pytest.raises(ModelError, match="no model among mini offers a choice of dimensions"):
        load_profile("mini", dimension=64)


def test_a_library_keeps_the_models_of_a_profile_that_has_changed() -> None:
    before = ["bge-small", "clip-vit-b32-laion", "clap"]
    assert profile_of_spaces("standard", before) == ",".join(before)
    assert profile_of_spaces("standard", ["embeddinggemma-2"]) == "standard"
    assert profile_of_spaces("standard", ["gone"]) == "standard"
    assert profile_of_spaces("a,b", ["c"]) == "a,b"
