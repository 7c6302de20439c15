"""Tags of sound files: ID3, Vorbis comments, MP4, ASF, RIFF and APE."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from trawl.readers.formats import opened
from trawl.types import Metadata

_KEYS = ("artist", "album", "composer", "genre")
_NUMBER = re.compile(r"[1-9][0-9]*")


def sound_tags(path: Path) -> tuple[str, Metadata, tuple[str, ...]]:
    """Return the title ("" if there is none), the metadata, and notices on unreadable tags.

    The metadata are `artist`, `album`, `composer` and `genre`, each a list if there are several;
    `year` and `track`. Comments are not read: most are of programs.
    """
    from tinytag import TinyTag, TinyTagException, UnsupportedFormatError

    try:
        with opened(path) as stream:
            tag = TinyTag.get(file_obj=stream, duration=False)
    except UnsupportedFormatError:  # such as an MP3 that begins inside a frame
        return "", {}, ()
    except (TinyTagException, ValueError, LookupError, ArithmeticError):
        return "", {}, ("its tags cannot be read",)
    found: dict[str, Any] = tag.as_dict()
    metadata: Metadata = {}
    for key in _KEYS:
        values = [" ".join(value.split()) for value in found.get(key, ()) if value.strip()]
        if values:
            metadata[key] = values if len(values) > 1 else values[0]
    for key, digits in (("year", 4), ("track", 3)):  # a year may be a date, a track 3/12
        number = _NUMBER.match(next(iter(found.get(key, ())), ""))
        if number is not None and len(number[0]) <= digits:
            metadata[key] = int(number[0])
    title = " ".join(next(iter(found.get("title", ())), "").split())
    return title, metadata, ()
