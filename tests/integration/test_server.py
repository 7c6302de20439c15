"""The HTTP interface over a real library, in this process."""

from __future__ import annotations

import io
import logging
import re
import shutil
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from served import asked
from trawl.library import Library
from trawl.server import create_app
from trawl.settings import load_settings

MUON = "The muon decays into an electron and two neutrinos. <b>Its</b> lifetime is 2.2 µs."


def png(width: int = 64, height: int = 48, colour: tuple[int, int, int] = (200, 20, 20)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "PNG", pnginfo=PngInfo())
    return out.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secret-place")
    (folder / "muon.txt").write_text(MUON, "utf-8")
    (folder / "gel.md").write_text(
        "---\nyear: 2021\nmeasured: 2021-03-04\n---\n# Gels\n\nDNA moves through a gel.\n", "utf-8"
    )
    (folder / "red.png").write_bytes(png())
    (folder / "blue.png").write_bytes(png(colour=(10, 10, 220)))
    with wave.open(str(folder / "tone.wav"), "wb") as tone:
        tone.setnchannels(1)
        tone.setsampwidth(2)
        tone.setframerate(16_000)
        wave_ = np.sin(np.arange(32_000) * 0.3) * 9_000
        tone.writeframes(wave_.astype("<i2").tobytes())
    return folder


@pytest.fixture(scope="module")
def library(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    path = tmp_path_factory.mktemp("hidden-root") / "lib"
    with Library(path, create=True) as library:
        assert library.add(folder).failed == ()
        yield library


@pytest.fixture(scope="module")
def client(library: Library) -> Iterator[TestClient]:
    with asked(library) as client:
        yield client


def problem(response: Any, status: int, kind: str) -> dict[str, Any]:
    """Check that a response is a problem document of a kind, and return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["type"] == f"urn:problem:trawl:{kind}"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == response.headers["x-request-id"]
    assert not re.search(
        r"hidden-root|secret-place|trawl-upload|Traceback|site-packages|/tmp", str(body)
    )
    return body


def test_one_search_finds_all_modalities(client: TestClient) -> None:
    response = client.get("/search", params={"query": "muon red tone"})
    assert response.status_code == 200
    body = response.json()
    assert body["query"] == "muon red tone"
    assert body["total_hits"] == len(body["results"])
    assert body["query_time_ms"] > 0
    assert {result["modality"] for result in body["results"]} == {"text", "image", "audio"}
    scores = [result["score"] for result in body["results"]]
    assert scores == sorted(scores, reverse=True)


def test_a_passage_has_a_plain_preview(client: TestClient) -> None:
    body = client.get("/search", params={"query": "muon", "modality": "text"}).json()
    first = body["results"][0]
    assert first["text_preview"] == MUON
    assert first["source"] == "muon.txt"
    assert first["thumbnail_url"] is None
    assert first["id"].startswith(first["document_id"] + ":")
    assert first["span"]["start_char"] == 0
    assert {"bm25", "mini.text"} <= {line["source"] for line in first["evidence"]}


def test_metadata_is_json(client: TestClient) -> None:
    results = client.get("/search", params={"query": "gel", "modality": "text"}).json()["results"]
    found = next(result for result in results if result["source"] == "gel.md")
    assert found["metadata"]["year"] == 2021
    assert found["metadata"]["measured"] == "2021-03-04"


def test_responses_contain_no_server_paths(client: TestClient) -> None:
    text = client.get("/search", params={"query": "muon gel"}).text
    assert "secret-place" not in text
    assert "hidden-root" not in text


@pytest.mark.parametrize("modality", ["text", "image", "audio"])
def test_modality_narrows(client: TestClient, modality: str) -> None:
    body = client.get("/search", params={"query": "red", "modality": modality}).json()
    assert {result["modality"] for result in body["results"]} == {modality}


def test_modality_all_is_no_filter(client: TestClient) -> None:
    every = client.get("/search", params={"query": "red", "modality": "all"}).json()
    plain = client.get("/search", params={"query": "red"}).json()
    assert [r["id"] for r in every["results"]] == [r["id"] for r in plain["results"]]


def test_top_k_bounds_the_list(client: TestClient) -> None:
    body = client.get("/search", params={"query": "muon", "top_k": 1}).json()
    assert body["total_hits"] == len(body["results"]) == 1


@pytest.mark.parametrize(
    ("params", "where"),
    [
        ({}, "query.query"),
        ({"query": ""}, "query.query"),
        ({"query": "x" * 501}, "query.query"),
        ({"query": "x", "top_k": 0}, "query.top_k"),
        ({"query": "x", "top_k": 101}, "query.top_k"),
        ({"query": "x", "top_k": "many"}, "query.top_k"),
        ({"query": "x", "modality": "video"}, "query.modality"),
        ({"query": "x", "use_cache": "perhaps"}, "query.use_cache"),
    ],
)
def test_bad_parameters_are_named(client: TestClient, params: dict[str, Any], where: str) -> None:
    body = problem(client.get("/search", params=params), 422, "invalid")
    assert [error["where"] for error in body["errors"]] == [where]
    assert "x" * 501 not in str(body)


def test_a_query_of_spaces_is_a_problem(client: TestClient) -> None:
    body = problem(client.get("/search", params={"query": "   "}), 422, "query")
    assert "empty" in body["detail"]


@pytest.mark.parametrize(
    "query", ["'; DROP TABLE chunks; --", "a AND (b OR", '"', "\\", "\x00", "💥" * 500, "%", "*"]
)
def test_special_characters_are_plain_text(client: TestClient, query: str) -> None:
    assert client.get("/search", params={"query": query}).status_code == 200


def test_a_picture_finds_itself(client: TestClient) -> None:
    response = client.post(
        "/search-by-image",
        files={"file": ("mine.png", png(), "image/png")},
        data={"modality": "image", "top_k": "1"},
    )
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["query"] == "mine.png"
    assert [result["source"] for result in body["results"]] == ["red.png"]


def test_the_picture_form_is_validated(client: TestClient) -> None:
    body = problem(client.post("/search-by-image", data={"top_k": "3"}), 422, "invalid")
    assert body["errors"][0]["where"] == "body.file"
    files = {"file": ("mine.png", png(), "image/png")}
    wrong = client.post("/search-by-image", files=files, data={"top_k": "1000"})
    assert problem(wrong, 422, "invalid")["errors"][0]["where"] == "body.top_k"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"just words", "not a picture"),
        (b"", "empty"),
        (png()[:60], "cannot be decoded"),
        (b"%PDF-1.7\n\x00\x01\x02", "not a picture"),
    ],
)
def test_other_files_than_pictures_are_refused(
    client: TestClient, content: bytes, said: str
) -> None:
    files = {"file": ("../../etc/passwd.png", content, "image/png")}
    body = problem(client.post("/search-by-image", files=files), 415, "unreadable")
    assert said in body["detail"]


def test_a_thumbnail_is_a_cacheable_jpeg(client: TestClient) -> None:
    body = client.get("/search", params={"query": "red", "modality": "image"}).json()
    address = body["results"][0]["thumbnail_url"]
    response = client.get(address)
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(response.content)).format == "JPEG"
    tag = response.headers["etag"]
    assert "max-age" in response.headers["cache-control"]
    for given in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = client.get(address, headers={"If-None-Match": given})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["etag"] == tag
    assert client.get(address, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_missing_thumbnail_is_not_found(client: TestClient) -> None:
    text = client.get("/search", params={"query": "muon", "modality": "text"}).json()["results"][0]
    problem(client.get(f"/chunks/{text['id']}/thumbnail"), 404, "not-found")
    problem(client.get(f"/chunks/{'0' * 24}:0/thumbnail"), 404, "not-found")
    problem(client.get("/chunks/'; DROP TABLE/thumbnail"), 422, "invalid")


def test_health_has_counts(client: TestClient, library: Library) -> None:
    for _ in range(200):
        response = client.get("/health")
        if response.status_code == 200:
            break
    assert response.json() == {
        "status": "ok",
        "documents": 5,
        "chunks": dict(library.status().chunks),
        "model_ready": True,
    }


def test_unknown_addresses_and_methods_are_problems(client: TestClient) -> None:
    problem(client.get("/nothing"), 404, "no-such-address")
    response = client.delete("/search")
    problem(response, 405, "method")
    assert response.headers["allow"] == "GET, HEAD"


def test_a_valid_request_id_is_kept_and_a_bad_one_replaced(client: TestClient) -> None:
    good = client.get("/health", headers={"X-Request-ID": "mine-1.2_3"})
    assert good.headers["x-request-id"] == "mine-1.2_3"
    for bad in ("a b", "x" * 65, "<script>", ""):
        given = client.get("/health", headers={"X-Request-ID": bad}).headers["x-request-id"]
        assert re.fullmatch(r"[0-9a-f]{32}", given)


def test_every_response_has_the_security_headers(client: TestClient) -> None:
    for path in ("/search?query=muon", "/health", "/nothing", "/docs"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src" in headers["content-security-policy"]


def test_an_unexpected_error_is_a_500_without_its_message(
    library: Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError(f"at {library.path}")

    with TestClient(create_app(library)) as client:
        monkeypatch.setattr(library, "search", broken)
        with caplog.at_level(logging.ERROR, "trawl"):
            response = client.get("/search", params={"query": "muon"})
    body = problem(response, 500, "internal")
    assert any(vars(record).get("request_id") == body["request_id"] for record in caplog.records)


def test_a_broken_library_is_reported_without_its_path(tmp_path: Path) -> None:
    path = tmp_path / "hidden-root"
    with Library(path, create=True) as library, TestClient(create_app(library)) as client:
        while path.exists():  # the server may be making a file there at the same time
            shutil.rmtree(path, ignore_errors=True)
        health = client.get("/health")
        assert health.status_code == 503
        assert health.json()["status"] == "failed"
        assert health.json()["documents"] is None
        response = client.get(f"/chunks/{'0' * 24}:0/thumbnail")
        assert response.status_code >= 500
        assert "hidden-root" not in response.text


def test_the_log_has_no_query(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "trawl"):
        client.get("/search", params={"query": "unmistakable"})
    lines = [record.getMessage() for record in caplog.records]
    assert any("/search" in line for line in lines)
    assert not any("unmistakable" in line for line in lines)


def test_a_large_upload_is_refused(library: Library) -> None:
    settings = load_settings(library.path, max_upload_bytes=10_000)
    files = {"file": ("mine.png", b"\x89PNG\r\n\x1a\n" + b"x" * 10_001, "image/png")}
    with TestClient(create_app(library, settings)) as client:
        body = problem(client.post("/search-by-image", files=files), 413, "too-large")
        assert "10,000" in body["detail"]


def test_openapi_documents_the_responses_of_the_routes(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert {"/search", "/search-by-image", "/health"} <= set(document["paths"])
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (path, method)
            assert operation["description"], (path, method)
            for parameter in operation.get("parameters", []):
                assert parameter["description"], (path, parameter["name"])
    text = str(document)
    for name in set(re.findall(r"#/components/schemas/(\w+)", text)):
        assert name in document["components"]["schemas"]
    assert "HTTPValidationError" not in text


def test_the_documentation_page_needs_no_network(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    for address in re.findall(r'(?:src|href)="(/[^"]+)"', page.text):
        assert client.get(address).status_code == 200
    assert "http" not in re.sub(r"<title>.*?</title>", "", page.text)
    assert client.get("/docs/assets/..%2f__init__.py").status_code == 404


@pytest.mark.parametrize(
    ("quick", "usual"),
    [
        ("query=muon", "query=muon&use_cache=yes"),
        ("query=muon&top_k=3&modality=image", "query=muon&top_k=03&modality=image"),
        ("query=na%C3%AFve%20%20caf%C3%A9+", "query=na%C3%AFve%20%20caf%C3%A9+&use_cache=1"),
        ("top_k=100&use_cache=false&query=river", "top_k=100&use_cache=0&query=river"),
    ],
)
def test_the_quick_route_responds_as_the_usual_one(
    client: TestClient, quick: str, usual: str
) -> None:
    (first, second) = (client.get(f"/search?{query}") for query in (quick, usual))
    assert first.status_code == second.status_code == 200
    bodies = [response.json() | {"query_time_ms": 0} for response in (first, second)]
    assert bodies[0] == bodies[1]
    assert [*first.json()] == [*second.json()]
    assert [*first.headers] == [*second.headers]


@pytest.mark.parametrize(
    "query",
    ["", "query=", "query=a&query=b", "query=a&top_k=0", "query=a&top_k=101", "query=a&limit=3",
     "query=a&modality=video", "query=a&use_cache=maybe", f"query={'a' * 501}"],
)  # fmt: skip
def test_the_quick_route_leaves_errors_to_the_usual_one(client: TestClient, query: str) -> None:
    response = client.get(f"/search?{query}")
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
