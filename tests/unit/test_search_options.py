"""`SearchOptions`: one definition for Python, HTTP, the command line and the cache."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Query
from fastapi.testclient import TestClient

from trawl.errors import UsageError
from trawl.search import SearchKeywords, SearchOptions, search_options

FIELDS = SearchOptions.model_fields


def test_every_option_is_described() -> None:
    assert [name for name, field in FIELDS.items() if not field.description] == []


def test_the_keywords_are_the_fields() -> None:
    # `where` is an argument of its own in Python, since it may be a parsed filter there.
    assert SearchKeywords.__annotations__.keys() == FIELDS.keys() - {"where"}


def test_none_stands_for_the_default() -> None:
    assert search_options(**dict.fromkeys(SearchKeywords.__annotations__)) == SearchOptions()


def test_changes_apply_to_given_options() -> None:
    given = search_options(modality="image", limit=3, quotas={"image": 2})
    changed = search_options(given, limit=4, sort="-year")
    assert changed == search_options(modality=["image"], limit=4, quotas={"image": 2}, sort="-year")
    assert search_options(given) is given
    with pytest.raises(UsageError, match="at most the limit, 1"):
        search_options(given, limit=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0}, "limit 0: must be at least 1"),
        ({"limit": 1001}, "limit 1001: must be at most 1000"),
        ({"offset": -1}, "offset -1: must be at least 0"),
        ({"limit": 600, "offset": 600}, "limit 600 and offset 600: together they must be at most"),
        ({"modality": "video"}, "modality 'video': must be 'text', 'image' or 'audio'"),
        ({"fusion": "best"}, "fusion 'best': must be 'calibrated', 'rrf' or 'weighted'"),
        ({"weights": {"bm25": -1}}, "weights.bm25 -1: must be at least 0"),
        ({"weights": {"bm25": math.inf}}, "weights.bm25 inf: must be a finite number"),
        ({"rrf_k": math.nan}, "rrf_k nan: must be a finite number"),
        ({"diversity": 1.5}, "diversity 1.5: must be at most 1"),
        ({"per_document": -1}, "per_document -1: must be at least 0"),
        ({"quotas": {"video": 2}}, "quotas 'video': must be 'text', 'image' or 'audio'"),
        ({"quotas": {"text": -1}}, "quotas.text -1: must be at least 0"),
        ({"quotas": {"text": 9, "image": 2}}, "quotas image=2, text=9: together they must be"),
        ({"quotas": {"text": 1}, "balance": True}, "balance and quotas exclude each other"),
        ({"facets": "year"}, "facets 'year': input should be a valid tuple"),
        ({"limits": 3}, "unknown search option 'limits'; options are: modality, where, map"),
    ],
)
def test_invalid_options_are_usage_errors(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        search_options(**options)
    assert str(caught.value).startswith(message)


def test_equal_options_have_one_cache_key() -> None:
    one = search_options(modality=["text", "image"], weights={"a": 1, "b": 2}, limit=10)
    other = search_options(modality={"image", "text"}, weights={"b": 2.0, "a": 1.0})
    assert one.cache_key() == other.cache_key()
    assert one.cache_key() != search_options(modality="text").cache_key()
    assert SearchOptions().cache_key() == "{}"


def test_the_cache_key_is_the_same_in_every_process() -> None:
    code = (
        "from trawl.search import search_options as o;"
        "print(o(modality=['audio','text','image'], quotas={'text': 1, 'audio': 2}).cache_key())"
    )
    keys = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(keys) == 1


def test_a_web_framework_reads_them_from_a_query_string_and_from_json() -> None:
    app = FastAPI()

    @app.get("/")
    def read(options: Annotated[SearchOptions, Query()]) -> str:
        return options.cache_key()

    @app.post("/")
    def read_json(options: SearchOptions) -> str:
        return options.cache_key()

    expected = '{"modality":["image","audio"],"limit":3,"balance":true,"facets":["a","b"]}'
    with TestClient(app) as client:
        line = "/?modality=audio&modality=image&limit=3&balance=true&facets=a&facets=b"
        assert client.get(line).json() == expected
        body = {"modality": ["image", "audio"], "limit": 3, "balance": True, "facets": ["a", "b"]}
        assert client.post("/", json=body).json() == expected
        assert client.get("/?limit=0").status_code == 422
        described = client.get("/openapi.json").json()["paths"]["/"]["get"]["parameters"]
        assert {one["name"]: one["description"] for one in described}["limit"] == (
            FIELDS["limit"].description
        )
