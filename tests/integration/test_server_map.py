"""The map: computed by a process of its own, kept current, and regions of it as filters."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from conftest import write_collection
from served import asked, refused
from trawl.library import Library
from trawl.library.mapping import FILE, compute_map
from trawl.library.projection import LARGEST, inside
from trawl.server import create_app
from trawl.settings import load_settings
from trawl.store import snapshot as snapshots

EVERYWHERE = ",".join(map(str, (-LARGEST, -LARGEST, LARGEST, -LARGEST, LARGEST, LARGEST)))
EVERYWHERE += f",{-LARGEST - 1},{LARGEST + 1}"


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    write_collection(tmp_path / "collection")
    with Library(tmp_path / "lib", create=True, freshness_s=0) as opened:
        opened.add(tmp_path / "collection")
        yield opened


@pytest.fixture
def client(library: Library) -> Iterator[TestClient]:
    with asked(library) as client:
        yield client


def current(client: TestClient) -> dict[str, Any]:
    """Return the state of the map once it is ready."""
    until = time.monotonic() + 60
    while (state := client.get("/v1/map").json())["state"] == "computing":
        assert time.monotonic() < until
        assert 0 <= state["progress"] <= 1
        time.sleep(0.05)
    assert state["state"] == "ready", state
    return state


def points_of(client: TestClient) -> tuple[np.ndarray, np.ndarray]:
    body = client.get("/v1/map/points").content
    count = len(body) // 5
    numbers = np.frombuffer(body[: 4 * count], "<i2").reshape(2, count).T
    return numbers, np.frombuffer(body[4 * count :], np.uint8)


def test_the_map_is_computed_when_it_is_first_asked_for(
    client: TestClient, library: Library
) -> None:
    client.get("/v1/search?q=muon")
    assert not (library.path / FILE).exists()
    refused(client.get("/v1/map/points"), 404, "not-found")
    assert client.get("/v1/map").json()["state"] == "computing"
    state = current(client)
    assert state["counts"] == library.status().chunks
    points, kinds = points_of(client)
    assert len(points) == state["points"] == sum(state["counts"].values())
    assert [int((kinds == n).sum()) for n in range(3)] == list(state["counts"].values())
    again = client.get("/v1/map/points", headers={"If-None-Match": f'"{state["tag"]}"'})
    assert again.status_code == 304


def test_points_lead_to_chunks_and_chunks_to_points(client: TestClient) -> None:
    state = current(client)
    hit = client.get("/v1/search?q=muon").json()["results"][0]
    asked_for = {"tag": state["tag"], "id": [hit["id"]]}
    indexes = client.get("/v1/map/chunks", params=asked_for).json()["indexes"]
    found = client.get(
        "/v1/map/chunks", params={"tag": state["tag"], "at": [indexes[hit["id"]], 10**6]}
    ).json()
    (one,) = found["chunks"]
    assert one["chunk"]["id"] == hit["id"]
    refused(client.get("/v1/map/chunks", params={"tag": "old", "at": [0]}), 410, "gone")


def test_new_documents_are_placed_and_the_projection_stays(
    client: TestClient, library: Library, tmp_path: Path
) -> None:
    before = current(client)
    (tmp_path / "new.txt").write_text("A pion decays to a muon.", "utf-8")
    library.add(tmp_path / "new.txt")
    stale = client.get("/v1/map").json()
    assert stale["points"] == before["points"]  # the earlier points stay usable
    after = current(client)
    assert after["points"] == before["points"] + 1
    assert after["version"] == before["version"]
    assert after["tag"] != before["tag"]
    for n in range(120):
        (tmp_path / "collection" / f"{n}.txt").write_text(f"Number {n} of many.", "utf-8")
    library.add(tmp_path / "collection")
    assert current(client)["version"] != before["version"]
    region = f"{before['version']}:{EVERYWHERE}"
    problem = refused(client.post("/v1/search", json={"map": region}), 422, "query")
    assert "draw the region again" in problem["detail"]


@pytest.mark.parametrize("is_listed", [True, False])
def test_a_region_filters_like_brute_force(
    client: TestClient, library: Library, monkeypatch: pytest.MonkeyPatch, is_listed: bool
) -> None:
    if not is_listed:
        monkeypatch.setattr(snapshots, "_MAX_LISTED", 0)
    state = current(client)
    known = library.map()
    assert known is not None
    corners = [(-30_000, -30_000), (int(np.median(known.points[:, 0])), 30_000), (0, -30_000)]
    region = f"{state['version']}:" + ",".join(f"{x},{y}" for x, y in corners)
    expected = {
        name.decode()
        for name, is_in in zip(
            known.ids, inside(np.array(corners, float), known.points), strict=True
        )
        if is_in
    }
    assert 0 < len(expected) < len(known.ids)
    body = {"text": "muon river", "map": region, "limit": 100, "all": True, "per_document": 0}
    found = client.post("/v1/search", json=body).json()["results"]
    assert {one["id"] for one in found} == expected
    everything = client.post(
        "/v1/search", json=body | {"map": f"{state['version']}:{EVERYWHERE}"}
    ).json()["results"]
    assert len(everything) > len(found)
    listed = client.get("/v1/search", params={"map": region, "limit": 100}).json()
    assert {one["document_id"] for one in listed["results"]} == {
        one.partition(":")[0] for one in expected
    }
    assert listed["total"] == len(listed["results"])


def test_a_region_needs_a_map_and_corners(client: TestClient) -> None:
    search = {"text": "muon", "map": f"1f0c9d2a:{EVERYWHERE}"}
    assert "no map yet" in refused(client.post("/v1/search", json=search), 422, "query")["detail"]
    search["map"] = "here"
    assert "is not a region" in client.post("/v1/search", json=search).json()["detail"]


def test_reading_the_map_needs_a_key(library: Library) -> None:
    key = {"sha256": "0" * 64, "scopes": ["read"]}
    settings = load_settings(library.path, api_keys={"reader": key})
    with TestClient(create_app(library, settings)) as client:
        for path in ("/v1/map", "/v1/map/points", "/v1/map/chunks?tag=x"):
            assert client.get(path).status_code == 401
    assert not (library.path / FILE).exists()


def test_one_process_computes_and_others_leave_it_alone(library: Library) -> None:
    from filelock import FileLock

    with FileLock(library.path / ".map.lock"):
        assert compute_map(library.location, library.work_dir, library.sources) is None
    made = compute_map(library.location, library.work_dir, library.sources)
    again = compute_map(library.location, library.work_dir, library.sources)
    assert made is not None
    assert again is not None
    assert made.tag == again.tag
    assert library.map() is not None


def test_a_damaged_map_is_computed_again(client: TestClient, library: Library) -> None:
    current(client)
    (library.path / FILE).write_bytes(b"PK damaged")
    assert current(client)["points"] > 0


def test_an_empty_library_has_an_empty_map(tmp_path: Path) -> None:
    with Library(tmp_path / "empty", create=True) as library, asked(library) as client:
        state = current(client)
        assert state["points"] == 0
        assert client.get("/v1/map/points").content == b""
