"""The whole composed query over HTTP: parts with weights, as JSON and as a form."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient
from PIL import Image

from served import asked
from trawl.library import Library
from trawl.search import QueryPart
from trawl.server import create_app
from trawl.settings import load_settings

COLOURS = {"red": (220, 20, 20), "blue": (10, 10, 220), "green": (20, 200, 30)}


def png(colour: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 48), COLOURS[colour]).save(out, "PNG")
    return out.getvalue()


def wav(frequency_hz: float) -> bytes:
    samples = 0.3 * np.sin(2 * np.pi * frequency_hz * np.arange(32_000) / 16_000)
    out = io.BytesIO()
    soundfile.write(out, samples, 16_000, format="WAV")
    return out.getvalue()


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("things")
    for colour in COLOURS:
        (folder / f"{colour}.png").write_bytes(png(colour))
    (folder / "muon.txt").write_text("The mean life of the muon is 2.2 microseconds.", "utf-8")
    (folder / "life.txt").write_text("A life of mean streets, and of a muonn in none.", "utf-8")
    (folder / "beep.wav").write_bytes(wav(1000))
    with Library(tmp_path_factory.mktemp("composed") / "lib", create=True) as library:
        assert library.add(folder).failed == ()
        yield library


@pytest.fixture(scope="module")
def client(library: Library) -> Iterator[TestClient]:
    with asked(library) as client:
        yield client


def found(response: Any) -> list[tuple[str, float]]:
    assert response.status_code == 200, response.text
    return [(one["source"], one["score"]) for one in response.json()["results"]]


def refused(response: Any, status: int, said: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert said in response.json()["detail"]


def picture(colour: str) -> Image.Image:
    return Image.open(io.BytesIO(png(colour)))


def test_parts_are_those_of_the_library(client: TestClient, library: Library) -> None:
    chunk_id = library.search("muon", modality="text").hits[0].chunk_id
    body = {
        "parts": [
            {"text": "mean life"},
            {"image": base64_of(png("red")), "weight": 0.5},
            {"like": chunk_id, "weight": -0.25},
        ],
        "phrases": ["mean life"],
        "fuzzy": [{"word": "muon", "letters": 1}],
    }
    parts = [
        QueryPart("text", "mean life"),
        QueryPart("image", picture("red"), 0.5),
        library.like(chunk_id, -0.25),
    ]
    answer = library.search(parts=parts, phrases=["mean life"], fuzzy=[("muon", 1)])
    expected = [(hit.uri.rpartition("/")[2], pytest.approx(hit.score)) for hit in answer.hits]
    assert expected
    # The order of parts that are words, and of those that are media, is no part of the answer.
    assert sorted(found(client.post("/v1/search", json=body))) == sorted(expected)


def test_a_negative_part_leads_away(client: TestClient) -> None:
    near = {"image": base64_of(png("red"))}
    plain = found(client.post("/v1/search", json={"parts": [near], "modalities": ["image"]}))
    away = {"image": base64_of(png("blue")), "weight": -1}
    moved = found(
        client.post(
            "/v1/search", json={"parts": [near, away], "modalities": ["image"], "all": True}
        )
    )
    assert plain[0][0] == moved[0][0] == "red.png"
    assert moved[-1][0] == "blue.png"
    refused(client.post("/v1/search", json={"parts": [away]}), 422, "negative weight")


def test_a_form_is_the_same_query(client: TestClient) -> None:
    options = {"modalities": ["image"], "limit": 3}
    as_json = client.post(
        "/v1/search",
        json={
            **options,
            "parts": [
                {"image": base64_of(png("red"))},
                {"image": base64_of(png("green")), "weight": -0.5},
            ],
        },
    )
    as_form = client.post(
        "/v1/search",
        files={"near": ("a.bin", png("red")), "far": ("b", png("green"))},
        data={"query": json.dumps({**options, "parts": [{"file": "far", "weight": -0.5}]})},
    )
    assert found(as_form) == [(name, pytest.approx(score)) for name, score in found(as_json)]
    assert as_form.headers["cache-status"] == "trawl; fwd=bypass"


def test_the_type_of_a_file_is_detected_by_content(client: TestClient) -> None:
    response = client.post("/v1/search", files={"x": ("x.png", wav(1000), "image/png")})
    assert found(response)[0][0] == "beep.wav"
    refused(
        client.post("/v1/search", files={"x": ("x.png", b"no picture", "image/png")}),
        415,
        "not a picture",
    )


def test_a_line_and_media_go_together(client: TestClient) -> None:
    body = {"q": "modality:image", "parts": [{"image": base64_of(png("green"))}]}
    assert found(client.post("/v1/search", json=body))[0][0] == "green.png"


def test_words_in_parts_are_cached(client: TestClient) -> None:
    body = {"parts": [{"text": "mean   life", "weight": 2}]}
    assert client.post("/v1/search", json=body).headers["cache-status"].startswith("trawl; fwd")
    body["parts"][0]["text"] = "mean life"
    assert client.post("/v1/search", json=body).headers["cache-status"] == "trawl; hit"
    body["parts"][0]["weight"] = 3
    assert client.post("/v1/search", json=body).headers["cache-status"].startswith("trawl; fwd")


def test_phrases_and_misspelt_words_match(client: TestClient) -> None:
    plain = dict(found(client.post("/v1/search", json={"text": "mean life"})))
    phrase = dict(
        found(client.post("/v1/search", json={"text": "mean life", "phrases": ["mean life"]}))
    )
    gap = plain["muon.txt"] - plain["life.txt"]
    assert phrase["muon.txt"] - phrase["life.txt"] >= gap

    def by_words(body: dict[str, Any]) -> set[str]:
        results = client.post("/v1/search", json=body).json()["results"]
        return {
            one["source"]
            for one in results
            if any(line["source"] == "bm25" for line in one["evidence"])
        }

    assert by_words({"text": "xyzzy"}) == set()
    fuzzy = {"text": "xyzzy", "fuzzy": [{"word": "strets", "letters": 1}]}
    assert by_words(fuzzy) == {"life.txt"}


def test_quotas(client: TestClient) -> None:
    body = {"text": "red", "limit": 4, "quotas": {"image": 3, "text": 1}}
    response = client.post("/v1/search", json=body)
    modalities = [one["modality"] for one in response.json()["results"]]
    assert sorted(modalities) == ["image", "image", "image", "text"]
    body = {"text": "red", "limit": 3, "interleave": True}
    dealt = [one["modality"] for one in client.post("/v1/search", json=body).json()["results"]]
    assert len(set(dealt)) == 3


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 422, "query is empty"),
        ({"parts": [{}]}, 422, "exactly one"),
        ({"parts": [{"text": "a", "like": "0" * 24 + ":0"}]}, 422, "exactly one"),
        ({"parts": [{"text": "a", "weight": 0}]}, 422, "weight 0"),
        ({"parts": [{"text": "a", "weight": 101}]}, 422, "body.parts.0.weight"),
        ({"parts": [{"text": "a"}] * 17}, 422, "body.parts"),
        ({"parts": [{"file": "plot"}]}, 422, "no such field"),
        ({"parts": [{"like": "0" * 24 + ":0"}]}, 404, "no chunk"),
        ({"parts": [{"image": "%%%"}]}, 422, "body.parts.0.image"),
        ({"q": "muon", "phrases": ["a b"]}, 422, "with q"),
        ({"text": "a", "rerank": "../../models/x"}, 422, "body.rerank"),
        ({"text": "a", "rerank": "no-such-model"}, 422, "no-such-model"),
        ({"text": "a", "rrf_k": -1}, 422, "body.rrf_k"),
        ({"text": "a", "quotas": {"video": 1}}, 422, "body.quotas.video"),
    ],
)
def test_invalid_bodies_are_explained(
    client: TestClient, body: dict[str, Any], status: int, said: str
) -> None:
    refused(client.post("/v1/search", json=body), status, said)


def test_other_content_is_refused(client: TestClient) -> None:
    text = {"Content-Type": "text/plain"}
    refused(client.post("/v1/search", content=b"muon", headers=text), 415, "text/plain")
    refused(client.post("/v1/search", content=b"muon"), 415, "untyped")
    as_json = {"Content-Type": "application/json"}
    refused(client.post("/v1/search", content=b"{", headers=as_json), 422, "body")
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    refused(client.post("/v1/search", content=b"--y\r\n", headers=form), 400, "multipart")
    refused(
        client.post("/v1/search", files={"a": ("a", png("red"))}, data={"limit": "3"}),
        422,
        "'limit' is not a file",
    )


def test_the_body_is_in_the_openapi_document(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    content = document["paths"]["/v1/search"]["post"]["requestBody"]["content"]
    assert set(content) == {"application/json", "multipart/form-data"}
    assert {"SearchBody", "PartBody", "FuzzyBody"} <= set(document["components"]["schemas"])


def test_one_file_may_have_the_size_of_an_upload(library: Library) -> None:
    settings = load_settings(library.path, rate_limit="", max_upload_bytes=1000)
    with TestClient(create_app(library, settings)) as client:
        large = png("red") + b"\0" * 1000
        refused(client.post("/v1/search", files={"a": ("a", large)}), 413, "at most 1,000")
