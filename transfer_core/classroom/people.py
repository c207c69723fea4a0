"""The pupils of a class: each has a workspace of their own below the server's."""

from __future__ import annotations

import time

import msgspec

from transfer_core.data.sources.imported_file import clean_name
from transfer_core.errors import InvalidConfigError, NotFoundError, TransferStudioError
from transfer_core.facts_file import FactsFile
from transfer_core.files import remove
from transfer_core.language import _
from transfer_core.locks import changing
from transfer_core.schema import Positive, Text
from transfer_core.workspace import PEOPLE_DIR, Workspace, new_id

MAX_NAME_LENGTH = 24
MAX_PEOPLE = 100


class Person(msgspec.Struct, frozen=True):
    """A pupil.

    Args:
        id: Names their folder.
        name: A first name or an animal, as they typed or picked it.
        joined_at: Seconds since 1970.
    """

    id: Text
    name: Text
    joined_at: Positive


_FACTS = FactsFile("person.json", Person)


def join(server: Workspace, name: str) -> Person:
    """Give a pupil a workspace of their own. A name that another one has gets a number.

    Args:
        server: The workspace of the server.
        name: As typed.

    Raises:
        InvalidConfigError: If nothing is left of the name without control characters and spaces, or if the class has
            `MAX_PEOPLE` people.
        WorkspaceError: If writing fails.
    """
    shown = clean_name(name)[:MAX_NAME_LENGTH].strip()
    if not shown:
        raise InvalidConfigError(_("Type your first name, or pick an animal."))
    with changing(server.root / PEOPLE_DIR):
        taken = {person.name.casefold() for person in people(server)}
        if len(taken) >= MAX_PEOPLE:
            raise InvalidConfigError(_("The class is full. Ask your teacher."))
        person = Person(new_id(), _free_name(shown, taken), time.time())
        _FACTS.write(server.person(person.id).root, person)
    return person


def get_person(server: Workspace, person_id: str) -> Person:
    """Return a pupil.

    Raises:
        NotFoundError: If nobody has this id.
        WorkspaceError: If their file is damaged.
    """
    folder = server.person(person_id).root
    if not _FACTS.exists(folder):
        raise NotFoundError(_("This person is not in the class any more."))
    return _FACTS.read(folder)


def people(server: Workspace) -> list[Person]:
    """Return the pupils in the order in which they joined. Damaged ones are left out."""
    found = []
    for person_id in server.person_ids():
        try:
            found.append(get_person(server, person_id))
        except TransferStudioError:
            continue
    return sorted(found, key=lambda person: person.joined_at)


def remove_person(server: Workspace, person_id: str) -> None:
    """Delete a pupil and everything of theirs from the disk, for good.

    Their trainings have to be stopped before.

    Raises:
        NotFoundError: If the id is not one this app gives.
        OSError: If something cannot be deleted.
    """
    remove(server.person(person_id).root)


def _free_name(name: str, taken: set[str]) -> str:
    numbered = (f"{name} {number}" for number in range(2, len(taken) + 3))
    return next(free for free in (name, *numbered) if free.casefold() not in taken)
