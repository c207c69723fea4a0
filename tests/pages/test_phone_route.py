"""Photos of a phone on their way, as the server gets them: piece by piece, and perhaps never whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette

from pages.ui.server import phone
from tests.asgi import post_status
from tests.conftest import MakeImage
from transfer_core.classroom.facts import Classroom
from transfer_core.classroom.people import Person, join, remove_person
from transfer_core.classroom.phone import phone_token
from transfer_core.workspace import Workspace, new_id


@pytest.fixture
def mia(server: Workspace) -> Person:
    return join(server, "Mia")


async def send_photo(token: str, content: bytes, meanwhile: Callable[[], Any]) -> int:
    """Send a photo in two pieces, with something between them, and return the status of the answer."""
    pieces = [content[:100], content[100:]]

    async def receive() -> dict[str, Any]:
        piece = pieces.pop(0)
        if not pieces:
            waiting = meanwhile()
            if asyncio.iscoroutine(waiting):
                await waiting
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    query = "id=1764370000000-abc&name=cat"
    return await post_status(Starlette(routes=phone.ROUTES), f"/phone/{token}/photos", receive, query)


@pytest.mark.parametrize("ending", ["closed", "removed"])
def test_a_photo_that_was_on_its_way_when_its_place_ended_is_not_stored(
    server: Workspace, mia: Person, make_image: MakeImage, ending: str
) -> None:
    place = server.person(mia.id)

    def end() -> None:
        if ending == "closed":
            Classroom(server).change(is_open=False)
        else:
            remove_person(server, mia.id)

    token = phone_token(place, new_id())
    assert asyncio.run(send_photo(token, make_image(), end)) == 404
    assert place.root.exists() == (ending == "closed")
    assert not list(server.root.rglob("*.jpg"))


def test_photos_that_never_come_do_not_pile_up(
    server: Workspace, mia: Person, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phone, "_MOST_ARRIVING", 1)
    place, other = server.person(mia.id), server.person(join(server, "Ben").id)
    statuses: list[int] = []

    async def send_beside() -> None:
        for workspace in (place, other):
            statuses.append(await send_photo(phone_token(workspace, new_id()), make_image(), lambda: None))

    assert asyncio.run(send_photo(phone_token(place, new_id()), make_image(), send_beside)) == 200
    # The other person's photos come in.
    assert statuses == [429, 200]

    monkeypatch.setattr(phone, "_SECONDS_FOR_A_PHOTO", 0.0)
    never = asyncio.run(send_photo(phone_token(place, new_id()), make_image(), lambda: asyncio.sleep(60)))
    assert never == 503
