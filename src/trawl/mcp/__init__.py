"""A library for assistants: its search as tools of the Model Context Protocol.

`serve` speaks the protocol over stdin and stdout, by the official SDK
(`pip install "trawl-multimodal[mcp]"`); `make_server` gives the server for any other transport.
"""

from trawl.mcp.server import Asked, make_server, serve

__all__ = ["Asked", "make_server", "serve"]
