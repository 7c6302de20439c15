"""PDF documents that no one on this project wrote: order of reading, titles, damage."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pdf_scrambler import kept, neighbours, scrambled
from trawl.errors import ReadError
from trawl.readers import read
from trawl.types import Passages, Picture, Reading

TITLES = {
    "Bremsstrahlung.pdf": "Measuring the Planck Constant from the Minimum Wavelength of X-rays in "
    "the Bremsstrahlung Continuum",
    "Place-recognition-evaluation.pdf": "A comparative analysis of visual and point cloud-based "
    "place recognition methods in indoor environment.",
    "scipdf_parser.pdf": "An Improved Multi-Output Gaussian Process RNN with Real-Time Validation "
    "for Early Sepsis Detection",
    "seals.pdf": "Variation in myoglobin content of skeletal muscle of seal species.",
    "wifi-propagation-experiment.pdf": "Comparison of Wireless Propagation Loss Models",
}


def text_of(reading: Reading) -> str:
    texts = []
    for part in reading.parts:
        if isinstance(part, Passages):
            texts.append(part.text)
        elif isinstance(part, Picture):
            texts += [part.caption, part.words]
    return " ".join(texts)


def reason_of(path: Path) -> str:
    """Return why a document is refused; "" if it is read."""
    try:
        text_of(read(path, "application/pdf"))
    except ReadError as error:
        return str(error)
    return ""


def test_titles(reference_data: Path) -> None:
    papers = reference_data / "papers"
    found = {path.name: read(path, "application/pdf").title for path in papers.glob("*.pdf")}
    assert found == TITLES


def test_lines_that_follow_each_other_stay_together_also_if_scrambled(
    reference_data: Path, tmp_path: Path
) -> None:
    native: list[bool] = []
    mixed: list[bool] = []
    for path in (reference_data / "papers").glob("*.pdf"):
        pairs = neighbours(path)
        native += kept(pairs, text_of(read(path, "application/pdf")))
        copy = tmp_path / path.name
        copy.write_bytes(scrambled(path))
        mixed += kept(pairs, text_of(read(copy, "application/pdf")))
    assert len(native) > 700
    assert sum(native) / len(native) >= 0.97
    assert sum(mixed) / len(mixed) >= 0.97


@pytest.mark.parametrize("seed", range(4))
def test_damaged_papers_are_read_or_refused(
    reference_data: Path, tmp_path: Path, seed: int
) -> None:
    paths = sorted(reference_data.glob("papers/*.pdf")) + sorted(
        reference_data.glob("acl_figures/*.pdf")
    )
    chance = random.Random(seed)
    copy = tmp_path / "a.pdf"
    reasons = []
    for _ in range(5):
        data = bytearray(chance.choice(paths).read_bytes())
        if chance.random() < 0.3:
            del data[chance.randrange(len(data)) :]
        for _ in range(chance.choice([1, 20, len(data) // 1000])):
            data[chance.randrange(len(data))] = chance.randrange(256)
        copy.write_bytes(data)
        reasons.append(reason_of(copy))
    assert not [reason for reason in reasons if "cannot be read: " in reason]  # of a library
