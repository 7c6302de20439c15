"""The full interface: composed queries, documents, chunks, counts."""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from served import asked, refused
from trawl.library import Library
from trawl.server import create_app


def png(colour: tuple[int, int, int]) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(out, "PNG")
    return out.getvalue()


def wav(seconds: float) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as tone:
        tone.setnchannels(1)
        tone.setsampwidth(2)
        tone.setframerate(16_000)
        samples = np.sin(np.arange(int(16_000 * seconds)) * 0.3) * 9_000
        tone.writeframes(samples.astype("<i2").tobytes())
    return out.getvalue()


RED, TONE = png((200, 20, 20)), wav(2)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("secret-place")
    for year in (2019, 2020, 2021):
        (folder / f"muon{year}.md").write_text(
            f"---\nyear: {year}\n---\n# Muons of {year}\n\nThe muon decays.\n", "utf-8"
        )
    (folder / "red.png").write_bytes(RED)
    (folder / "tone.wav").write_bytes(TONE)
    (folder / "broken.png").write_bytes(RED[:60])
    with Library(folder.parent / "lib", create=True) as library:
        assert len(library.add(folder).failed) == 1
        yield library


@pytest.fixture(scope="module")
def client(library: Library) -> Iterator[TestClient]:
    with asked(library) as client:
        yield client


def post(client: TestClient, body: dict[str, Any]) -> dict[str, Any]:
    response = client.post("/v1/search", json=body)
    assert response.status_code == 200, response.text
    assert "secret-place" not in response.text
    found: dict[str, Any] = response.json()
    return found


def sources(body: dict[str, Any]) -> list[str]:
    return [result["source"] for result in body["results"]]


def test_get_and_post_share_the_cache(client: TestClient) -> None:
    params = {"q": "muon year:>=2020", "limit": 2}
    got = client.get("/v1/search", params=params)
    assert got.status_code == 200, got.text
    posted = client.post("/v1/search", json=params)
    assert posted.headers["cache-status"] == "trawl; hit"
    assert posted.json()["results"] == got.json()["results"]
    assert set(sources(got.json())) == {"muon2020.md", "muon2021.md"}
    assert got.json()["took_ms"]["total"] > 0
    assert "<mark>" in got.json()["results"][0]["snippet"]


def test_plain_text_is_not_parsed(client: TestClient) -> None:
    assert sources(post(client, {"text": "muon -2020", "modalities": ["text"]})) != []
    assert "muon2020.md" not in sources(post(client, {"q": "muon -2020"}))
    assert "muon2020.md" not in sources(post(client, {"text": "muon", "excluded": ["2020"]}))
    assert sources(post(client, {"text": "muon", "required": ["2020"]})) == ["muon2020.md"]


@pytest.mark.parametrize("file", ["image:/etc/hostname", "audio:tone.wav", "x image:red.png^0.5"])
def test_a_line_cannot_open_files_of_the_server(client: TestClient, file: str) -> None:
    body = refused(client.get("/v1/search", params={"q": file}), 422, "query")
    assert "may not open" in body["detail"]
    refused(client.post("/v1/search", json={"q": file}), 422, "query")


def test_facets_sorting_and_cursors(client: TestClient) -> None:
    question = {"text": "muon", "modalities": ["text"], "sort": "-year", "facets": ["year"]}
    found = post(client, {**question, "limit": 2})
    assert sources(found) == ["muon2021.md", "muon2020.md"]
    (facet,) = found["facets"]
    assert facet["key"] == "year"
    assert {one["value"]: one["count"] for one in facet["counts"]} == {2019: 1, 2020: 1, 2021: 1}
    assert found["cursor"]
    after = post(client, {**question, "limit": 2, "cursor": found["cursor"]})
    assert sources(after) == ["muon2019.md"]
    assert after["cursor"] is None
    refused(client.post("/v1/search", json={"text": "x", "cursor": "nonsense"}), 422, "query")


def test_similar(client: TestClient) -> None:
    hit = post(client, {"text": "muon", "where": "year = 2020"})["results"][0]
    response = client.get(f"/v1/similar/{hit['id']}", params={"modality": "text"})
    assert response.status_code == 200, response.text
    assert set(sources(response.json())) == {"muon2019.md", "muon2021.md"}
    assert (
        post(client, {"like": hit["id"], "modalities": ["text"]})["results"]
        == (response.json()["results"])
    )
    refused(client.get(f"/v1/similar/{'0' * 24}:0"), 404, "not-found")


def test_pages_follow_each_other(client: TestClient) -> None:
    whole = post(client, {"text": "muon", "limit": 4})["results"]
    pages = [post(client, {"text": "muon", "limit": 2, "offset": o})["results"] for o in (0, 2)]
    assert [r["id"] for r in pages[0] + pages[1]] == [r["id"] for r in whole]


def test_modalities_narrow(client: TestClient) -> None:
    params = [("q", "red"), ("modality", "image"), ("modality", "audio")]
    found = client.get("/v1/search", params=params).json()
    assert set(sources(found)) <= {"red.png", "tone.wav"}
    assert set(sources(found)) == set(
        sources(post(client, {"text": "red", "modalities": ["image", "audio"]}))
    )


def test_fusion_and_weights_decide(client: TestClient) -> None:
    by_words = {"text": "2021", "modalities": ["text"], "fusion": "rrf"}
    first = post(client, {**by_words, "weights": {"mini.text": 0}})
    assert sources(first)[0] == "muon2021.md"
    other = post(client, {**by_words, "fusion": "weighted"})
    assert [r["score"] for r in other["results"]] != [r["score"] for r in first["results"]]


def test_a_picture_and_a_sound_in_json(client: TestClient) -> None:
    picture = base64.b64encode(RED).decode()
    sound = base64.b64encode(TONE).decode()
    assert sources(post(client, {"image": picture, "modalities": ["image"]})) == ["red.png"]
    assert sources(post(client, {"audio": sound, "modalities": ["audio"]})) == ["tone.wav"]
    together = post(client, {"text": "muon", "image": picture, "limit": 5})
    assert "red.png" in sources(together)


def test_a_sound_as_a_form(client: TestClient) -> None:
    response = client.post(
        "/v1/search/audio", files={"file": ("t.wav", TONE)}, data={"modality": ["audio"]}
    )
    assert response.status_code == 200, response.text
    assert sources(response.json()) == ["tone.wav"]
    refused(client.post("/v1/search/audio", files={"file": ("t.wav", RED)}), 415, "unreadable")


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({}, 422, "usage"),
        ({"text": ""}, 422, "invalid"),
        ({"text": " "}, 422, "query"),
        ({"text": "x" * 4001}, 422, "invalid"),
        ({"text": "x", "unknown": 1}, 422, "invalid"),
        ({"text": "x", "q": "x"}, 422, "usage"),
        ({"q": "x", "required": ["y"]}, 422, "usage"),
        ({"q": "(x"}, 422, "query"),
        ({"text": "x", "sort": "no_such_column"}, 422, "filter"),
        ({"text": "x", "facets": ["no_such_column"]}, 422, "filter"),
        ({"like": "../x"}, 422, "invalid"),
        ({"text": "x", "limit": 0}, 422, "invalid"),
        ({"text": "x", "limit": 1000, "offset": 1}, 422, "usage"),
        ({"text": "x", "weights": {"bm25": -1}}, 422, "invalid"),
        ({"text": "x", "where": "nonsense >"}, 422, "filter"),
        ({"text": "x", "where": "no_such_column = 1"}, 422, "filter"),
        ({"text": "x", "where": "1=1; DROP TABLE chunks"}, 422, "filter"),
        ({"text": "x", "fusion": "magic"}, 422, "invalid"),
        ({"image": "not base64!"}, 422, "invalid"),
        ({"image": base64.b64encode(b"text").decode()}, 415, "unreadable"),
        ({"image": ""}, 422, "invalid"),
        ({"audio": base64.b64encode(RED).decode()}, 415, "unreadable"),
    ],
)
def test_invalid_requests_are_refused(
    client: TestClient, body: dict[str, Any], status: int, kind: str
) -> None:
    refused(client.post("/v1/search", json=body), status, kind)


def test_a_body_that_is_not_json_is_refused(client: TestClient) -> None:
    headers = {"Content-Type": "application/json"}
    for content in (b"{", b"\xff\xfe", b"[]", b"null", b""):
        response = client.post("/v1/search", content=content, headers=headers)
        assert response.status_code in (400, 422)
        assert response.headers["content-type"] == "application/problem+json"


def test_documents_are_listed_in_pages(client: TestClient) -> None:
    first = client.get("/v1/documents", params={"limit": 4}).json()
    assert (first["total"], first["next_offset"]) == (6, 4)
    second = client.get("/v1/documents", params={"limit": 4, "offset": 4}).json()
    assert second["next_offset"] is None
    names = [document["source"] for document in first["documents"] + second["documents"]]
    assert names == [
        "broken.png",
        "muon2019.md",
        "muon2020.md",
        "muon2021.md",
        "red.png",
        "tone.wav",
    ]
    failed = client.get("/v1/documents", params={"failed": True}).json()
    assert [document["source"] for document in failed["documents"]] == ["broken.png"]
    assert "cannot be decoded" in failed["documents"][0]["error"]
    assert client.get("/v1/documents", params={"failed": False}).json()["total"] == 5


def test_a_document_is_shown_with_its_chunks(client: TestClient) -> None:
    hit = post(client, {"text": "muon", "where": "year = 2020"})["results"][0]
    document = client.get(f"/v1/documents/{hit['document_id']}").json()
    assert document["source"] == "muon2020.md"
    assert document["metadata"] == {"year": 2020}
    assert document["chunks"] == len(document["parts"]) == 1
    chunk = client.get(f"/v1/chunks/{hit['id']}").json()
    assert chunk == document["parts"][0]
    assert "The muon decays." in chunk["text"]


def test_missing_documents_are_not_found(client: TestClient) -> None:
    zero = "0" * 24
    refused(client.get(f"/v1/documents/{zero}"), 404, "not-found")
    refused(client.get(f"/v1/chunks/{zero}:0"), 404, "not-found")
    refused(client.delete(f"/v1/documents/{zero}"), 404, "not-found")
    hit = post(client, {"text": "muon"})["results"][0]
    refused(client.get(f"/v1/chunks/{hit['document_id']}:999"), 404, "not-found")


@pytest.mark.parametrize("name", ["muon2020.md", "..", "%2e%2e%2fmuon2020.md", "a' OR 1=1"])
def test_ids_are_not_paths(client: TestClient, name: str) -> None:
    assert client.get(f"/v1/documents/{name}").status_code in (404, 422)
    assert client.delete(f"/v1/documents/{name}").status_code in (404, 405, 422)


def test_stats(client: TestClient, library: Library) -> None:
    stats = client.get("/v1/stats").json()
    assert stats["documents"] == 5
    assert stats["failed"] == 1
    assert stats["columns"]["year"] == "integer"
    assert stats["spaces"][0]["name"] == "mini"
    assert stats["version"] == library.version
    assert stats["size_bytes"] == library.size_bytes() > 10_000
    assert stats["unindexed"] >= 0


def test_skipped_files_are_listed_with_reasons(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "kaon.txt").write_text("The kaon has a strange quark.", "utf-8")
    for name in ("old.doc", "data.parquet"):
        (folder / name).write_bytes(b"\0\1\2")
    with Library(tmp_path / "lib", create=True) as library:
        library.add(folder)
        with TestClient(create_app(library)) as client:
            found = client.get("/v1/skipped").json()
            assert {one["source"] for one in found["files"]} == {"old.doc", "data.parquet"}
            assert any(".docx" in one["reason"] for one in found["files"])
            assert client.get("/v1/skipped", params={"limit": 1}).json()["total"] == 2


def test_a_removed_document_is_gone_at_once(tmp_path: Path) -> None:
    (tmp_path / "kaon.txt").write_text("The kaon has a strange quark.", "utf-8")
    with Library(tmp_path / "lib", create=True, freshness_s=60) as library:
        library.add(tmp_path / "kaon.txt")
        with TestClient(create_app(library)) as client:
            hit = post(client, {"text": "kaon"})["results"][0]
            response = client.delete(f"/v1/documents/{hit['document_id']}")
            assert response.status_code == 204
            assert response.content == b""
            assert post(client, {"text": "kaon"})["results"] == []
            refused(client.delete(f"/v1/documents/{hit['document_id']}"), 404, "not-found")
    assert (tmp_path / "kaon.txt").exists()


def test_filters_alone_list_what_matches(client: TestClient) -> None:
    for params in ({"where": "year >= 2020"}, {"q": "year:>=2020"}):
        got = client.get("/v1/search", params={**params, "sort": "-year", "facet": "year"})
        assert got.status_code == 200, got.text
        assert sources(got.json()) == ["muon2021.md", "muon2020.md"]
        assert (got.json()["total"], got.json()["query"]) == (2, params.get("q", ""))
        assert [one["value"] for one in got.json()["facets"][0]["counts"]] == [2020, 2021]
    assert sources(post(client, {"modalities": ["image"]})) == ["red.png"]
    assert sources(post(client, {"required": ["2020"], "where": "year > 0"})) == ["muon2020.md"]
    assert post(client, {"text": "muon"})["total"] is None
    assert "where" in refused(client.get("/v1/search"), 422, "usage")["detail"]
    assert "where" in refused(client.post("/v1/search", json={"limit": 1}), 422, "usage")["detail"]
    listed = client.get("/v1/documents", params={"sort": "-year", "where": "year > 0", "limit": 2})
    assert [one["source"] for one in listed.json()["documents"]] == ["muon2021.md", "muon2020.md"]
    named = client.get("/v1/documents", params={"name": "red.png"}).json()
    assert (named["total"], named["documents"][0]["source"]) == (1, "red.png")
    refused(client.get("/v1/documents", params={"sort": "nothing"}), 422, "filter")
