"""The messages between the server and its driver process: one JSON object a line, of many jobs at once.

Only facts pass, because both are on one disk. Events are lines of their log already: it has NaN, which JSON has not.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from transfer_core.events.kinds import LossReason
from transfer_core.recipes import StoredText
from transfer_core.work.cluster.nodes import Need, Node

# A training, beside the kinds of work in `JOB_KINDS`.
RUN = "run"
JobState = Literal["go", "pause", "stop"]


class _Message(msgspec.Struct, frozen=True, tag=True):
    pass


class StartJob(_Message, frozen=True):
    """Begin a job on a node.

    Args:
        job: Id of this attempt.
        kind: `RUN`, or one of `JOB_KINDS`.
        workspace: Its folder.
        arguments: Of this kind of job; `run_id` for a run.
        node: Ray's id of the node.
        need: What the job takes there.
    """

    job: str
    kind: str
    workspace: str
    arguments: dict[str, Any]
    node: str
    need: Need


class SetState(_Message, frozen=True):
    """Let a job go on, pause or stop."""

    job: str
    state: JobState


class LinesWritten(_Message, frozen=True):
    """The lines that came last are on disk."""

    job: str


class DropJob(_Message, frozen=True):
    """End a job at once; nothing more of it is wanted."""

    job: str


class NodesChanged(_Message, frozen=True):
    """The nodes that are alive now, refused ones too."""

    nodes: tuple[Node, ...]


class ClusterProblem(_Message, frozen=True):
    """Why the cluster does not answer, as a sentence for a person; empty when it answers again."""

    sentence: StoredText


class LinesCame(_Message, frozen=True):
    """Some more events of a run, or reports of other work. The next message of the job waits for `LinesWritten`."""

    job: str
    lines: tuple[str, ...]


class JobLost(_Message, frozen=True):
    """The node of a job was lost, or its worker process."""

    job: str
    reason: LossReason


class JobFailed(_Message, frozen=True):
    """A job cannot go on now, for a reason that is no loss of its node.

    Args:
        job: Id of this attempt.
        sentence: For a person.
    """

    job: str
    sentence: StoredText


class JobEnded(_Message, frozen=True):
    """A job is over and all its files are in their place.

    Args:
        job: Id of this attempt.
        line: The `RunEnded` of a run; empty where it was stopped before it began.
        result: Of other work; None where it was stopped.
    """

    job: str
    line: str = ""
    result: dict[str, Any] | None = None


ToDriver: TypeAlias = StartJob | SetState | LinesWritten | DropJob
OfJob: TypeAlias = LinesCame | JobLost | JobFailed | JobEnded
FromDriver: TypeAlias = NodesChanged | ClusterProblem | OfJob

encode = msgspec.json.Encoder().encode
decode_to_driver = msgspec.json.Decoder(ToDriver).decode
decode_from_driver = msgspec.json.Decoder(FromDriver).decode
