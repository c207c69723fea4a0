"""What a person writes beside a run: a name, a note, a star."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from transfer_core.data.sources.source_file import clean_name
from transfer_core.errors import NotFoundError, WorkspaceError
from transfer_core.file_cache import FileCache
from transfer_core.files import read_json, write_json
from transfer_core.language import _
from transfer_core.locks import changing
from transfer_core.schema import CONTROL_CHARACTERS

NOTES_FILE = "notes.json"
MAX_NAME_LENGTH = 80
MAX_NOTE_LENGTH = 2000


@dataclass(frozen=True)
class RunNotes:
    """The person's own words about a run; they never change what was trained.

    Args:
        name: What the person calls it; empty for none. Cut to 80 characters.
        note: Anything. Cut to 2,000 characters.
        is_starred: Whether it is a favourite.
    """

    name: str = ""
    note: str = ""
    is_starred: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", clean_name(self.name, MAX_NAME_LENGTH))
        object.__setattr__(self, "note", CONTROL_CHARACTERS.sub("", self.note).strip()[:MAX_NOTE_LENGTH])

    @classmethod
    def load(cls, folder: Path) -> RunNotes:
        """Return what was written, read once for each version of the file.

        A missing or damaged file counts as nothing written.

        Args:
            folder: Of the run.
        """
        return _loaded.get(folder / NOTES_FILE, lambda: cls._read(folder))

    @classmethod
    def _read(cls, folder: Path) -> RunNotes:
        path = folder / NOTES_FILE
        if not path.is_file():
            return cls()
        with suppress(WorkspaceError):
            values = read_json(path)
            name, note = values.get("name"), values.get("note")
            return cls(
                name if isinstance(name, str) else "",
                note if isinstance(note, str) else "",
                values.get("is_starred") is True,
            )
        return cls()

    def save(self, folder: Path) -> None:
        """Write them in place of what was written before, whatever that was.

        Args:
            folder: Of the run.

        Raises:
            WorkspaceError: If writing fails.
        """
        write_json(folder / NOTES_FILE, asdict(self))

    def save_changes(self, folder: Path, **changes: Any) -> None:
        """Write some fields, and keep what another window has written into the others meanwhile.

        Args:
            folder: Of the run.
            changes: The new values by the names of the fields. These notes are what the person saw before.

        Raises:
            NotFoundError: If the run was deleted.
            WorkspaceError: If another window has changed one of these fields as well, or writing fails.
        """
        if not folder.is_dir():
            raise NotFoundError(_("There is no run with the id {id} any more.").format(id=folder.name))
        with changing(folder / NOTES_FILE):
            stored = RunNotes._read(folder)
            changed = replace(stored, **changes)
            for name in changes:
                if getattr(stored, name) not in (getattr(self, name), getattr(changed, name)):
                    raise WorkspaceError(
                        _(
                            "These notes were changed in another window meanwhile, so this change was not made. "
                            "Look at them as they are now, then make the change again."
                        )
                    )
            changed.save(folder)


_loaded: FileCache[RunNotes] = FileCache(max_bytes=4 * 1024**2)
