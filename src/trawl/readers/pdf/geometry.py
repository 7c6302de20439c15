"""Positions on a page: from a PDF's own coordinates to those of the page as it is shown.

A PDF measures from the bottom left of its media box, before the page is cropped and turned. All
boxes of this package are in points from the top left of the page as shown.
"""

from __future__ import annotations

from dataclasses import dataclass

from trawl.types import Box

__all__ = ["Box", "Frame", "turned_back", "union", "upright"]


@dataclass(frozen=True, slots=True)
class Frame:
    """The visible part of a page in the PDF's coordinates, and how far it is turned.

    `rotation` is 0, 90, 180 or 270 degrees clockwise.
    """

    left: float
    bottom: float
    right: float
    top: float
    rotation: int

    @property
    def width(self) -> float:
        """The width of the page as shown."""
        across = self.rotation in (90, 270)
        return self.top - self.bottom if across else self.right - self.left

    @property
    def height(self) -> float:
        """The height of the page as shown."""
        across = self.rotation in (90, 270)
        return self.right - self.left if across else self.top - self.bottom

    def shown(self, left: float, bottom: float, right: float, top: float) -> Box:
        """Return a box in the PDF's coordinates as a box on the page as shown.

        The arguments may also be arrays of one shape; then so are the parts of the result.
        """
        match self.rotation:
            case 90:
                return (
                    bottom - self.bottom,
                    left - self.left,
                    top - self.bottom,
                    right - self.left,
                )
            case 180:
                return (
                    self.right - right,
                    bottom - self.bottom,
                    self.right - left,
                    top - self.bottom,
                )
            case 270:
                return self.top - top, self.right - right, self.top - bottom, self.right - left
            case _:
                return left - self.left, self.top - top, right - self.left, self.top - bottom


def upright(box: Box, angle: int, width: float, height: float) -> Box:
    """Return a box in a page of `width` x `height`, turned so that text at `angle` is level.

    `angle` is 0, 90 (the text reads upwards), 180 or 270 (downwards). The parts of `box` may be
    arrays.
    """
    left, top, right, bottom = box
    match angle:
        case 90:
            return height - bottom, left, height - top, right
        case 180:
            return width - right, height - bottom, width - left, height - top
        case 270:
            return top, width - right, bottom, width - left
        case _:
            return box


def turned_back(box: Box, angle: int, width: float, height: float) -> Box:
    """Return the box on the page for a box that `upright` returned."""
    left, top, right, bottom = box
    match angle:
        case 90:
            return top, height - right, bottom, height - left
        case 180:
            return width - right, height - bottom, width - left, height - top
        case 270:
            return width - bottom, left, width - top, right
        case _:
            return box


def union(boxes: list[Box]) -> Box:
    """Return the smallest box around at least one box."""
    return (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )
