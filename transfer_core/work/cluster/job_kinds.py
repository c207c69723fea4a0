"""The kinds of work beside trainings that a node can do: what each needs of the workspace, and how it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from transfer_core.types import ShouldStop
from transfer_core.work.cluster.parcel import Parcel
from transfer_core.workspace import Workspace

Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class WorkKind:
    """A kind of work. Arguments, reports and results are what JSON holds.

    Args:
        parcel: Describes the files that it needs, given the workspace of the app and the arguments.
        work: Does it on the node, given a workspace with these files, the arguments, a callback for reports, and
            whether to stop; it ends with a `FeaturesStoppedError` then.
    """

    parcel: Callable[[Workspace, Mapping[str, Any]], Parcel]
    work: Callable[[Workspace, Mapping[str, Any], Report, ShouldStop], dict[str, Any]]


JOB_KINDS: dict[str, WorkKind] = {}
