"""The class of a server: its code, its secrets, whether it is open, and how long it is kept."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

import msgspec
from msgspec import structs

from transfer_core.data.quota import CLASS_FILE, PersonLimits
from transfer_core.facts_file import FactsFile
from transfer_core.files import write_secret
from transfer_core.language import _
from transfer_core.locks import changing
from transfer_core.schema import Count, Positive, Text
from transfer_core.workspace import Workspace

TEACHER_LINK_FILE = "teacher-link.txt"
CLASS_VARIABLE = "TRANSFER_STUDIO_CLASS"
ADDRESS_VARIABLE = "TRANSFER_STUDIO_ADDRESS"
# Without letters and digits that are easily confused on a projector.
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_CODE_LENGTH = 6


class ClassFacts(msgspec.Struct, frozen=True):
    """The class of a server, as it is stored.

    Args:
        code: Six letters that pupils type.
        secret: Signs the cookies and the links of this class.
        teacher_key: Part of the teacher's own link.
        created_at: Seconds since 1970.
        is_open: Whether pupils may join and work.
        days_kept: Days after which the class forgets itself; 0 keeps it.
        limits: Of each pupil.
    """

    code: Text
    secret: Text
    teacher_key: Text
    created_at: Positive
    is_open: bool = True
    days_kept: Count = 0
    limits: PersonLimits = PersonLimits()

    @property
    def join_path(self) -> str:
        """Where pupils join, with the code filled in: for a QR code."""
        return f"/join?code={self.code}"

    @property
    def teacher_path(self) -> str:
        """The secret path that makes a browser the teacher's."""
        return f"/teacher/{self.teacher_key}"


_FACTS = FactsFile(
    CLASS_FILE,
    ClassFacts,
    lambda: _("Without it nobody can join. Delete it to begin a new class."),
)


def is_class_mode() -> bool:
    """Whether this server serves a class rather than one person."""
    return os.environ.get(CLASS_VARIABLE, "") == "1"


def address_in_network() -> str:
    """Return the address of this server for other devices, such as `http://192.168.1.5:8501`.

    Empty unless `start.py` said it. A link or QR code needs it where a browser of this computer says localhost.
    """
    return os.environ.get(ADDRESS_VARIABLE, "")


class Classroom:
    """The class of a server, on disk. Any process may read and change it.

    Args:
        workspace: Of the server.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._folder = workspace.root

    def facts(self) -> ClassFacts:
        """Return the class; a new one is begun where there is none.

        Raises:
            WorkspaceError: If its file is damaged or cannot be written.
        """
        if not _FACTS.exists(self._folder):
            with changing(self._path):
                if not _FACTS.exists(self._folder):
                    self._write(_new_facts())
        return _FACTS.read(self._folder)

    def change(self, **changes: object) -> ClassFacts:
        """Change facts of the class and return all of them.

        Args:
            changes: New values, by the names in `ClassFacts`.

        Raises:
            WorkspaceError: If its file is damaged or cannot be written.
        """
        self.facts()
        with changing(self._path):
            changed = structs.replace(_FACTS.read(self._folder), **changes)
            self._write(changed)
        return changed

    def change_code(self) -> ClassFacts:
        """Give the class another code. Who has joined remains in it.

        Raises:
            WorkspaceError: If its file is damaged or cannot be written.
        """
        return self.change(code=_new_code())

    def begin_again(self) -> ClassFacts:
        """Give the class another code and other secrets, so that no cookie and no link of before counts any more.

        The teacher's link in the file beside it changes too. Settings are kept.

        Raises:
            WorkspaceError: If a file is damaged or cannot be written.
        """
        old, new = self.facts(), _new_facts()
        link = self._folder / TEACHER_LINK_FILE
        if link.is_file():
            write_secret(link, link.read_bytes().replace(old.teacher_key.encode(), new.teacher_key.encode()))
        return self.change(
            code=new.code,
            secret=new.secret,
            teacher_key=new.teacher_key,
            created_at=new.created_at,
            is_open=True,
        )

    @property
    def _path(self) -> Path:
        return self._folder / _FACTS.name

    def _write(self, facts: ClassFacts) -> None:
        write_secret(self._path, msgspec.json.encode(facts))


def _new_facts() -> ClassFacts:
    return ClassFacts(_new_code(), secrets.token_urlsafe(32), secrets.token_urlsafe(24), time.time())


def _new_code() -> str:
    return "".join(secrets.choice(_LETTERS) for _place in range(_CODE_LENGTH))
