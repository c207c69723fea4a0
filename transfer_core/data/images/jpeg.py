"""Remove metadata from JPEG files without decoding them."""

from __future__ import annotations

import re
import struct

_START, _END = b"\xff\xd8", b"\xff\xd9"
_START_OF_SCAN, _END_OF_IMAGE, _ADOBE, _APP0 = 0xDA, 0xD9, 0xEE, 0xE0
# Frame headers, tables, restart interval, number of lines, scans: all that the pixels depend on.
_PIXEL_MARKERS = {*range(0xC0, 0xD0), 0xDA, 0xDB, 0xDC, 0xDD} - {0xC8}
# After it, in a scan, 0 stands for the byte 255 itself and D0 to D7 for a restart.
_NEXT_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
# Marks the colours as YCbCr: the smallest such header, with square pixels and no thumbnail.
_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"


def jpeg_without_metadata(content: bytes) -> bytes | None:
    """Copy a JPEG without metadata, embedded previews and whatever follows its end.

    The compressed pixels are copied unchanged, so the result decodes to the same pixels.

    Args:
        content: The bytes of a JPEG file that has been decoded without an error.

    Returns:
        The bytes of a JPEG file, or None if its structure is unusual.
    """
    try:
        return b"".join(_pixel_segments(content))
    except (IndexError, ValueError, struct.error):
        return None


def _pixel_segments(content: bytes) -> list[bytes]:
    kept = [_START]
    place = content.index(_START) + 2
    while True:
        while content[place + 1] == 0xFF:
            place += 1
        marker = content[place + 1]
        if content[place] != 0xFF:
            raise ValueError
        if marker == _END_OF_IMAGE:
            return [*kept, _END]
        (length,) = struct.unpack_from(">H", content, place + 2)
        end = place + 2 + length
        if marker == _START_OF_SCAN:
            end = _end_of_scan(content, end)
        if marker in _PIXEL_MARKERS or (marker == _ADOBE and content[place + 4 : place + 9] == b"Adobe"):
            kept.append(content[place:end])
        elif marker == _APP0 and content[place + 4 : place + 9] == b"JFIF\0":
            kept.append(_JFIF)
        place = end


def _end_of_scan(content: bytes, start: int) -> int:
    found = _NEXT_MARKER.search(content, start)
    if found is None:
        raise ValueError
    return found.start()
