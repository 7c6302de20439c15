"""Files, facets and changes over HTTP."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient
from PIL import Image

from served import refused
from trawl.library import Library
from trawl.server import create_app
from trawl.settings import load_settings

SECOND = 16_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "secret-place"
    folder.mkdir()
    (folder / "muon.md").write_text("---\nyear: 2019\n---\n# Muon\n\nThe muon decays.\n", "utf-8")
    Image.new("RGB", (64, 48), (200, 20, 20)).save(folder / "red ☕.png")
    samples = 0.3 * np.sin(np.arange(30 * SECOND) * 0.3)
    soundfile.write(folder / "tone.wav", samples.astype(np.float32), SECOND)
    return folder


@pytest.fixture
def client(tmp_path: Path, folder: Path) -> Iterator[TestClient]:
    with Library(tmp_path / "lib", create=True, freshness_s=0) as library:
        assert library.add(folder).failed == ()
        settings = load_settings(library.path, rate_limit="")
        with TestClient(create_app(library, settings)) as client:
            yield client


def result(client: TestClient, modality: str) -> dict[str, Any]:
    found = client.get("/v1/search", params={"q": "muon", "modality": modality}).json()
    first: dict[str, Any] = found["results"][0]
    return first


@pytest.mark.parametrize(
    ("modality", "name", "content_type"),
    [
        ("text", "muon.md", "text/markdown; charset=utf-8"),
        ("image", "red ☕.png", "image/png"),
        ("audio", "tone.wav", "audio/wav"),
    ],
)
def test_the_original_file_is_returned(
    client: TestClient, folder: Path, modality: str, name: str, content_type: str
) -> None:
    chunk = client.get(f"/v1/chunks/{result(client, modality)['id']}").json()
    response = client.get(chunk["media_url"])
    assert response.status_code == 200
    assert response.content == (folder / name).read_bytes()
    assert response.headers["content-type"] == content_type
    assert response.headers["content-disposition"].startswith("inline; filename*=UTF-8''")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in response.headers["content-security-policy"]
    assert "script-src" not in response.headers["content-security-policy"]
    head = client.head(chunk["media_url"])
    assert (head.status_code, head.content) == (200, b"")
    for header in ("etag", "last-modified", "content-length", "content-type", "accept-ranges"):
        assert head.headers[header] == response.headers[header]


def test_ranges_of_a_sound(client: TestClient, folder: Path) -> None:
    found = result(client, "audio")
    address, _, window = found["media_url"].partition("#")
    span = found["span"]
    assert window == f"t={span['start_s']:g},{span['end_s']:g}"
    assert result(client, "text")["media_url"] is None
    whole = (folder / "tone.wav").read_bytes()
    size = len(whole)
    for asked, start, end in (
        ("bytes=0-0", 0, 1),
        ("bytes=100-299", 100, 300),
        ("bytes=100-", 100, size),
        ("bytes=-44", size - 44, size),
        (f"bytes=0-{size * 2}", 0, size),
        (f"bytes=-{size * 2}", 0, size),
    ):
        response = client.get(address, headers={"Range": asked})
        assert response.status_code == 206, asked
        assert response.content == whole[start:end], asked
        assert response.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
        assert response.headers["content-length"] == str(end - start)
    for passed_over in ("bytes=5-2", "bytes=0-1,3-4", "lines=1-2", "bytes=", "bytes=-"):
        assert client.get(address, headers={"Range": passed_over}).status_code == 200
    for none in (f"bytes={size}-", "bytes=-0"):
        response = client.get(address, headers={"Range": none})
        refused(response, 416, "range")
        assert response.headers["content-range"] == f"bytes */{size}"


def test_conditional_requests(client: TestClient) -> None:
    address = result(client, "image")["media_url"]
    first = client.get(address)
    tag, time = first.headers["etag"], first.headers["last-modified"]
    for condition in ({"If-None-Match": tag}, {"If-Modified-Since": time}):
        again = client.get(address, headers=condition)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    old = {"If-Modified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"}
    for condition in ({"If-None-Match": '"other"', "If-Modified-Since": time}, old):
        assert client.get(address, headers=condition).status_code == 200
    part = {"Range": "bytes=0-9"}
    assert client.get(address, headers={**part, "If-Range": tag}).status_code == 206
    assert client.get(address, headers={**part, "If-Range": time}).status_code == 206
    assert client.get(address, headers={**part, "If-Range": '"other"'}).status_code == 200


def test_a_changed_file_is_gone(client: TestClient, folder: Path, tmp_path: Path) -> None:
    address = result(client, "image")["media_url"]
    file = folder / "red ☕.png"
    good, seen = file.read_bytes(), file.stat()
    file.write_bytes(bytes(len(good)))
    refused(client.get(address), 410, "gone")
    os.utime(file, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    file.write_bytes(good + b"\0")
    os.utime(file, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    refused(client.get(address), 410, "gone")
    file.unlink()
    refused(client.get(address), 410, "gone")
    secret = tmp_path / "secret"
    secret.write_bytes(good)
    os.utime(secret, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    file.symlink_to(secret)
    refused(client.get(address), 410, "gone")
    refused(client.get(f"/v1/chunks/{'0' * 24}:0/media"), 404, "not-found")
    refused(client.get("/v1/chunks/..%2f..%2fetc%2fpasswd/media"), 404, "no-such-address")


def test_a_touched_file_is_returned_after_it_is_added_again(
    client: TestClient, folder: Path
) -> None:
    address = result(client, "image")["media_url"]
    os.utime(folder / "red ☕.png", (1_000_000_000, 1_000_000_000))
    refused(client.get(address), 410, "gone")
    library = client.app.state.service.library  # type: ignore[attr-defined]
    assert library.add(folder).unchanged == 3
    assert client.get(address).status_code == 200


def test_a_repeated_upload_stays_readable(client: TestClient) -> None:
    out = io.BytesIO()
    Image.new("RGB", (80, 80), (1, 2, 250)).save(out, "PNG")
    for _ in range(2):
        sent = client.post("/v1/documents", files={"files": ("blue.png", out.getvalue())})
        with client.stream("GET", sent.headers["location"] + "/events") as events:
            assert events.read().count(b'"done"') >= 1
        document_id = sent.json()["files"][0]["document_id"]
        parts = client.get(f"/v1/documents/{document_id}").json()["parts"]
        assert client.get(parts[0]["media_url"]).content == out.getvalue()


def test_thumbnails_have_two_addresses(client: TestClient) -> None:
    chunk_id = result(client, "image")["id"]
    both = [client.get(f"{at}/chunks/{chunk_id}/thumbnail") for at in ("", "/v1")]
    assert both[0].content == both[1].content
    assert both[0].headers["etag"] == both[1].headers["etag"]


def test_metadata_is_changed(client: TestClient) -> None:
    document_id = result(client, "text")["document_id"]
    address = f"/v1/documents/{document_id}"
    before = client.get(address)
    assert before.json()["metadata"] == {"year": 2019}
    merge = {"Content-Type": "application/merge-patch+json"}
    changed = client.patch(address, content=b'{"year": null, "tags": ["a"]}', headers=merge)
    assert changed.status_code == 200, changed.text
    assert changed.json()["metadata"] == {"tags": ["a"]}
    assert client.get(address).headers["etag"] == changed.headers["etag"] != before.headers["etag"]
    assert result(client, "text")["metadata"] == {"tags": ["a"]}
    stale = {"If-Match": before.headers["etag"]}
    refused(client.patch(address, json={"x": 1}, headers=stale), 412, "changed")
    fresh = {"If-Match": f'"other", {changed.headers["etag"]}'}
    assert client.patch(address, json={"x": 1}, headers=fresh).status_code == 200
    other_type = client.patch(address, json={"x": "text"})
    assert other_type.status_code == 200, other_type.text
    assert other_type.json()["metadata"] == {"tags": ["a"], "x": "text"}
    refused(client.patch(address, json={"x": {"y": 1}}), 422, "usage")
    refused(client.patch(address, json=[1]), 422, "usage")
    refused(client.patch(address, content=b"x=1"), 415, "unreadable")
    refused(client.patch(f"/v1/documents/{'0' * 24}", json={"x": 1}), 404, "not-found")


def test_facets_with_and_without_a_query(client: TestClient) -> None:
    def counted(**params: Any) -> dict[str, list[dict[str, Any]]]:
        response = client.get("/v1/facets", params=params)
        assert response.status_code == 200, response.text
        return {one["key"]: one["counts"] for one in response.json()["facets"]}

    assert counted(key=["year", "modality"]) == {
        "year": [{"value": 2019, "count": 1}],
        "modality": [{"value": one, "count": 1} for one in ("audio", "image", "text")],
    }
    assert counted(key="modality", where="year = 2019") == {
        "modality": [{"value": "text", "count": 1}]
    }
    assert counted(key="year", q="muon modality:text")["year"] == [{"value": 2019, "count": 1}]
    assert counted(key="year", modality="audio")["year"] == []
    refused(client.get("/v1/facets", params={"key": "colour"}), 422, "filter")
    refused(client.get("/v1/facets"), 422, "invalid")


def test_documents_are_filtered(client: TestClient) -> None:
    body = client.get("/v1/documents", params={"where": "year = 2019"}).json()
    assert [one["source"] for one in body["documents"]] == ["muon.md"]
    assert (body["total"], body["next_offset"]) == (1, None)
    body = client.get("/v1/documents", params={"limit": 2}).json()
    assert (len(body["documents"]), body["total"], body["next_offset"]) == (2, 3, 2)
    refused(client.get("/v1/documents", params={"where": "colour = 1"}), 422, "filter")
