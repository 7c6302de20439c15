"""Serve the page at `/` and `/ui`, and its files under an address that changes with them."""

from __future__ import annotations

import hashlib
import html
import re
from functools import partial
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from trawl.server.files import etag, matches
from trawl.server.service import root_path

ADDRESSES = ("/", "/ui")
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_NAME = re.compile(r"[a-z]+\.(?:js|css|svg)")
_FOLDERS = ("", "vendor/")
# The address of a file has the hash of all of them, so that a copy is never out of date.
_CACHED = "public, max-age=31536000, immutable"
_UNCACHED = "no-cache"
# Scripts and styles come from files only. Pictures and sounds are blobs if they need a key.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)


def install(app: FastAPI, *, development: bool = False) -> None:
    """Serve the page and its files. They need no key: the page asks for one.

    `development` adds `/ui/tokens`, which shows the design tokens.
    """
    folder = files("trawl") / "web"
    assets = {
        f"{part}{one.name}": one.read_bytes()
        for part in _FOLDERS
        for one in (folder / part).iterdir()
        if _NAME.fullmatch(one.name)
    }
    version = _version(folder, assets)
    add = partial(_add_page, app, version)
    for address in ADDRESSES:
        add(address, (folder / "index.html").read_text("utf-8"))
    if development:
        add("/ui/tokens", (folder / "tokens.html").read_text("utf-8"))

    @app.get("/ui/{of}/{name:path}", include_in_schema=False)
    async def asset(of: str, name: str) -> Response:
        """Return a file of the page. A page that is still open may have an earlier version."""
        if name not in assets:
            raise HTTPException(404)
        cached = _CACHED if of == version else _UNCACHED
        media_type = _TYPES[name[name.rindex(".") :]]
        return Response(assets[name], media_type=media_type, headers={"Cache-Control": cached})


def _add_page(app: FastAPI, version: str, address: str, template: str) -> None:
    async def page(request: Request) -> Response:
        """Return the page."""
        base = html.escape(f"{root_path(request)}/ui/{version}")
        body = template.replace("{{base}}", base).encode()
        headers = {
            "ETag": etag(body),
            "Cache-Control": _UNCACHED,
            "Content-Security-Policy": _POLICY,
        }
        if matches(request.headers.get("if-none-match", ""), headers["ETag"]):
            return Response(status_code=304, headers=headers)
        return Response(body, media_type="text/html", headers=headers)

    app.add_api_route(address, page, methods=["GET"], include_in_schema=False)


def _version(folder: Traversable, assets: dict[str, bytes]) -> str:
    digest = hashlib.sha256((folder / "index.html").read_bytes())
    for name, body in sorted(assets.items()):
        digest.update(f"{name} {len(body)} ".encode() + body)
    return digest.hexdigest()[:16]
