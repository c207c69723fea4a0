"""Requirements of an export: check optional packages and download the web runtime before a model is converted."""

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
    """Check the packages that a format needs and download its runtime if the workspace does not have it.

    Args:
        workspace: Workspace that keeps the runtime.
        format_name: Name of the `ExportFormat`.
        on_progress: Called during the download with the received and the total number of bytes.
        should_stop: Called after each chunk; True stops.

    Raises:
        DownloadStoppedError: If `should_stop` returned True.
        ExportError: If a package is missing or the download fails.
        NotFoundError: If the format is unknown.
        WorkspaceError: If writing fails.
    """
    export_format = get_format(format_name)
    _check_packages(export_format)
    if export_format.has_page:
        get_runtime(workspace.runtimes_dir, on_progress=on_progress, should_stop=should_stop)


def num_bytes_to_fetch(workspace: Workspace, format_name: str) -> int:
    """Return the number of bytes that `prepare` would download, 0 if the runtime is available or not needed."""
    is_complete = not get_format(format_name).has_page or is_available(workspace.runtimes_dir)
    return 0 if is_complete else ONNX_RUNTIME_WEB.num_bytes


def _check_packages(export_format: ExportFormat) -> None:
    missing = export_format.missing_packages
    if missing:
        raise ExportError(
            _("{title} needs packages that are not installed. Install them with: pip install {names}").format(
                title=export_format.title, names=" ".join(missing)
            )
        )
