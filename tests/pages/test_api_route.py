"""Photos for a model on their way, as the server gets them: some never end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette

from pages.ui.server import api
from tests.asgi import post_status
from transfer_core.classroom.people import join
from transfer_core.workspace import Workspace, new_id


@pytest.fixture
def keys_of(server: Workspace, monkeypatch: pytest.MonkeyPatch) -> dict[str, Workspace]:
    """Each key is the id of a model, and opens the workspace here."""
    found: dict[str, Workspace] = {}
    monkeypatch.setattr(api, "workspace_of_key", lambda _server, run_id, _key: found.get(run_id))
    return found


async def begin_photo(run_id: str, never: asyncio.Event) -> int:
    """Send a photo that does not end, and return the status of the answer."""

    async def receive() -> dict[str, Any]:
        await never.wait()
        return {"type": "http.disconnect"}

    path = f"{api.PREFIX}/{run_id}/predict"
    return await post_status(
        Starlette(routes=api.ROUTES), path, receive, headers={"authorization": "Bearer key"}
    )


def test_photos_that_do_not_end_hold_up_nobody_else(
    server: Workspace, keys_of: dict[str, Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "_SECONDS_FOR_A_PHOTO", 0.05)
    mia, ben = (server.person(join(server, name).id) for name in ("Mia", "Ben"))
    runs = [new_id() for _run in range(api._MOST_WAITING + 1)]
    keys_of.update(dict.fromkeys(runs[1:], mia) | {runs[0]: ben})

    async def statuses() -> list[int]:
        never = asyncio.Event()
        found = await asyncio.gather(
            *(begin_photo(run_id, never) for run_id in runs[1:]), begin_photo(runs[0], never)
        )
        return [*found, await begin_photo(runs[1], never)]

    found = asyncio.run(asyncio.wait_for(statuses(), 30))
    # Each model of one pupil has a key; together they count as one.
    assert found[:-2].count(503) == api._MOST_WAITING - api._MOST_WAITING_OF_A_PLACE
    assert found[-2:] == [408, 408]
