"""`/docs`: the interface as a page to read and to try, with nothing fetched from elsewhere."""

from __future__ import annotations

import html
import json
from importlib.resources import as_file, files
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, Response

from trawl.server import arrivals, composed
from trawl.server.examples import DETAILED_EXAMPLE, EXAMPLE
from trawl.server.problems import Problem
from trawl.server.service import root_path

TITLE = "Trawl"
DESCRIPTION = """\
One search box for text, pictures and sound. A query of any kind brings back the passages,
figures and moments that answer it, in **one list**, with the reason for every place.

### In one minute
```
curl 'http://127.0.0.1:8000/search?query=decay+of+the+muon&top_k=5'
curl -F file=@figure.png 'http://127.0.0.1:8000/search-by-image'
curl -H 'Content-Type: application/json' http://127.0.0.1:8000/v1/search -d '
  {"text": "decay of the muon", "where": "year >= 2015",
   "parts": [{"text": "cosmic rays", "weight": -0.3}], "quotas": {"image": 3}}'
```
Each result has an `id` (a chunk: a passage, a picture or a window of sound), the `document_id`
it belongs to, a `score` from 0 to 1, and a `text_preview`, a `thumbnail_url` or a `media_url`.

### Errors
Every error is a problem document ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)):
`type` is stable and for programs, `detail` is for people and says what to do next, and
`request_id` (also the header `X-Request-ID`) finds the request in the server's log.
A 503 with `Retry-After` means that asking again helps.
"""
TAGS = [
    {"name": "Search", "description": "Ask with words, pictures, sounds, or all of them at once."},
    {"name": "Documents", "description": "What is in the library, and what was found in it."},
    {"name": "Adding", "description": "Upload files, and watch how they are added."},
    {"name": "Operation", "description": "For those who run the server."},
]

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


def install(app: FastAPI, *, asks_for_keys: bool) -> None:
    """Serve the page, and put what FastAPI cannot know into the OpenAPI document."""
    _complete_openapi(app, asks_for_keys)

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
    # The package is used for its copy of Swagger UI alone: FastAPI's own page loads that from
    # a network that the reader of a private library may not have, or may not want to tell.
    with as_file(files("fastapi_offline") / "static" / name) as path:
        return path


def _complete_openapi(app: FastAPI, asks_for_keys: bool) -> None:
    """Name the problem document once, and take out what does not hold for this server."""
    build = app.openapi

    def openapi() -> dict[str, object]:
        if app.openapi_schema is None:
            document = build()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(problem.pop("$defs", {}))
            schemas["Problem"] = problem
            schemas.update({**composed.openapi_schemas(), **arrivals.openapi_schemas()})
            # Set here, since pydantic would put their keys in alphabetical order.
            schemas["SearchResponse"]["example"] = EXAMPLE
            schemas["DetailedResponse"]["example"] = DETAILED_EXAMPLE
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            if not asks_for_keys:
                document["components"].pop("securitySchemes", None)
                for operations in document["paths"].values():
                    for operation in operations.values():
                        operation.pop("security", None)
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]
