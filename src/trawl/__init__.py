"""Search text, images and audio with text, an image or a sound.

>>> from trawl import Library
>>> with Library("my-library", create=True) as library:  # doctest: +SKIP
...     library.add(["papers", "photos"])
...     for hit in library.search("muon decay signature").hits:
...         print(hit.rank, hit.modality, hit.title, hit.score)

`Library` and `Libraries` are imported at their first use, so that ``import trawl`` stays fast.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trawl.libraries import Libraries
    from trawl.library import Library

__version__ = "0.1.0"
__all__ = ["Libraries", "Library", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "Library":
        from trawl.library import Library

        return Library
    if name == "Libraries":
        from trawl.libraries import Libraries

        return Libraries
    raise AttributeError(f"module 'trawl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
