"""The one service of this server process. Any visitor can clear Streamlit's caches, so it is in none."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache, partial
from pathlib import Path

from filelock import FileLock

from pages.ui.server.sessions import give_back_memory, share_few_arenas
from transfer_core.classroom.facts import is_class_mode
from transfer_core.classroom.removal import forget_expired, remove_leftover_people
from transfer_core.errors import TransferStudioError
from transfer_core.language import _
from transfer_core.locks import hold
from transfer_core.work.service import Service
from transfer_core.workspace import Workspace, default_workspace_root

_logger = logging.getLogger(__name__)
_services: dict[Path, Service] = {}
_making = threading.Lock()
# The browser needs the processor first: it has a page to draw.
_SECONDS_FOR_THE_FIRST_PAINT = 3.0
# Everyone tries their own model at the same time, and loading one takes seconds of the processor.
_MODELS_OF_A_CLASS = 32
_SECONDS_A_DAY = 24 * 60 * 60


def service() -> Service:
    """Return the service of the workspace that this process is started with, made at the first call."""
    root = default_workspace_root()
    with _making:
        found = _services.get(root)
        if found is None:
            # What a training does to the memory and the processor must not reach the pages of thirty people.
            found = (
                Service(Workspace(root), "process", _MODELS_OF_A_CLASS)
                if is_class_mode()
                else Service(Workspace(root))
            )
            _services[root] = found
        return found


def make_service() -> None:
    """Make the service at the start of the server, or end this process with a sentence if a setting is wrong."""
    try:
        service()
    except TransferStudioError as error:
        sys.exit(str(error))


@cache
def hold_workspace_of_class() -> FileLock:
    """Lock the workspace of a class until this process ends, or end it with a sentence.

    A second server would train beside the first, and overwrite its queue and the teacher's link.
    """
    held = hold(service().workspace.root)
    if held is None:
        sys.exit(_("This class is open already. Close the other window first."))
    return held


@asynccontextmanager
async def lifespan(_app: object) -> AsyncIterator[None]:
    """Go on with the trainings that waited when the server was stopped; store them when it is stopped."""
    shared = service()
    tasks = [asyncio.create_task(give_back_memory(shared))]
    if is_class_mode():
        share_few_arenas()
        # Before anyone is let in, and before the start prints the code.
        await _forget(shared)
        tasks.append(asyncio.create_task(_forget_each_day(shared)))
    restoring = partial(shared.restore, _SECONDS_FOR_THE_FIRST_PAINT)
    threading.Thread(target=restoring, name="restore", daemon=True).start()
    threading.Thread(target=shared.tidy_up_regularly, name="tidy up", daemon=True).start()
    yield
    for task in tasks:
        task.cancel()
    shared.close()


async def _forget_each_day(shared: Service) -> None:
    while True:
        await asyncio.sleep(_SECONDS_A_DAY)
        await _forget(shared)


async def _forget(shared: Service) -> None:
    """Forget a class that is older than its teacher wanted, and what was left of pupils who were removed."""
    try:
        await asyncio.to_thread(forget_expired, shared)
        await asyncio.to_thread(remove_leftover_people, shared)
    except (OSError, TransferStudioError):
        _logger.exception("The class could not be forgotten")
