"""Serve a library over HTTP. `run` serves one; `create_app` returns the ASGI application.

Both are imported on first use: the supervisor of several processes needs neither FastAPI nor
the library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trawl.server.app import create_app
    from trawl.server.serve import run

__all__ = ["create_app", "run"]


def __getattr__(name: str) -> Any:
    if name == "create_app":
        from trawl.server.app import create_app

        return create_app
    if name == "run":
        from trawl.server.serve import run

        return run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
