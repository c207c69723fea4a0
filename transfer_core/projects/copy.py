"""Give an unpacked project new ids, so that it can be moved into a workspace that has the old ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from transfer_core.files import move, read_json, write_json
from transfer_core.projects.manifest import Manifest
from transfer_core.runs.run_folder import RUN
from transfer_core.runs.sweep_plan import SWEEP
from transfer_core.training.signature import SIGNATURE_FILE
from transfer_core.workspace import Workspace, new_id

_TIME = slice(15)


def with_new_ids(unpacked: Workspace, manifest: Manifest) -> Manifest:
    """Give everything in an unpacked project another id, wherever it is named. The times in the ids are kept.

    Args:
        unpacked: The unpacked project.
        manifest: With the old ids.

    Returns:
        The manifest with the new ids.

    Raises:
        OSError: If writing fails.
        WorkspaceError: If a file cannot be read or written.
    """
    new = {old: _renewed(old) for old in manifest.ids}
    for run_id in manifest.runs:
        _rename_in(unpacked.run_dir(run_id), new)
    for folder in (unpacked.datasets_dir, unpacked.runs_dir, unpacked.sources_dir):
        for old in folder.iterdir():
            move(old, folder / new[old.name])
    return replace(
        manifest,
        dataset=new[manifest.dataset],
        runs=tuple(new[old] for old in manifest.runs),
        sources=tuple(new[old] for old in manifest.sources),
    )


def _renewed(identifier: str) -> str:
    fresh = new_id()
    return identifier[_TIME] + fresh[_TIME.stop :]


def _rename_in(folder: Path, new: dict[str, str]) -> None:
    config = read_json(folder / RUN.name)
    config["dataset"]["id"] = new[config["dataset"]["id"]]
    for name in ("backbone", "teacher"):
        config["config"][name] = _name(config["config"].get(name, ""), new)
    write_json(folder / RUN.name, config)
    signature = read_json(folder / SIGNATURE_FILE)
    write_json(folder / SIGNATURE_FILE, {**signature, "backbone": _name(signature.get("backbone"), new)})
    if (folder / SWEEP.name).is_file():
        sweep = read_json(folder / SWEEP.name)
        # Only the runs name the sweep, so its new id is made with the first of them.
        new.setdefault(sweep["id"], _renewed(sweep["id"]))
        write_json(folder / SWEEP.name, {**sweep, "id": new[sweep["id"]]})


def _name(backbone: Any, new: dict[str, str]) -> Any:
    return new.get(backbone, backbone)
