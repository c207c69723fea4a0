"""What has to be on this computer before a model can be written in a format: packages, and a runtime to fetch."""

from __future__ import annotations

from transfer_core.errors import ExportError
from transfer_core.export.formats import ExportFormat, get_format
from transfer_core.export.web_runtime import ONNX_RUNTIME_WEB, get_runtime, is_available
from transfer_core.language import _
from transfer_core.types import OnProgress, ShouldStop
from transfer_core.workspace import Workspace


def prepare(
    workspace: Workspace,
    format_name: str,
    *,
    on_progress: OnProgress = lambda num_bytes, num_all: None,
    should_stop: ShouldStop = lambda: False,
) -> None:
    """Get what a format is made with onto this computer; nothing is done when it is there.

    Args:
        workspace: Where it is kept.
        format_name: Which format.
        on_progress: Called with the bytes that have come and all bytes, while something is downloaded.
        should_stop: Asked after each piece of it.

    Raises:
        DownloadStoppedError: If `should_stop` said so.
        ExportError: If a package is missing, or something cannot be downloaded.
        NotFoundError: If there is no such format.
        WorkspaceError: If writing fails.
    """
    export_format = get_format(format_name)
    _check_packages(export_format)
    if export_format.has_page:
        get_runtime(workspace.runtimes_dir, on_progress=on_progress, should_stop=should_stop)


def num_bytes_to_fetch(workspace: Workspace, format_name: str) -> int:
    """Return how much `prepare` would download, 0 when all is there."""
    is_there = not get_format(format_name).has_page or is_available(workspace.runtimes_dir)
    return 0 if is_there else ONNX_RUNTIME_WEB.num_bytes


def _check_packages(export_format: ExportFormat) -> None:
    missing = export_format.missing_packages
    if missing:
        raise ExportError(
            _("{title} needs packages that are not installed. Install them with: pip install {names}").format(
                title=export_format.title, names=" ".join(missing)
            )
        )
