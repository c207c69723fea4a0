"""What a person writes beside a run: a name, a note, a star."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from transfer_core.data.source_file import clean_name
from transfer_core.errors import WorkspaceError
from transfer_core.files import read_json, write_json
from transfer_core.schema import CONTROL_CHARACTERS

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
        object.__setattr__(self, "name", clean_name(self.name, _LONGEST_NAME))
        object.__setattr__(self, "note", CONTROL_CHARACTERS.sub("", self.note).strip()[:_LONGEST_NOTE])

    @classmethod
    def load(cls, folder: Path) -> RunNotes:
        """Read what was written; a missing or damaged file counts as nothing written.

        Args:
            folder: Of the run.
        """
        with suppress(WorkspaceError):
            values = read_json(folder / NOTES_FILE)
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
