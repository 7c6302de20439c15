"""The examples of the documentation are valid requests and responses."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from trawl.server import openapi
from trawl.server.errors import Problem, documented
from trawl.server.openapi import DETAILED_EXAMPLE, EXAMPLE
from trawl.server.schemas import LineBody, SearchBody
from trawl.server.uploads import Upload, metadata_object
from trawl.wire import DetailedResponse, SearchResponse

PAGE = (Path(__file__).parent.parent.parent / "docs" / "http.md").read_text("utf-8")
FILLED = {
    "<base64 of a picture>": "aGVsbG8=",
    "<base64>": "aGVsbG8=",
    "<id of a result>": "0" * 24 + ":0",
}


def commands() -> list[str]:
    text = PAGE
    for blank, filled in FILLED.items():
        text = text.replace(blank, filled)
    return re.findall(r"^curl (?:.*\\\n|.*'\{\n(?:.*\n)*?\}'|.*)+", text, re.MULTILINE)


def test_searches_in_the_documentation_are_valid() -> None:
    bodies = []
    for command in commands():
        if "<<" in command:
            continue
        for word in shlex.split(command.replace("\\\n", " ")):
            if word.startswith("metadata="):
                assert metadata_object(word.removeprefix("metadata="))
            elif word.startswith(("{", "query={")):
                bodies.append(SearchBody.model_validate_json(word.removeprefix("query=")).query())
    assert len(bodies) == 2
    assert bodies[0].options.where == "year >= 2015 and topic = 'physics'"


def test_documents_in_the_documentation_are_valid() -> None:
    found = re.search(r"<<'END'\n(.*?)END\n", PAGE, re.DOTALL)
    assert found is not None
    lines = found[1].replace("<base64>", FILLED["<base64>"]).splitlines()
    uploads = [Upload.from_line(LineBody.model_validate_json(line)) for line in lines]
    assert [one.name for one in uploads] == ["text.txt", "event.png"]
    assert uploads[0].sidecar == {"year": 1947, "title": "Kaon"}


def test_the_search_in_the_description_is_valid() -> None:
    found = re.search(r"-d '\n(.*?)'\n", openapi.DESCRIPTION, re.DOTALL)
    assert found is not None
    assert SearchBody.model_validate_json(found[1]).query().options.quotas


def test_example_responses_are_valid() -> None:
    assert set(EXAMPLE) == set(SearchResponse.model_fields)
    assert set(DETAILED_EXAMPLE) == set(DetailedResponse.model_fields)
    SearchResponse.model_validate(EXAMPLE)
    DetailedResponse.model_validate(DETAILED_EXAMPLE)
    statuses = (400, 401, 403, 404, 408, 409, 410, 412, 413, 415, 416, 422, 429, 503, 507)
    for status, response in documented(*statuses).items():
        example = response["content"]["application/problem+json"]["example"]
        assert Problem.model_validate(example).status == status
