"""What the pages on the interface tell people to send is what the server takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from trawl.server import docs
from trawl.server.arrivals import LineBody
from trawl.server.composed import SearchBody
from trawl.server.examples import DETAILED_EXAMPLE, EXAMPLE
from trawl.server.intake import metadata_object
from trawl.server.problems import Problem, documented
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


def test_questions_of_the_page_can_be_asked() -> None:
    asked = []
    for command in commands():
        if "<<" in command:
            continue
        for word in shlex.split(command.replace("\\\n", " ")):
            if word.startswith("metadata="):
                assert metadata_object(word.removeprefix("metadata="))
            elif word.startswith(("{", "query={")):
                asked.append(SearchBody.model_validate_json(word.removeprefix("query=")).ask())
    assert len(asked) == 2
    assert asked[0].where == "year >= 2015 and topic = 'physics'"


def test_lines_of_the_page_can_be_added() -> None:
    found = re.search(r"<<'END'\n(.*?)END\n", PAGE, re.DOTALL)
    assert found is not None
    lines = found[1].replace("<base64>", FILLED["<base64>"]).splitlines()
    arrivals = [LineBody.model_validate_json(line).arrival() for line in lines]
    assert [one.name for one in arrivals] == ["text.txt", "event.png"]
    assert arrivals[0].beside == {"year": 1947, "title": "Kaon"}


def test_the_question_on_the_first_page_can_be_asked() -> None:
    found = re.search(r"-d '\n(.*?)'\n", docs.DESCRIPTION, re.DOTALL)
    assert found is not None
    assert SearchBody.model_validate_json(found[1]).ask().quotas


def test_examples_of_answers_are_answers() -> None:
    assert set(EXAMPLE) == set(SearchResponse.model_fields)
    assert set(DETAILED_EXAMPLE) == set(DetailedResponse.model_fields)
    SearchResponse.model_validate(EXAMPLE)
    DetailedResponse.model_validate(DETAILED_EXAMPLE)
    statuses = (400, 401, 403, 404, 408, 409, 410, 412, 413, 415, 416, 422, 429, 503, 507)
    for status, response in documented(*statuses).items():
        example = response["content"]["application/problem+json"]["example"]
        assert Problem.model_validate(example).status == status
