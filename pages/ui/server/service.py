"""The one service of this server process. Any visitor can clear Streamlit's caches, so it is in none."""

from __future__ import annotations

import threading
from pathlib import Path

from transfer_core.work.service import Service
from transfer_core.workspace import Workspace, default_workspace_root

_services: dict[Path, Service] = {}
_making = threading.Lock()


def service() -> Service:
    """Return the service of the workspace that this process is started with, made at the first call."""
    root = default_workspace_root()
    with _making:
        found = _services.get(root)
        if found is None:
            found = _services[root] = Service(Workspace(root))
        return found
