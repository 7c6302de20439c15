"""The HTTP interface of a library. `run` serves one; `create_app` gives the application."""

from trawl.server.app import create_app
from trawl.server.running import run

__all__ = ["create_app", "run"]
