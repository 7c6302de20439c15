"""Define the JSON of where a chunk is: its span, its links, and other files with its content."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from trawl.types import Link, Place, Region, Span
from trawl.wire.values import file_name

DOCUMENT_ID = "1f0c9d2a7be84c55a1d0e3f2"
"""The document of the examples in the API's description."""


class RegionOut(BaseModel):
    """A box on a page."""

    page: int = Field(description="Page, from 1.")
    box: tuple[float, float, float, float] = Field(
        description="Left, top, right, bottom in points from the top left of the page."
    )


class SpanOut(BaseModel):
    """The location of a result in its document; fields that do not apply are null."""

    start_char: int | None = Field(None, description="First character of a passage.")
    end_char: int | None = Field(None, description="One after the last character.")
    page: int | None = Field(None, description="Page, from 1.")
    box: tuple[float, float, float, float] | None = Field(
        None,
        description="Left, top, right, bottom in points from the top left of the page.",
        examples=[[72.0, 96.5, 300.2, 180.0]],
    )
    start_s: float | None = Field(None, description="Start in a recording, in seconds.")
    end_s: float | None = Field(None, description="End in a recording, in seconds.")
    section: str | None = Field(
        None,
        description="The headings above it, outermost first.",
        examples=["Methods › Samples"],
    )
    regions: list[RegionOut] = Field(
        [],
        description="All its boxes, if it covers more than one column or page; `page` and `box` "
        "are the first.",
    )

    def span(self) -> Span:
        """Return the span."""
        regions = tuple(Region(one.page, one.box) for one in self.regions)
        return Span(**{**self.model_dump(), "regions": regions})


class LinkOut(BaseModel):
    """A reference between two chunks of one document."""

    kind: Literal["cites", "cited_by"] = Field(
        description="`cites`: this passage cites a figure or table. `cited_by`: a passage cites "
        "this figure or table."
    )
    id: str = Field(description="The other chunk's id.", examples=[f"{DOCUMENT_ID}:3"])
    label: str = Field(
        description="The figure or table, or the place of the passage.", examples=["Figure 2"]
    )

    def link(self) -> Link:
        """Return the link."""
        return Link(self.kind, self.id, self.label)


class PlaceOut(BaseModel):
    """Another document whose file has the same content."""

    document_id: str
    source: str = Field(description="File name.", examples=["copy of dimuon.png"])

    def place(self) -> Place:
        """Return the place; its `uri` is the file name."""
        return Place(self.document_id, self.source)

    @classmethod
    def from_place(cls, place: Place) -> PlaceOut:
        """Return a place as JSON has it."""
        return cls(document_id=place.document_id, source=file_name(place.uri))
