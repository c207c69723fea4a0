"""Who a request comes from, and in which workspace they work."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

from transfer_core.classroom.facts import ClassFacts, Classroom, is_class_mode
from transfer_core.classroom.people import get_person
from transfer_core.errors import NotFoundError
from transfer_core.language import _
from transfer_core.workspace import Workspace

COOKIE = "transfer_studio"
COOKIE_SECONDS = 200 * 24 * 60 * 60
_TEACHER = "teacher"

# What a signed link is for: one for one purpose is refused for every other.
Purpose = Literal["cookie", "device", "phone", "try"]


@dataclass(frozen=True)
class Visitor:
    """Who a request comes from.

    Args:
        role: "home" is the one person of a server without a class.
        person_id: Of a pupil; empty for others.
        workspace: In which they work. The teacher works in the server's own.
    """

    role: Literal["home", "teacher", "pupil"]
    person_id: str
    workspace: Workspace

    @property
    def is_in_charge(self) -> bool:
        """Whether nobody else on this server is above them."""
        return self.role != "pupil"

    @property
    def owner(self) -> str:
        """A name for what is theirs that no other visitor has; empty without a class."""
        return {"home": "", "teacher": _TEACHER}.get(self.role, self.person_id)

    @property
    def is_shut_out(self) -> bool:
        """Whether they have to wait until the teacher opens the class.

        Raises:
            WorkspaceError: If the file of the class is damaged.
        """
        return self.role == "pupil" and not Classroom(self.workspace.server).facts().is_open


def sign(facts: ClassFacts, purpose: Purpose, value: str) -> str:
    """Return a text for a cookie or a link that nobody else can make.

    Args:
        facts: The class; its secret signs.
        purpose: What the text is for.
        value: What it carries, readable by everyone who has the text.
    """
    return _serializer(facts, purpose).dumps(value)


def verify(facts: ClassFacts, purpose: Purpose, text: str, max_seconds: int) -> str:
    """Return the value of a signed text.

    Raises:
        NotFoundError: If it was not signed here for this purpose, or is older than `max_seconds`.
    """
    try:
        value = _serializer(facts, purpose).loads(text, max_age=max_seconds)
    except SignatureExpired as error:
        raise NotFoundError(_("This link has expired. Ask for a new one.")) from error
    except BadSignature as error:
        raise NotFoundError(_("This link is not valid. Ask for a new one.")) from error
    return str(value)


def visitor_of(server: Workspace, cookies: Mapping[str, str]) -> Visitor | None:
    """Return who a request comes from, or None if they have not joined the class.

    Args:
        server: The workspace of the server.
        cookies: Of the request.

    Raises:
        WorkspaceError: If the file of the class or of the pupil is damaged.
    """
    if not is_class_mode():
        return Visitor("home", "", server)
    facts = Classroom(server).facts()
    try:
        value = verify(facts, "cookie", cookies.get(COOKIE, ""), COOKIE_SECONDS)
        if value == _TEACHER:
            return Visitor("teacher", "", server)
        person = get_person(server, value)
    except NotFoundError:
        return None
    return Visitor("pupil", person.id, server.person(person.id))


def cookie_of_person(facts: ClassFacts, person_id: str) -> str:
    """Return the value of the cookie by which a pupil is known."""
    return sign(facts, "cookie", person_id)


def cookie_of_teacher(facts: ClassFacts, key: str) -> str | None:
    """Return the value of the teacher's cookie; None if the key is not the teacher's."""
    if hmac.compare_digest(key.encode(), facts.teacher_key.encode()):
        return sign(facts, "cookie", _TEACHER)
    return None


def _serializer(facts: ClassFacts, purpose: Purpose) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(facts.secret, salt=f"transfer-studio-{purpose}")
