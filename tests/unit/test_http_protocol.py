"""What a connection writes in one step of the event loop is sent at once."""

from __future__ import annotations

import asyncio

from trawl.server.http_protocol import Joining


class Sent(asyncio.Transport):
    """A transport that keeps what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes | str] = []
        self.closing = False

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def write_eof(self) -> None:
        self.sent.append("eof")

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True


def test_a_head_and_a_body_are_sent_together_and_in_order() -> None:
    async def write() -> Sent:
        inner = Sent()
        joined = Joining(inner, asyncio.get_running_loop())
        joined.write(b"head ")
        joined.write(b"body")
        assert inner.sent == []
        await asyncio.sleep(0)
        joined.write(b"next")
        joined.write_eof()
        joined.write(b"x" * 70_000)
        joined.write(b"last")
        joined.close()
        joined.write(b"after the end")
        await asyncio.sleep(0)
        return inner

    inner = asyncio.run(write())
    assert inner.sent == [b"head body", b"next", "eof", b"x" * 70_000, b"last"]
    assert inner.closing
