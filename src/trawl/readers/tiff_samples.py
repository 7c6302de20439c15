"""Describe the samples of a TIFF that Pillow does not decode."""

from __future__ import annotations

from typing import Any, BinaryIO

# TIFF 6.0, the Photoshop notes and DNG 1.6.
_KINDS = {
    0: "grey",
    1: "grey",
    2: "RGB",
    3: "palette",
    5: "CMYK",
    6: "YCbCr",
    8: "CIE Lab",
    9: "ICC Lab",
    10: "ITU Lab",
    32803: "camera sensor",
    34892: "linear raw",
}
_FORMATS = {1: "integers", 2: "signed integers", 3: "floats", 5: "complex integers", 6: "complex"}


def undecodable_samples(stream: BinaryIO) -> str:
    """Return why the first picture of a TIFF is not read, in words; "" if it has no valid tags."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    stream.seek(0)
    head = stream.read(8)
    try:
        directory: Any = ImageFileDirectory_v2(head)
        stream.seek(directory.next)
        directory.load(stream)
        bits = directory.get(258, (1,))
        samples = int(directory.get(277, 1))
        numbers = _FORMATS.get(directory.get(339, (1,))[0], "samples of an unknown type")
        kind = _KINDS.get(directory.get(262), f"of photometric type {directory.get(262)}")
    except Exception:  # damaged, which the caller reports
        return ""
    each = "/".join(str(bit) for bit in dict.fromkeys(bits))
    return (
        f"TIFF with {samples} × {each}-bit {numbers} per pixel ({kind}) is not read; convert it to "
        "8 or 16 bits in grey or RGB"
    )
