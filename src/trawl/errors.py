"""Every error that Trawl raises on purpose.

::

    TrawlError
    ├── UsageError             what was asked cannot be meant       exit 2, HTTP 422
    │   ├── QueryError         an empty, over-long or unreadable query
    │   ├── FilterError        a filter that cannot be parsed, or names no known column
    │   └── SettingsError      a setting, option or environment variable out of range
    ├── NotFoundError          no such path, document or chunk      exit 1, HTTP 404
    │   └── GoneError          a document's file is gone or changed exit 1, HTTP 410
    ├── ReadError              one file cannot be read or indexed   exit 3, HTTP 415
    │   └── MetadataError      its metadata does not fit the library
    ├── LibraryError           the library cannot be used as asked  exit 1, HTTP 503
    │   ├── LibraryMissingError    there is no library at that place
    │   ├── LibraryLockedError     another process is writing       exit 1, HTTP 409
    │   └── SpaceMismatchError     made with another model          exit 1, HTTP 409
    ├── ModelError             a model's files are missing or damaged   exit 1, HTTP 503
    └── OverloadedError        too much is asked at once; ask again     exit 1, HTTP 503

Each message says what happened, where, and what to do next. ``exit_code`` and
``http_status`` are the one table from which the command line and the server
answer; a class without its own inherits its parent's.
"""

from typing import ClassVar


class TrawlError(Exception):
    """The root: catch this to catch everything that Trawl raises on purpose."""

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500


class UsageError(TrawlError):
    """What was asked cannot be meant; asking again unchanged cannot help."""

    exit_code = 2
    http_status = 422


class QueryError(UsageError):
    """A query that is empty, over-long, or of media that cannot be read."""


class FilterError(UsageError):
    """A filter that does not parse, or that names a column the library has not got."""


class SettingsError(UsageError):
    """A setting, option or environment variable that is unknown or out of range."""


class NotFoundError(TrawlError):
    """No such path, document or chunk."""

    http_status = 404


class GoneError(NotFoundError):
    """The file of a document is gone, or no longer what it was when it was added."""

    http_status = 410


class ReadError(TrawlError):
    """One file cannot be read or indexed. A run records it and goes on."""

    exit_code = 3
    http_status = 415


class MetadataError(ReadError):
    """One file's metadata does not fit the library's columns."""

    http_status = 422


class LibraryError(TrawlError):
    """A library that cannot be used as asked."""

    http_status = 503


class LibraryMissingError(LibraryError):
    """There is no library at that place."""


class LibraryLockedError(LibraryError):
    """Another process is writing to the library."""

    http_status = 409
    retry_after_s: ClassVar[int] = 2


class SpaceMismatchError(LibraryError):
    """The library was made with another model; vectors of two spaces are never compared."""

    http_status = 409


class ModelError(TrawlError):
    """A model's files are missing, damaged, or of another format."""

    http_status = 503


class OverloadedError(TrawlError):
    """More is asked at once than can be answered; asking again later helps.

    `reason` names what was full, in one word, for whoever counts.
    """

    http_status = 503
    retry_after_s: ClassVar[int] = 1

    def __init__(self, message: str, *, reason: str = "encoder") -> None:
        super().__init__(message)
        self.reason = reason
