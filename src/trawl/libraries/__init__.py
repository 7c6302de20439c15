"""Several libraries as one: search them in parallel, and merge what they find."""

from trawl.libraries.catalogue import Entry, entries_of, is_catalogue, is_several
from trawl.libraries.libraries import Libraries
from trawl.libraries.reading import joined_status

__all__ = ["Entry", "Libraries", "entries_of", "is_catalogue", "is_several", "joined_status"]
