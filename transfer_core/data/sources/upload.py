"""Files that a browser sent, or failed to send."""

from __future__ import annotations

from transfer_core.data.sources.imported_file import ImportedFile, too_large
from transfer_core.errors import UnreadableImageError
from transfer_core.language import _


def uploaded_file(path: str, content: bytes) -> ImportedFile:
    """Return a file that a browser sent, without the folder that the person picked.

    Args:
        path: Its name, with its folders if a whole folder was dropped.
        content: Its bytes.
    """
    parts = tuple(part for part in path.replace("\\", "/").split("/") if part not in ("", ".", ".."))
    return ImportedFile(parts[1:] or parts or (path,), lambda: content)


def failing_file(path: str, *, is_too_large: bool) -> ImportedFile:
    """Return a file that the browser could not send: reading it fails with the reason.

    Args:
        path: Its name, with its folders if a whole folder was dropped.
        is_too_large: Whether its size was the reason.
    """

    def read() -> bytes:
        if is_too_large:
            raise too_large()
        raise UnreadableImageError(_("the browser could not read it"), "unreadable")

    return ImportedFile(uploaded_file(path, b"").parts, read)
