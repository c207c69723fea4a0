"""What a person writes beside a run: a name, a note, a star."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from transfer_core.errors import WorkspaceError
from transfer_core.file_cache import FileCache
from transfer_core.files import read_json, write_json

NOTES_FILE = "notes.json"
_LONGEST_NAME = 80
_LONGEST_NOTE = 2000


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
        object.__setattr__(self, "name", " ".join(self.name.split())[:_LONGEST_NAME])
        object.__setattr__(self, "note", self.note.strip()[:_LONGEST_NOTE])

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
        """Write it down.

        Args:
            folder: Of the run.

        Raises:
            WorkspaceError: If the disk refuses.
        """
        write_json(folder / NOTES_FILE, asdict(self))


_loaded: FileCache[RunNotes] = FileCache(max_bytes=4 * 1024**2)
