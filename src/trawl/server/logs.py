"""Log lines of the server: for people, or one JSON object a line for programs."""

from __future__ import annotations

import datetime
import json
import logging
import sys
from typing import Literal

LogFormat = Literal["console", "json"]

_FIELDS = ("request_id", "method", "path", "status", "took_ms", "job_id")
_LOGGERS = ("trawl", "uvicorn")


class ConsoleFormatter(logging.Formatter):
    """`10:15:02 INFO GET /search 200 (4.1 ms, 5f0c6e0b)`, then the traceback where there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Give the line with what the record has beside its message."""
        line = super().formatMessage(record)
        took_ms = getattr(record, "took_ms", None)
        beside = [f"{took_ms} ms"] if took_ms is not None else []
        beside += [
            getattr(record, name) for name in ("request_id", "job_id") if name in vars(record)
        ]
        return f"{line} ({', '.join(beside)})" if beside else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, and what belongs to it."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        line = {
            "time": _utc(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in _FIELDS if name in vars(record)}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def _utc(seconds: float) -> str:
    time = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def configure(form: LogFormat, level: str) -> None:
    """Send what Trawl and uvicorn log to stderr; `level` is a name of `logging`, in any case."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else ConsoleFormatter())
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        # uvicorn's own "started" and "finished" say less than ours.
        logger.setLevel(level.upper() if name == "trawl" else "WARNING")
