"""A cancellable task of the work queue: its progress, its state and how it ended."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Generic, Literal, TypeVar

from transfer_core.download import DownloadStoppedError
from transfer_core.errors import TransferStudioError
from transfer_core.language import _
from transfer_core.projects.archive import ProjectStoppedError
from transfer_core.training.features.feature_cache import FeaturesStoppedError
from transfer_core.types import OnProgress

_logger = logging.getLogger(__name__)

Result = TypeVar("Result")
TaskKind = Literal[
    "training",
    "audition",
    "candidate",
    "rate search",
    "export",
    "label check",
    "learning curve",
    "image map",
    "scoring",
    "answers",
    "average heat",
    "explanation",
    "model loading",
    "download",
    "project saving",
    "project opening",
    "video",
    "piles",
    "look-ahead",
    "handing out",
    "collecting",
    "removing",
    "storage",
    "deletion",
]
TaskState = Literal["waiting", "running", "over"]
# Of this computer's tasks one at a time uses a model, and light ones run beside it; the others run on other computers.
Lane = Literal["models", "light", "remote"]

_STOPPED = (DownloadStoppedError, FeaturesStoppedError, ProjectStoppedError)


class Priority(IntEnum):
    """Which waiting task goes first. Inside one priority the queue goes round by person."""

    # Somebody waits in front of a page: behind one training that is under way, never behind a whole sweep.
    INTERACTIVE = 0
    TRAINING = 1
    # Nobody waits for it: it runs while no other task with a model does, and steps aside when one comes.
    IDLE = 2


@dataclass(frozen=True)
class TaskProgress:
    """Progress of a task as raw facts.

    Args:
        part: Name of the part that is under way, for a person; empty while the task waits.
        num_done: Bytes or images done of this part.
        num_all: Bytes or images of this part; 0 when that is not known.
        num_parts_done: Parts before this one.
        num_parts: All parts.
    """

    part: str = ""
    num_done: int = 0
    num_all: int = 0
    num_parts_done: int = 0
    num_parts: int = 1

    @property
    def share(self) -> float:
        """Of the whole task, 0-1."""
        share = self.num_done / self.num_all if self.num_all else 0.0
        return min((self.num_parts_done + share) / self.num_parts, 1.0)


def _without_frames(error: Exception) -> Exception:
    """Drop the tracebacks of an error and its causes: their frames would keep the inputs of the work in memory."""
    one: BaseException | None = error
    while one:
        one.__traceback__ = None
        one = one.__cause__ or one.__context__
    return error


class Task(Generic[Result]):
    """A piece of work that waits, runs and ends in a `WorkQueue`. Any thread may read its state or stop it.

    Args:
        kind: What sort of work it is.
        key: Which work of this kind; a queue never runs the same work twice at once.
        work: Does the work. It calls `report` and polls `should_stop` of the task, and ends early with a
            `FeaturesStoppedError`, `DownloadStoppedError` or `ProjectStoppedError`. Idle work may be called again
            after that and goes on with what it has stored.
        preparation: Runs before the work, beside trainings; such as a download, which needs no model.
        lane: Where the work itself runs: `"models"` one at a time, `"light"` beside those because it uses no model or
            only scores photos, `"remote"` on other computers, as many at once as `may_begin` lets.
        priority: Which tasks it overtakes while they wait.
        subject: The exact inputs, where work with other inputs has the same key and takes its place.
        owner: Id of the pupil it is for; empty for the server's own.
    """

    def __init__(
        self,
        kind: TaskKind,
        key: Hashable,
        work: Callable[[Task[Result]], Result],
        *,
        preparation: Callable[[Task[Result]], object] | None = None,
        lane: Lane = "models",
        priority: Priority = Priority.INTERACTIVE,
        subject: object = None,
        owner: str = "",
    ) -> None:
        self.owner = owner
        self.kind = kind
        self.key = key
        self.priority = priority
        self.subject = subject
        self.state: TaskState = "waiting"
        self.progress = TaskProgress()
        self.result: Result | None = None
        self.error: Exception | None = None
        self.has_begun = False
        self._parts: deque[tuple[Lane, Callable[[Task[Result]], Any]]] = deque([(lane, work)])
        if preparation:
            self._parts.appendleft(("light", preparation))
        self._stop_requested = threading.Event()
        self._is_to_step_aside = False
        self._over = threading.Event()
        self._leave: Callable[[Task[Any]], None] = lambda task: None
        # Of the queue: its round, then its arrival.
        self.turn = (0, 0)

    @property
    def is_over(self) -> bool:
        """Whether it has ended: with a result, with an error, or stopped with neither."""
        return self._over.is_set()

    @property
    def problem(self) -> str:
        """Why there is no result, as a sentence for a person; empty when nothing went wrong."""
        if self.error is None or isinstance(self.error, TransferStudioError):
            return str(self.error or "")
        return _("Something unexpected went wrong ({kind}).").format(kind=type(self.error).__name__)

    def report(self, progress: TaskProgress) -> None:
        """Replace the progress. Called by the work."""
        self.progress = progress

    def reporter(self, part: str = "") -> OnProgress:
        """Return a callback for work that counts bytes or images.

        Args:
            part: Its name, for a person.
        """
        return lambda num_done, num_all: self.report(TaskProgress(part, num_done, num_all))

    def request_stop(self) -> None:
        """Make a waiting task leave the queue at once, and a running one end without a result."""
        self._stop_requested.set()
        self._leave(self)

    @property
    def is_stopping(self) -> bool:
        """Whether a stop was requested."""
        return self._stop_requested.is_set()

    def should_stop(self) -> bool:
        """Whether the work is to end early: for good, or until its next turn. Polled by the work."""
        return self.is_stopping or self._is_to_step_aside

    def wait(self, seconds: float | None = None) -> bool:
        """Block until the task is over, or for some seconds. Returns whether it is over."""
        return self._over.wait(seconds)

    # The rest is called by the queue alone.

    def enter(self, leave: Callable[[Task[Any]], None]) -> None:
        """Begin to wait in a queue, which `leave` takes the task out of again."""
        self._leave = leave

    @property
    def lane(self) -> Lane:
        """Where the next part runs."""
        return self._parts[0][0]

    def may_begin(self) -> bool:
        """Reserve room for the next part, and return whether there was enough. Called under the queue's lock.

        An error ends the task.
        """
        return True

    def begin_part(self) -> None:
        """Mark the task as running."""
        self.state = "running"
        self._is_to_step_aside = False

    def step_aside(self) -> None:
        """Make the part that runs end early and wait for another turn, in which it is run again."""
        self._is_to_step_aside = True

    def run_part(self) -> bool:
        """Run the next part and turn whatever it raises into `error`. Returns whether none is left to run."""
        self.has_begun = True
        lane, part = self._parts.popleft()
        try:
            result = part(self)
            if self._parts:
                self.progress = TaskProgress()
            else:
                self.result = result
        except _STOPPED:
            if self._is_to_step_aside and not self.is_stopping:
                self._parts.appendleft((lane, part))
            else:
                self._parts.clear()
        except Exception as error:
            level = logging.INFO if isinstance(error, TransferStudioError) else logging.ERROR
            _logger.log(level, "A task failed: %s", self.kind, exc_info=True)
            self.error = _without_frames(error)
            self._parts.clear()
        return not self._parts

    def end_unstarted(self, error: Exception | None = None) -> None:
        """End a task whose next part never ran. Called under the queue's lock.

        Args:
            error: Why it could not begin; None when it was stopped while it waited.
        """
        if isinstance(error, TransferStudioError):
            self.error = error
        elif error:
            text = _("This could not start ({reason}). Close other programs, then try again.")
            self.error = TransferStudioError(text.format(reason=error))
        self.close()

    def close(self) -> None:
        """Mark the task as over. Nothing keeps the inputs of the work any longer, such as an upload of 2 GB."""
        self._parts.clear()
        self.state = "over"
        self._over.set()
