"""Trawl's exceptions.

::

    TrawlError
    ├── UsageError                 invalid request                     exit 2, HTTP 422
    │   ├── QueryError             empty, too long, or undecodable query
    │   ├── FilterError            invalid filter, or unknown column
    │   └── SettingsError          unknown setting, or value out of range
    ├── NotFoundError              no such path, document or chunk     exit 1, HTTP 404
    │   └── GoneError              the document's file changed or is gone   exit 1, HTTP 410
    ├── ReadError                  a file cannot be read or indexed    exit 3, HTTP 415
    │   └── MetadataError          its metadata does not fit the library    exit 3, HTTP 422
    ├── LibraryError               the library cannot be used          exit 1, HTTP 503
    │   ├── LibraryMissingError    no library at this path
    │   ├── StorageError           its object store cannot be used, or failed
    │   ├── LibraryReadOnlyError   its directory cannot be written     exit 1, HTTP 403
    │   ├── LibraryLockedError     another process is writing          exit 1, HTTP 409
    │   │   └── LeaseLostError     another process took over writing   exit 1, HTTP 409
    │   └── SpaceMismatchError     made with another model             exit 1, HTTP 409
    ├── EngineError            a cluster cannot be used for adding     exit 1, HTTP 503
    ├── ModelError                 model files missing or damaged      exit 1, HTTP 503
    └── OverloadedError            too many requests; retry later      exit 1, HTTP 503

Each message states what happened, where, and what to do next. The command line exits
with ``exit_code`` and the server responds with ``http_status``; a class without its own
inherits its parent's.
"""

from typing import ClassVar


class TrawlError(Exception):
    """Base class of every exception that Trawl raises on purpose."""

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500


class UsageError(TrawlError):
    """Invalid request. Retrying it unchanged fails again."""

    exit_code = 2
    http_status = 422


class QueryError(UsageError):
    """The query is empty or too long, or its image or audio cannot be decoded."""


class FilterError(UsageError):
    """The filter has a syntax error or names an unknown column."""


class SettingsError(UsageError):
    """A setting, option or environment variable is unknown or out of range."""


class NotFoundError(TrawlError):
    """No such path, document or chunk."""

    http_status = 404


class GoneError(NotFoundError):
    """A document's file no longer exists, or changed since it was added."""

    http_status = 410


class ReadError(TrawlError):
    """One file cannot be read or indexed. `add` reports the file and continues."""

    exit_code = 3
    http_status = 415


class MetadataError(ReadError):
    """One file's metadata does not fit the library's columns."""

    http_status = 422


class LibraryError(TrawlError):
    """The library cannot be used."""

    http_status = 503


class LibraryMissingError(LibraryError):
    """There is no library at this path."""


class StorageError(LibraryError):
    """The object store of the library does not answer, or refuses. Retrying may succeed."""


class LibraryReadOnlyError(LibraryError):
    """The place of the library cannot be written; searching it works."""

    http_status = 403


class LibraryLockedError(LibraryError):
    """Another process is writing to the library."""

    http_status = 409
    retry_after_s: ClassVar[int] = 2


class LeaseLostError(LibraryLockedError):
    """Another process took over the lease of the writer, which was paused or cut off."""


class SpaceMismatchError(LibraryError):
    """The library was made with another model, whose vectors cannot be compared."""

    http_status = 409


class EngineError(TrawlError):
    """The cluster that adds files cannot be used, or its workers keep ending."""

    http_status = 503


class ModelError(TrawlError):
    """A model's files are missing, damaged or in an unsupported format."""

    http_status = 503


class OverloadedError(TrawlError):
    """Too many concurrent requests. Retrying later succeeds.

    `reason` is one word for the resource that was full; metrics are labelled with it.
    """

    http_status = 503
    retry_after_s: ClassVar[int] = 1

    def __init__(self, message: str, *, reason: str = "encoder") -> None:
        super().__init__(message)
        self.reason = reason
