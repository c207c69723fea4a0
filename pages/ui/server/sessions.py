"""Keep the memory of a server for many people small, and give back that of people who have left.

Streamlit keeps the session of a closed tab for some minutes, so that a laptop that sleeps finds it again. It drops
expired ones only when the next tab is closed: after a lesson, those of the last people would be kept all night.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import sys

import streamlit as st
from streamlit.runtime import Runtime

from transfer_core.work.service import Service

_SECONDS_BETWEEN = 10.0
# From malloc.h of the GNU C library.
_M_ARENA_MAX = -8
_NUM_ARENAS = 2

_logger = logging.getLogger(__name__)


def share_few_arenas() -> None:
    """Let the threads of this process share two arenas of the C library. To be called before they are started.

    By default each of up to eight threads a core has its own, and memory that pages have freed in one is not used by
    others: measured with 8 people who upload photos, the server grew by 20 MB for each, and by 4.5 MB with two.
    """
    mallopt = getattr(_c_library(), "mallopt", None)
    if mallopt:
        mallopt(_M_ARENA_MAX, _NUM_ARENAS)


async def give_back_memory(shared: Service) -> None:
    """Drop expired sessions, and models that are idle for as long, until the server ends.

    Args:
        shared: Keeps the models.
    """
    while True:
        await asyncio.sleep(_SECONDS_BETWEEN)
        try:
            # In the thread of the event loop, which alone changes the sessions.
            num_dropped = drop_expired_sessions()
            # Whoever is away for longer than that has left. In another thread: a model that is being loaded holds the
            # lock of all models for seconds.
            seconds = st.get_option("server.disconnectedSessionTTL")
            num_dropped += await asyncio.to_thread(shared.drop_idle_models, seconds)
            if num_dropped:
                await asyncio.to_thread(_return_to_the_system)
        except Exception:
            _logger.exception("The memory of people who have left was not given back")


def drop_expired_sessions() -> int:
    """Drop the sessions that Streamlit would give to nobody any more, and return how many these were."""
    runtime = Runtime.instance() if Runtime.exists() else None
    storage = getattr(getattr(runtime, "_session_mgr", None), "_session_storage", None)
    expire = getattr(getattr(storage, "_cache", None), "expire", None)
    return len(expire()) if expire else 0


def _return_to_the_system() -> None:
    # A session and its parts refer to each other.
    gc.collect()
    # The C library keeps what was freed between blocks that are still in use.
    trim = getattr(_c_library(), "malloc_trim", None)
    if trim:
        trim(0)


def _c_library() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform == "linux" else None
