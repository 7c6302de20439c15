"""Documents as they come over HTTP: files in a form, or lines of JSON."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, BinaryIO

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from trawl.server.intake import MOST_KEYS, metadata_object

MOST_FILES = 100
MOST_LINES = 1000
LINES = ("application/jsonl", "application/x-ndjson")
_METADATA_CHARACTERS = 100_000

Base64File = Annotated[Base64Bytes, Field(min_length=1)]
Line = Annotated[str, Field(min_length=1, max_length=1000)]


class LineBody(BaseModel):
    """A document in one line: exactly one of `text`, `image` and `audio`, and what it is about."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="A text.", examples=["A muon decays to an electron."]
    )
    image: Base64File | None = Field(None, description="A picture file in base64.")
    audio: Base64File | None = Field(None, description="A sound file in base64.")
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        None, description="The name of its file; `text.txt` and the like where there is none."
    )
    title: Line | None = Field(None, examples=["Muon decay"])
    caption: Annotated[str, Field(min_length=1, max_length=10_000)] | None = Field(
        None, description="The words that belong to a picture or a sound."
    )
    metadata: dict[str, Any] = Field(
        {}, max_length=MOST_KEYS, examples=[{"year": 2019, "tags": ["a", "b"]}]
    )

    @model_validator(mode="after")
    def _is_one(self) -> LineBody:
        if sum(one is not None for one in (self.text, self.image, self.audio)) != 1:
            raise ValueError("a document is exactly one of text, image and audio")
        return self

    def arrival(self) -> Arrival:
        """Give it as a file, with what goes beside it. Raises `UsageError` for its metadata."""
        beside = dict(metadata_object(json.dumps(self.metadata)))
        for key, value in (("title", self.title), ("caption", self.caption)):
            if value is not None:
                beside[key] = value
        if self.text is not None:
            data, name = self.text.encode("utf-8", "surrogatepass"), "text.txt"
        else:
            data, name = (self.image, "picture") if self.image else (self.audio or b"", "sound")
        return Arrival(io.BytesIO(data), self.name or name, beside)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file that came, the name that its sender has for it, and what is to lie beside it."""

    stream: BinaryIO
    name: str
    beside: Mapping[str, Any] = field(default_factory=dict)


@asynccontextmanager
async def arrivals(request: Request) -> AsyncIterator[tuple[list[Arrival], Mapping[str, Any]]]:
    """Read what came: the files, open as long as the context, and the metadata of all.

    Raises `RequestValidationError`, `UsageError`, and 415 for a body of another type.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in LINES:
        yield _lines(await request.body()), {}
    elif kind == "multipart/form-data":
        async with request.form(max_files=MOST_FILES + 1, max_fields=10) as form:
            files = [
                Arrival(one.file, one.filename or "")
                for name, one in form.multi_items()
                if name == "files" and isinstance(one, UploadFile)
            ]
            if not 1 <= len(files) <= MOST_FILES:
                raise _invalid("files", f"there are {len(files)} files, and 1 to {MOST_FILES} go")
            yield files, _metadata(form.get("metadata"))
    else:
        raise HTTPException(
            415, f"documents are multipart/form-data or {LINES[0]}, not {kind[:100] or 'untyped'}"
        )


def _metadata(given: Any) -> Mapping[str, Any]:
    if given is None or (isinstance(given, str) and not given.strip()):
        return {}
    if not isinstance(given, str) or len(given) > _METADATA_CHARACTERS:
        raise _invalid(
            "metadata", f"it is JSON of at most {_METADATA_CHARACTERS:,} characters, and no file"
        )
    return metadata_object(given)


def _lines(body: bytes) -> list[Arrival]:
    found: list[Arrival] = []
    for number, line in enumerate(body.splitlines(), start=1):
        if not line.strip():
            continue
        if len(found) == MOST_LINES:
            raise _invalid(str(number), f"at most {MOST_LINES:,} lines are taken at once")
        try:
            found.append(LineBody.model_validate_json(line).arrival())
        except ValidationError as error:
            raise RequestValidationError(
                [
                    {**one, "loc": ("body", number, *one["loc"])}
                    for one in error.errors(include_context=False)
                ]
            ) from error
    if not found:
        raise _invalid("1", "there is no line")
    return found


def _invalid(where: str, reason: str) -> RequestValidationError:
    return RequestValidationError([{"loc": ("body", where), "msg": reason, "type": "value_error"}])


def openapi_body() -> dict[str, Any]:
    """Describe the body for the OpenAPI document, which cannot be read off a signature."""
    file = {"type": "string", "format": "binary"}
    form = {
        "type": "object",
        "required": ["files"],
        "properties": {
            "files": {
                "type": "array",
                "items": file,
                "minItems": 1,
                "maxItems": MOST_FILES,
                "description": "Texts, Markdown, pictures and sounds; together at most "
                "`max_upload_bytes`.",
            },
            "metadata": {
                "type": "string",
                "maxLength": _METADATA_CHARACTERS,
                "description": "What to keep with every file, as a JSON object.",
                "examples": ['{"topic": "physics", "year": 2019}'],
            },
        },
    }
    line = {
        "type": "string",
        "description": f"Documents, one a line, at most {MOST_LINES:,}: the schema `LineBody`.",
    }
    example = (
        '{"text": "A muon decays to an electron.", "title": "Muon", "metadata": {"year": 1}}\n'
    )
    return {
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": form},
                **{kind: {"schema": line, "example": example} for kind in LINES},
            },
        }
    }


def openapi_schemas() -> dict[str, Any]:
    """Give the schemas that `openapi_body` names."""
    return {"LineBody": LineBody.model_json_schema()}
