"""What a person writes beside a run: a name, a note, a star."""

from __future__ import annotations

import msgspec

from transfer_core.data.sources.imported_file import clean_name
from transfer_core.facts_file import FactsFile
from transfer_core.schema import CONTROL_CHARACTERS, Text

MAX_NAME_LENGTH = 80
MAX_NOTE_LENGTH = 2000


class RunNotes(msgspec.Struct, frozen=True):
    """The person's own words about a run; they never change what was trained.

    Args:
        name: What the person calls it; empty for none. Cut to 80 characters.
        note: Anything. Cut to 2,000 characters.
        is_starred: Whether it is a favourite.
    """

    name: Text = ""
    note: Text = ""
    is_starred: bool = False

    def __post_init__(self) -> None:
        note = CONTROL_CHARACTERS.sub("", self.note).strip()[:MAX_NOTE_LENGTH]
        msgspec.structs.force_setattr(self, "name", clean_name(self.name)[:MAX_NAME_LENGTH].strip())
        msgspec.structs.force_setattr(self, "note", note)


NOTES = FactsFile("notes.json", RunNotes)
