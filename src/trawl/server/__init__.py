"""The HTTP interface of a library. `run` serves one; `create_app` gives the application.

Neither is imported before it is asked for: the process that watches over several that
serve needs none of what they do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trawl.server.app import create_app
    from trawl.server.serve import run

__all__ = ["create_app", "run"]


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name == "create_app":
        from trawl.server.app import create_app

        return create_app
    if name == "run":
        from trawl.server.serve import run

        return run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
