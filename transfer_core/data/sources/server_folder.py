"""Folders on the server's disk that people may add, below the one that the environment allows."""

from __future__ import annotations

import os
from pathlib import Path

from transfer_core.data.sources.imported_file import shown_name
from transfer_core.data.sources.members import unsafe_reason
from transfer_core.errors import IngestError
from transfer_core.language import _

ROOT_VARIABLE = "TRANSFER_STUDIO_IMAGES_ROOT"


def images_root() -> Path | None:
    """Return the folder below which folders may be chosen, or None when none is allowed.

    Raises:
        IngestError: If the setting is not a folder.
    """
    named = os.environ.get(ROOT_VARIABLE, "")
    if not named:
        return None
    root = Path(named).expanduser()
    if not root.is_dir():
        raise IngestError(
            _("The setting {name} is “{path}”, which is not a folder. Name a folder or leave it out.").format(
                name=ROOT_VARIABLE, path=named
            )
        )
    return root.resolve()


def allowed_folder(root: Path, relative: str = "") -> Path:
    """Return a folder below the root. Neither `..` nor a link leads out of it.

    Args:
        root: From `images_root`.
        relative: Folders below it with `/` between them; empty for the root itself.

    Raises:
        IngestError: If there is no such folder below the root.
    """
    folder = root.resolve()
    relative = relative.replace("\\", "/")
    if unsafe_reason(relative):
        raise IngestError(_not_allowed(relative))
    for part in relative.split("/"):
        folder = folder / part
        # A junction of Windows is no link for is_symlink, but can lead out of the root.
        if not _is_plain_folder(folder) or folder.resolve() != folder:
            raise IngestError(_not_allowed(relative))
    return folder


def subfolders(root: Path, relative: str = "") -> list[str]:
    """List the folders directly below a folder, by name, without hidden ones and links.

    Args:
        root: From `images_root`.
        relative: Folders below it with `/` between them; empty for the root itself.

    Raises:
        IngestError: If there is no such folder below the root, or it cannot be opened.
    """
    folder = allowed_folder(root, relative)
    try:
        with os.scandir(folder) as entries:
            return sorted(
                entry.name
                for entry in entries
                if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
            )
    except OSError as error:
        raise IngestError(
            _("The folder {name} cannot be opened: {reason}. Choose another one.").format(
                name=shown_name(folder.name), reason=error
            )
        ) from error


def _is_plain_folder(path: Path) -> bool:
    try:
        return path.is_dir() and not path.is_symlink()
    except OSError:
        return False


def _not_allowed(relative: str) -> str:
    return _(
        "“{path}” is not a folder below the one that is allowed on this server. Choose one from the list."
    ).format(path=shown_name(relative, max_length=200))
