"""The Python interface. This is the only place where the parts are wired together."""

from trawl.library.library import Library, Shown

__all__ = ["Library", "Shown"]
