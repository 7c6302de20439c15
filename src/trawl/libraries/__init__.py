"""Several libraries as one: search them in parallel, and merge what they find.

The names that need the library are loaded when they are first used, so that a command or a server
of one library reads catalogues without them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from trawl.libraries.catalogue import Entry, entries_of, is_catalogue, is_several

if TYPE_CHECKING:
    from trawl.libraries.libraries import Libraries
    from trawl.libraries.reading import joined_status

_MODULES = {"Libraries": "libraries", "joined_status": "reading"}

__all__ = ["Entry", "Libraries", "entries_of", "is_catalogue", "is_several", "joined_status"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"trawl.libraries.{_MODULES[name]}"), name)
