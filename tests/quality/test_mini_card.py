"""The card tells the truth: the shipped weights are measured again on the reference data."""

from __future__ import annotations

import importlib
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from trawl.encoders import load_model

_ROOT = Path(__file__).resolve().parents[2]
_CARD = _ROOT / "src" / "trawl" / "models" / "mini" / "card.toml"
_TOLERANCE = 0.02


def _figures() -> dict[str, float]:
    figures: dict[str, float] = tomllib.loads(_CARD.read_text("utf-8"))["figures"]
    return figures


@pytest.fixture(scope="module")
def evaluate(reference_data: Path) -> Iterator[ModuleType]:
    if not (_ROOT / "training").is_dir():
        pytest.skip("the training scripts are not beside the tests")
    sys.path.insert(0, str(_ROOT / "training"))
    try:
        yield importlib.import_module("evaluate")
    finally:
        sys.path.remove(str(_ROOT / "training"))


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "part",
    ["measure_text", "measure_images", "measure_names", "measure_sounds", "measure_figures"],
)
def test_figures_are_what_the_card_says(
    evaluate: ModuleType, reference_data: Path, part: str
) -> None:
    measured = getattr(evaluate, part)(load_model("mini"), reference_data)
    if part == "measure_figures" and not measured:
        pytest.skip("figures cannot be drawn here: matplotlib or scipy is missing")
    figures = _figures()
    off = {
        name: (value, figures[name])
        for name, value in measured.items()
        if abs(value - figures[name]) > _TOLERANCE
    }
    assert measured
    assert not off, f"measured and claimed: {off}"


def test_no_quality_on_the_card_is_below_its_floor(evaluate: ModuleType) -> None:
    figures = _figures()
    below = {
        name: (figures[name], floor)
        for name, (_, floor) in evaluate.TARGETS.items()
        if figures[name] < floor
    }
    assert not below, f"claimed and floor: {below}"
