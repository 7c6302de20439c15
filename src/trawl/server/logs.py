"""Configure logging: lines for people, or one JSON object per line for programs.

All parts and uvicorn log with `logging`; structlog adds the fields of the request and formats
the line.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import IO, Any, Literal

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

LogFormat = Literal["console", "json"]

_LOGGERS = ("trawl", "uvicorn")


def configure(form: LogFormat, level: str, stream: IO[str] | None = None) -> None:
    """Log Trawl and uvicorn to `stream`, stderr by default.

    `level` is a level name of `logging`, in any case.
    """
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(form, colours=stream.isatty()))
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        # uvicorn's own messages about starting and stopping repeat ours.
        logger.setLevel(level.upper() if name == "trawl" else "WARNING")


def formatter(form: LogFormat, *, colours: bool = False) -> logging.Formatter:
    """Return the formatter of log records, which adds the fields of the request."""
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.ExtraAdder(),
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
    ]
    if form == "json":
        last: list[Processor] = [
            structlog.processors.TimeStamper("iso", utc=True, key="time"),
            structlog.processors.EventRenamer("message"),
            structlog.processors.format_exc_info,
            _named,
            structlog.processors.JSONRenderer(json.dumps, ensure_ascii=False),
        ]
    else:
        last = [
            structlog.processors.TimeStamper("%H:%M:%S", utc=False),
            _short,
            structlog.dev.ConsoleRenderer(
                colors=colours, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    return structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        foreign_pre_chain=before,
    )


def _named(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Put the fields in a readable order."""
    if "exception" in event:
        event["traceback"] = event.pop("exception")
    first = ("time", "level", "logger", "message")
    ordered: dict[str, Any] = {name: event[name] for name in first if name in event}
    return ordered | {name: value for name, value in event.items() if name not in first}


def _short(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Remove fields that the message repeats."""
    for name in ("method", "path", "status", "logger"):
        event.pop(name, None)
    return event
