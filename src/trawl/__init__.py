"""Search text, images and audio with text, an image or a sound.

>>> from trawl import Library
>>> with Library("my-library", create=True) as library:  # doctest: +SKIP
...     library.add(["papers", "photos"])
...     for hit in library.search("muon decay signature").hits:
...         print(hit.rank, hit.modality, hit.title, hit.score)

`Library` is imported at its first use, so that ``import trawl`` stays fast.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trawl.library import Library

__version__ = "0.1.0"
__all__ = ["Library", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "Library":
        from trawl.library import Library

        return Library
    raise AttributeError(f"module 'trawl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
