"""A server of the Model Context Protocol, with a library's search as tools.

`serve` runs it over stdin and stdout; `make_server` returns it for other transports.
Requires the official SDK: `pip install "trawl-multimodal[mcp]"`.
"""

from trawl.mcp.server import make_server, serve

__all__ = ["make_server", "serve"]
