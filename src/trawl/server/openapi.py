"""Describe the HTTP interface: the OpenAPI document, and `/docs`, a page that is served offline."""

from __future__ import annotations

import html
import json
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, Response

from trawl.server.errors import Problem
from trawl.server.schemas import MOST_FILES, MOST_LINES, MOST_METADATA, LineBody, SearchBody
from trawl.server.service import root_path

TITLE = "Trawl"
DESCRIPTION = """\
Search text, pictures and sound with queries of any kind. The response is **one ranked list** of
passages, figures and sound segments, with the evidence for each rank.

### Quick start
```
curl 'http://127.0.0.1:8000/search?query=decay+of+the+muon&top_k=5'
curl -F file=@figure.png 'http://127.0.0.1:8000/search-by-image'
curl -H 'Content-Type: application/json' http://127.0.0.1:8000/v1/search -d '
  {"text": "decay of the muon", "where": "year >= 2015",
   "parts": [{"text": "cosmic rays", "weight": -0.3}], "quotas": {"image": 3}}'
```
Each result has an `id` (a chunk: a passage, a picture or a sound segment), the `document_id`
it belongs to, a `score` from 0 to 1, and a `text_preview`, a `thumbnail_url` or a `media_url`.

### Errors
Every error is a problem document ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)):
`type` is a stable name for programs, `detail` explains the error and what to do about it, and
`request_id` (also the header `X-Request-ID`) identifies the request in the server's log.
After a 503 with `Retry-After`, retry the request.
"""
TAGS = [
    {"name": "Search", "description": "Search with text, pictures, sounds, or all of them."},
    {"name": "Documents", "description": "List documents and chunks, and get their files."},
    {"name": "Adding", "description": "Upload files, and watch the jobs that add them."},
    {"name": "Operation", "description": "Health and metrics, for operators."},
]

FORM_FIELD = "query"
LINES = ("application/jsonl", "application/x-ndjson")
_REF = "#/components/schemas/{model}"
_FILE = {"type": "string", "format": "binary"}

_ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
}
_CACHED = "public, max-age=86400"
_POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'"
_STYLE = """\
body{margin:0 auto;max-width:1100px;background:#fff}
.swagger-ui .topbar{display:none}
.swagger-ui .info{margin:30px 0 20px}
.swagger-ui .info hgroup.main a{display:none}
.swagger-ui .info p,.swagger-ui .info li{font-size:15px;line-height:1.55}
.swagger-ui .scheme-container{padding:12px 0;box-shadow:none;border-bottom:1px solid #e4e7eb}
.swagger-ui .markdown code,.swagger-ui .renderedMarkdown code{color:#243b53;background:#eef2f6;
font-weight:500;font-size:13px;padding:1px 4px;border-radius:3px}
.swagger-ui .markdown pre,.swagger-ui .renderedMarkdown pre{background:#f5f7fa;padding:10px 14px;
border-radius:5px;overflow-x:auto}
.swagger-ui .markdown pre code,.swagger-ui .renderedMarkdown pre code{background:none;padding:0;
line-height:1.6}
.swagger-ui .opblock .opblock-summary-path{font-size:14px}
.swagger-ui .opblock-tag{font-size:20px}
.swagger-ui section.models{margin-bottom:40px}
"""

_SEARCHES = {
    "words": {
        "summary": "Text",
        "value": {"text": "decay of the muon", "modalities": ["text", "image"], "limit": 5},
    },
    "parts": {
        "summary": "Several parts, one of them negative",
        "value": {
            "parts": [
                {"text": "decay of the muon"},
                {"like": "1f0c9d2a7be84c55a1d0e3f2:0", "weight": 0.5},
                {"text": "cosmic rays", "weight": -0.3},
            ],
            "where": "year >= 2015",
            "facets": ["year"],
        },
    },
    "list": {
        "summary": "Quotas for modalities",
        "value": {"q": "muon -cosmic year:>=2015", "quotas": {"image": 3}, "per_document": 2},
    },
}
EXAMPLE: dict[str, Any] = {
    "query": "muon decay",
    "results": [
        {
            "rank": 1,
            "id": "1f0c9d2a7be84c55a1d0e3f2:0",
            "document_id": "1f0c9d2a7be84c55a1d0e3f2",
            "modality": "image",
            "score": 0.93,
            "title": "Decay curve of the muon",
            "source": "muon_decay.png",
            "text_preview": "Decay times of stopped muons, with a fit of 2.2 µs.",
            "snippet": "<mark>Decay</mark> times of stopped <mark>muons</mark>, "
            "with a fit of 2.2 µs.",
            "thumbnail_url": "/chunks/1f0c9d2a7be84c55a1d0e3f2:0/thumbnail",
            "media_url": "/v1/chunks/1f0c9d2a7be84c55a1d0e3f2:0/media",
            "detail": "640 × 480 px",
            "span": {},
            "metadata": {"topic": "physics", "year": 2019},
            "evidence": [
                {
                    "source": "mini.image",
                    "rank": 1,
                    "similarity": 0.41,
                    "calibrated": 2.6,
                }
            ],
            "moments": [],
            "places": [],
            "gone": False,
        }
    ],
    "total_hits": 1,
    "query_time_ms": 6.4,
    "no_good_match": False,
    "confidence": 0.91,
    "notices": [],
    "more": 0,
    "libraries": [],
}
"""A response for the documentation, with its keys in the order of the schema."""

DETAILED_EXAMPLE: dict[str, Any] = {
    **EXAMPLE,
    "cursor": "v12-10",
    "version": 12,
    "total": None,
    "facets": [{"key": "year", "counts": [{"value": 2019, "count": 1}]}],
    "took_ms": {"encode": 0.4, "sources": 4.0, "fuse": 0.6, "hydrate": 1.1, "total": 6.1},
}


def search_body() -> dict[str, Any]:
    """Return the request body of `POST /v1/search`, which is JSON or a form."""
    schema = {"$ref": _REF.format(model="SearchBody")}
    form = {
        "type": "object",
        "properties": {FORM_FIELD: schema},
        "additionalProperties": {
            **_FILE,
            "description": "A picture or a sound, in a field of any name.",
        },
    }
    encoding = {FORM_FIELD: {"contentType": "application/json"}}
    return _body(
        {
            "application/json": {"schema": schema, "examples": _SEARCHES},
            "multipart/form-data": {"schema": form, "encoding": encoding},
        }
    )


def documents_body() -> dict[str, Any]:
    """Return the request body of `POST /v1/documents`, which is a form or lines of JSON."""
    form = {
        "type": "object",
        "required": ["files"],
        "properties": {
            "files": {
                "type": "array",
                "items": _FILE,
                "minItems": 1,
                "maxItems": MOST_FILES,
                "description": "Text, Markdown, PDF, picture and sound files; at most "
                "`max_upload_bytes` together.",
            },
            "metadata": {
                "type": "string",
                "maxLength": MOST_METADATA,
                "description": "Metadata of all files, as a JSON object.",
                "examples": ['{"topic": "physics", "year": 2019}'],
            },
        },
    }
    line = {
        "type": "string",
        "description": f"One document per line, at most {MOST_LINES:,}: the schema `LineBody`.",
    }
    example = (
        '{"text": "A muon decays to an electron.", "title": "Muon", "metadata": {"year": 1}}\n'
    )
    return _body(
        {
            "multipart/form-data": {"schema": form},
            **{kind: {"schema": line, "example": example} for kind in LINES},
        }
    )


def metadata_body(media_types: tuple[str, ...], max_keys: int) -> dict[str, Any]:
    """Return the request body of a metadata change, a JSON merge patch."""
    schema = {
        "type": "object",
        "maxProperties": max_keys,
        "examples": [{"year": 2020, "topic": None}],
    }
    return _body({media_type: {"schema": schema} for media_type in media_types})


def _body(content: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": content}}


def install(app: FastAPI, *, has_keys: bool) -> None:
    """Serve `/docs`, and complete the OpenAPI document."""
    _complete(app, has_keys)

    @app.get("/docs", include_in_schema=False)
    async def page(request: Request) -> HTMLResponse:
        base = html.escape(root_path(request))
        return HTMLResponse(
            f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{TITLE}: the HTTP interface</title>
<link rel="stylesheet" href="{base}/docs/assets/swagger-ui.css">
<link rel="icon" href="data:,">
<style>{_STYLE}</style>
</head>
<body>
<div id="page"></div>
<script src="{base}/docs/assets/swagger-ui-bundle.js"></script>
<script src="{base}/docs/start.js"></script>
</body>
</html>
""",
            headers={"Content-Security-Policy": _POLICY},
        )

    @app.get("/docs/start.js", include_in_schema=False)
    async def start(request: Request) -> Response:
        options = {
            "url": f"{root_path(request)}/openapi.json",
            "dom_id": "#page",
            "deepLinking": True,
            "defaultModelsExpandDepth": 0,
            "docExpansion": "list",
            "displayRequestDuration": True,
        }
        return Response(f"SwaggerUIBundle({json.dumps(options)});\n", media_type="text/javascript")

    @app.get("/docs/assets/{name}", include_in_schema=False)
    async def asset(name: str) -> Response:
        if name not in _ASSETS:
            return HTMLResponse(status_code=404)
        return FileResponse(
            _asset(name), media_type=_ASSETS[name], headers={"Cache-Control": _CACHED}
        )


def _asset(name: str) -> Path:
    # Swagger UI from a package: FastAPI's own page loads it from the internet, to which a
    # private server may have no access.
    with as_file(files("fastapi_offline") / "static" / name) as path:
        return path


def _complete(app: FastAPI, has_keys: bool) -> None:
    """Add the schemas that FastAPI cannot infer, and remove those that are not used."""
    build = app.openapi

    def openapi() -> dict[str, object]:
        if app.openapi_schema is None:
            document = build()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            for model in (Problem, SearchBody, LineBody):
                schema = model.model_json_schema(ref_template=_REF)
                schemas.update({**schema.pop("$defs", {}), model.__name__: schema})
            # Set here, since pydantic would sort their keys.
            schemas["SearchResponse"]["example"] = EXAMPLE
            schemas["DetailedResponse"]["example"] = DETAILED_EXAMPLE
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            if not has_keys:
                document["components"].pop("securitySchemes", None)
                for operations in document["paths"].values():
                    for operation in operations.values():
                        operation.pop("security", None)
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]
