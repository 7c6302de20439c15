"""Log lines of the server: for people, or one JSON object a line for programs.

Everything goes the same way, uvicorn's lines too: the parts log with `logging`, and
structlog adds what belongs to the request and writes the line.
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
    """Send what Trawl and uvicorn log to `stream`, stderr if it is None.

    `level` is a name of `logging`, in any case.
    """
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(form, colours=stream.isatty()))
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        # uvicorn's own "started" and "finished" say less than ours.
        logger.setLevel(level.upper() if name == "trawl" else "WARNING")


def formatter(form: LogFormat, *, colours: bool = False) -> logging.Formatter:
    """Give what makes a line of a log record, with what is bound to the request it is of."""
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
    """Put the fields in the order in which they are read."""
    if "exception" in event:
        event["traceback"] = event.pop("exception")
    first = ("time", "level", "logger", "message")
    ordered: dict[str, Any] = {name: event[name] for name in first if name in event}
    return ordered | {name: value for name, value in event.items() if name not in first}


def _short(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Leave out what the message says already."""
    for name in ("method", "path", "status", "logger"):
        event.pop(name, None)
    return event
