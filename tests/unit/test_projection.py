"""The projection of vectors onto a plane, and the points inside a polygon."""

from __future__ import annotations

import json

import numpy as np
import pytest

from trawl.errors import QueryError
from trawl.library.mapping import chosen_sources, parse_region
from trawl.library.projection import LARGEST, Moments, Plane, fit, inside
from trawl.types import Space


def vectors(count: int, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    drawn[:, 0] *= 5
    drawn[:, 1] *= 3
    return drawn + np.float32(shift)


def moments(*batches: np.ndarray) -> Moments:
    found = Moments(8)
    for batch in batches:
        found.add(batch)
    return found


def test_the_plane_keeps_the_two_widest_directions() -> None:
    drawn = vectors(2_000)
    plane = fit({"text": moments(drawn)})
    placed = plane.place("text", drawn)
    for axis in (0, 1):
        assert abs(np.corrcoef(placed[:, axis], drawn[:, axis])[0, 1]) > 0.99


def test_batches_do_not_change_the_plane() -> None:
    drawn = vectors(500)
    whole = fit({"text": moments(drawn)}).place("text", drawn)
    pieces = fit({"text": moments(drawn[:100], drawn[100:])}).place("text", drawn)
    np.testing.assert_allclose(whole, pieces, atol=1)
    np.testing.assert_array_equal(whole, fit({"text": moments(drawn)}).place("text", drawn))


def test_modalities_that_lie_apart_are_placed_on_each_other() -> None:
    texts, pictures = vectors(1_000, 1), vectors(1_000, 2, shift=40)
    plane = fit({"text": moments(texts), "image": moments(pictures)})
    for modality, drawn in (("text", texts), ("image", pictures)):
        placed = plane.place(modality, drawn)
        assert np.abs(placed.mean(axis=0)).max() < 10
        assert placed.std() == pytest.approx(LARGEST / 4, rel=0.2)


def test_new_vectors_are_placed_beside_the_most_similar() -> None:
    drawn = vectors(300)
    plane = fit({"text": moments(drawn)})
    near = plane.place("text", drawn[:1] + np.float32(0.001))
    assert np.abs(near.astype(int) - plane.place("text", drawn[:1])).max() < 20
    far = plane.place("text", drawn[:1] * np.float32(1e6))
    assert np.abs(far.astype(int)).max() == LARGEST


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_or_equal_vectors_have_a_place(count: int) -> None:
    drawn = np.ones((count, 8), np.float32)
    plane = fit({"text": moments(drawn), "audio": moments()})
    assert plane.place("text", drawn).tolist() == [[0, 0]] * count
    with pytest.raises(ValueError, match="no vectors"):
        fit({"text": moments()})


def test_spaces_lie_side_by_side() -> None:
    drawn = vectors(400)
    left = fit({"text": moments(drawn)}, part=0, parts=2).place("text", drawn)
    right = fit({"audio": moments(drawn)}, part=1, parts=2).place("audio", drawn)
    assert np.median(left[:, 0]) < -LARGEST / 3
    assert np.median(right[:, 0]) > LARGEST / 3


def test_a_plane_is_written_and_read_back() -> None:
    drawn = vectors(50)
    plane = fit({"text": moments(drawn)})
    again = Plane.from_dict(json.loads(json.dumps(plane.as_dict())))
    np.testing.assert_array_equal(plane.place("text", drawn), again.place("text", drawn))


def test_each_modality_is_placed_by_the_widest_space() -> None:
    one = {name: Space(name, 4, name) for name in ("bge", "clip", "clap")}
    sources = {
        "bge.text": one["bge"], "clip.text": one["clip"], "clip.image": one["clip"],
        "clap.text": one["clap"], "clap.audio": one["clap"],
    }  # fmt: skip
    assert chosen_sources(sources) == {
        "text": "clip.text", "image": "clip.image", "audio": "clap.audio",
    }  # fmt: skip


def test_points_inside_a_polygon_with_a_dent() -> None:
    version, polygon = parse_region("1f0c9d2a:0,0,100,0,100,100,50,20,0,100")
    assert version == "1f0c9d2a"
    points = np.array([[10, 10], [50, 10], [50, 60], [95, 60], [-5, 10], [110, 50]], np.int16)
    assert inside(polygon, points).tolist() == [True, True, False, True, False, False]


@pytest.mark.parametrize(
    "region", ["", "here", "1f0c9d2a:", "1f0c9d2a:1,2,3,4", "1f0c9d2a:1,2,3,4,5", "x:0,0,1,0,1,1"]
)
def test_what_is_not_a_region_is_refused(region: str) -> None:
    with pytest.raises(QueryError, match="is not a region"):
        parse_region(region)
