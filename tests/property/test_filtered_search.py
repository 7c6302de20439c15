"""A filtered search against brute force, on libraries of random documents."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from trawl import Library
from trawl.query import And, Comparison, Contains, Exists, Filter, Not, OneOf, Or, matches
from trawl.types import MODALITIES, Modality

WORDS = ("tide", "moon", "sea", "mill", "boat", "sand", "wind", "rain", "salt", "gull")
TAGS = ("blue", "red", "it's", "100%")

plain_filters: st.SearchStrategy[Filter] = st.one_of(
    st.builds(
        Comparison,
        st.sampled_from(["count", "mass"]),
        st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
        st.integers(-1, 7),
    ),
    st.builds(OneOf, st.just("count"), st.lists(st.integers(0, 6), min_size=1).map(tuple)),
    st.builds(Contains, st.just("tags"), st.sampled_from(TAGS)),
    st.builds(Exists, st.sampled_from(["count", "mass", "tags"])),
    st.builds(Comparison, st.just("modality"), st.sampled_from(["=", "!="]), st.just("image")),
)
filters = st.recursive(
    plain_filters,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=5,
)


@dataclass(frozen=True)
class Filled:
    """A library, and what is known of its documents without it: by file name."""

    library: Library
    documents: Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="module", params=range(2))
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Filled]:
    random = np.random.default_rng(request.param)
    folder = tmp_path_factory.mktemp("filled")
    documents: dict[str, dict[str, Any]] = {}
    with Library(folder / "library", create=True, freshness_s=0) as library:
        for n in range(30 + 15 * request.param):
            metadata: dict[str, Any] = {
                "count": int(random.integers(0, 7)),
                "mass": float(random.integers(0, 70)) / 10,
                "tags": random.choice(TAGS, random.integers(1, 4), replace=False).tolist(),
            }
            metadata = {key: value for key, value in metadata.items() if random.random() < 0.8}
            file = write(folder, n, random)
            (folder / f"{file.name}.json").write_text(json.dumps(metadata), "utf-8")
            modality: Modality = "image" if file.suffix == ".png" else "text"
            documents[file.name] = metadata | {"modality": modality}
        library.add([*folder.glob("*.txt"), *folder.glob("*.png")])
        yield Filled(library, documents)


def write(folder: Path, n: int, random: np.random.Generator) -> Path:
    """One document of one chunk: every third a picture, the others ten words."""
    if n % 3 == 0:
        file = folder / f"{n}.png"
        Image.fromarray(random.integers(0, 255, (32, 32, 3), np.uint8)).save(file)
    else:
        file = folder / f"{n}.txt"
        file.write_text(" ".join(random.choice(WORDS, 10)), "utf-8")
    return file


@given(
    where=filters,
    limit=st.integers(1, 40),
    words=st.lists(st.sampled_from((*WORDS, "zeppelin")), min_size=1, max_size=3),
    modality=st.sampled_from([None, *MODALITIES]),
)
@settings(deadline=None, max_examples=60)
def test_a_filter_lets_by_all_that_match_and_nothing_else(
    filled: Filled, where: Filter, limit: int, words: list[str], modality: Modality | None
) -> None:
    right = {
        name
        for name, metadata in filled.documents.items()
        if matches(where, metadata) and modality in (None, metadata["modality"])
    }
    hits = filled.library.search(
        " ".join(words), where=where, limit=limit, modality=modality, all=True
    ).hits
    found = [Path(hit.uri).name for hit in hits]
    assert set(found) <= right
    assert len(found) == len(set(found)) == min(limit, len(right))


@given(where=filters, n=st.integers(0, 29))
@settings(deadline=None, max_examples=40)
def test_a_filtered_list_is_in_the_order_of_the_similarities(
    filled: Filled, where: Filter, n: int
) -> None:
    """Asked by one source alone, the list is that of brute force over all the vectors."""
    name = f"{n}.png" if n % 3 == 0 else f"{n}.txt"
    modality: Modality = "image" if n % 3 == 0 else "text"
    (document,) = [d for d in filled.library.documents() if Path(d.uri).name == name]
    part = filled.library.like(f"{document.document_id}:0")
    every = filled.library.search(parts=[part], modality=modality, limit=100, all=True).hits
    narrow = filled.library.search(
        parts=[part], modality=modality, where=where, limit=100, all=True
    ).hits
    kept = [hit.chunk_id for hit in every if matches(where, filled.documents[Path(hit.uri).name])]
    assert [hit.chunk_id for hit in narrow] == kept
