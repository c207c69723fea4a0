"""The work queue: one task with a model at a time, in order of priority, light tasks beside it, and remote tasks."""

from __future__ import annotations

import itertools
import logging
import math
import threading
from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from transfer_core.errors import TransferStudioError
from transfer_core.work.task import Lane, Priority, Task, TaskKind

StartWorker = Callable[[Callable[[], None]], None]
Result = TypeVar("Result")

# A silent server must not keep the opening of a project waiting.
_NUM_LIGHT_AT_ONCE = 4
# Tasks of one person that are over keep their result for the pages; a map of 1,000 photos is about 4 MB.
_NUM_REMEMBERED_OF_A_KIND = 13

_logger = logging.getLogger(__name__)


def in_background_thread(work: Callable[[], None]) -> None:
    """Start work in a thread that does not keep the process alive."""
    threading.Thread(target=work, name="work", daemon=True).start()


@dataclass
class _Rounds:
    """Rounds of the tasks of one priority: each person's next task goes one round later than the one before.

    Args:
        current: Of the task that began last. Who comes new does not catch up on earlier rounds.
        last: The round of each person's latest task.
    """

    current: int = 1
    last: dict[str, int] = field(default_factory=dict)

    def next_of(self, owner: str) -> int:
        self.last[owner] = max(self.current, self.last.get(owner, 0) + 1)
        return self.last[owner]


@dataclass
class _Lane:
    """Tasks that run beside each other, and those that wait for them.

    Args:
        size: Most tasks at once; infinite where `Task.may_begin` alone decides.
        is_held: Whether none may begin.
    """

    size: float
    is_held: bool = False
    running: list[Task[Any]] = field(default_factory=list)
    waiting: list[Task[Any]] = field(default_factory=list)
    rounds: dict[Priority, _Rounds] = field(default_factory=lambda: {each: _Rounds() for each in Priority})

    @property
    def has_room(self) -> bool:
        return len(self.running) < self.size and not self.is_held

    def insert(self, task: Task[Any]) -> None:
        insort(self.waiting, task, key=lambda waiting: (waiting.priority, waiting.turn))


_Begun = tuple[_Lane, Task[Any]]


def _place_of(task: Task[Any]) -> tuple[str, TaskKind, Hashable]:
    return task.owner, task.kind, task.key


class WorkQueue:
    """Runs cancellable tasks and remembers how they ended.

    Tasks that use a model run one at a time: those of a lower `Priority` number first. Inside one priority the queue
    goes round by person, and takes the tasks of one person in the order in which they came: start-time fair queuing
    (Goyal, Vin and Cheng, 1996, after Demers, Keshav and Shenker, 1989), where each task costs the same.

    A task that has begun is never interrupted by another one, except for idle tasks: they step aside for any other and
    go on later. Light tasks run beside them, a few at once.

    Remote tasks run on other computers, in the same fair order and as many at once as their `may_begin` finds room for.
    The first that waits is never overtaken by one behind it, however little that needs.

    Args:
        start_worker: Starts a thread that works until nothing waits any more.
        on_change: Called after a task began to wait, began to run, moved or ended, by the thread that did it.
    """

    def __init__(
        self,
        start_worker: StartWorker = in_background_thread,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._start_worker = start_worker
        self._on_change = on_change
        self._lock = threading.Lock()
        self._arrivals = itertools.count(1)
        self._lanes: dict[Lane, _Lane] = {
            "models": _Lane(1),
            "light": _Lane(_NUM_LIGHT_AT_ONCE),
            "remote": _Lane(math.inf),
        }
        # People may hold copies of the same photos and models, so that ids alone do not say whose work it is.
        self._tasks: dict[tuple[str, TaskKind, Hashable], Task[Any]] = {}
        # Of each owner and kind, those that are over, the earliest first.
        self._over: defaultdict[tuple[str, TaskKind], dict[Hashable, Task[Any]]] = defaultdict(dict)
        self._num_in_foreground = 0

    def start(self, task: Task[Result]) -> Task[Result]:
        """Queue a task, unless the same work waits or runs already.

        A task that no thread can be started for is over at once, with an `error`.

        Args:
            task: A new task. It takes the place of one with the same owner, kind and key that is over.

        Returns:
            The task that does the work: this one, or an earlier one that is not over.
        """
        place = _place_of(task)
        with self._lock:
            known = self._tasks.get(place)
            if known and not known.is_over:
                return known
            if known:
                self._forget(known)
            self._tasks[place] = task
            task.enter(self._leave)
            begun = self._begin(self._enter(task))
        self._start(begun)
        self._on_change()
        return task

    def get_or_start(self, task: Task[Result]) -> Task[Result]:
        """Return the latest task for the same work, even if it is over; queue this one if there was none."""
        return self.find(task.kind, task.key, task.owner) or self.start(task)

    def find(self, kind: TaskKind, key: Hashable, owner: str = "") -> Task[Any] | None:
        """Return the latest task of an owner for some work, waiting, running or over; None if there was none lately."""
        return self._tasks.get((owner, kind, key))

    def tasks(self, kind: TaskKind) -> list[Task[Any]]:
        """Return the tasks of a kind that wait, run or ended lately, the earliest first."""
        with self._lock:
            return [task for task in self._tasks.values() if task.kind == kind]

    def tasks_of(self, owner: str) -> list[Task[Any]]:
        """Return all tasks of a pupil that wait or run."""
        with self._lock:
            return [task for task in self._tasks.values() if task.owner == owner and not task.is_over]

    def forget(self, task: Task[Any]) -> None:
        """Drop a task that is over, with its result. Any other task is left alone."""
        with self._lock:
            if task.is_over and self._tasks.get(_place_of(task)) is task:
                self._forget(task)

    def forget_results(self, owner: str) -> None:
        """Drop the tasks of a person that are over, with their results."""
        with self._lock:
            for task in list(self._tasks.values()):
                if task.owner == owner and task.is_over:
                    self._forget(task)

    def ahead_of(self, task: Task[Any]) -> list[Task[Any]]:
        """Return what runs or waits before a task; nothing when the task does not wait."""
        with self._lock:
            for lane in self._lanes.values():
                if task in lane.waiting:
                    return [*lane.running, *lane.waiting[: lane.waiting.index(task)]]
        return []

    def in_order(self, kind: TaskKind) -> list[Task[Any]]:
        """Return the tasks of a kind that run or wait, in the order of their turns."""
        with self._lock:
            tasks = [task for lane in self._lanes.values() for task in (*lane.running, *lane.waiting)]
        return [task for task in tasks if task.kind == kind]

    def move_first(self, task: Task[Any]) -> None:
        """Let a waiting task go before all others of its priority. One that does not wait is left alone."""
        # Rounds begin with 1; of two that were moved, the later goes first.
        self._move(task, lambda _lane: (0, -next(self._arrivals)))

    def move_last(self, task: Task[Any]) -> None:
        """Let a waiting task go after all of its priority that wait now. One that does not wait is left alone."""

        def last(lane: _Lane) -> tuple[int, int]:
            same = [other.turn[0] for other in lane.waiting if other.priority == task.priority]
            return max(same), next(self._arrivals)

        self._move(task, last)

    def begin_waiting(self) -> None:
        """Begin the waiting tasks that there is room for by now. Any thread that does not hold the lock may call it."""
        with self._lock:
            begun = self._begin(*self._lanes.values())
        if begun:
            self._start(begun)
            self._on_change()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Begin no task but light ones while the block runs; new ones wait."""
        held = self._lanes["models"], self._lanes["remote"]
        with self._lock:
            for lane in held:
                lane.is_held = True
        try:
            yield
        finally:
            with self._lock:
                for lane in held:
                    lane.is_held = False
            self.begin_waiting()

    @contextmanager
    def foreground(self) -> Iterator[None]:
        """Let idle tasks pause while the block runs, such as the drawing of a page."""
        with self._lock:
            self._num_in_foreground += 1
        try:
            yield
        finally:
            with self._lock:
                self._num_in_foreground -= 1

    def is_anybody_waiting(self) -> bool:
        """Whether a block in the foreground or a light task runs. Polled by idle tasks."""
        return self._num_in_foreground > 0 or any(
            task.priority != Priority.IDLE for task in self._lanes["light"].running
        )

    def are_others_waiting(self, owner: str, lane: Lane = "models") -> bool:
        """Whether another person waits for their turn in a lane. Look-ahead waits for nobody."""
        with self._lock:
            waiting = self._lanes[lane].waiting
            return any(task.owner != owner and task.priority != Priority.IDLE for task in waiting)

    def _remember(self, task: Task[Any]) -> None:
        """Keep the latest tasks of an owner and kind that are over, and forget the oldest. The lock is held."""
        over = self._over[task.owner, task.kind]
        over[task.key] = task
        if len(over) > _NUM_REMEMBERED_OF_A_KIND:
            self._forget(next(iter(over.values())))

    def _forget(self, task: Task[Any]) -> None:
        """Drop a task that is over. The lock is held."""
        self._tasks.pop(_place_of(task), None)
        self._over[task.owner, task.kind].pop(task.key, None)

    def _enter(self, task: Task[Any]) -> _Lane:
        """Let a task wait in its lane; if that is full, idle tasks in it step aside. The lock is held."""
        lane = self._lanes[task.lane]
        task.state = "waiting"
        task.turn = lane.rounds[task.priority].next_of(task.owner), next(self._arrivals)
        lane.insert(task)
        for running in () if lane.has_room else lane.running:
            if task.priority < running.priority == Priority.IDLE:
                running.step_aside()
        return lane

    def _begin(self, *lanes: _Lane) -> list[_Begun]:
        """Begin the first tasks of lanes as far as there is room, and return them. The lock is held."""
        begun = []
        for lane in lanes:
            while lane.waiting and lane.has_room:
                task = lane.waiting[0]
                try:
                    if not task.may_begin():
                        break
                except Exception as error:
                    level = logging.INFO if isinstance(error, TransferStudioError) else logging.ERROR
                    _logger.log(level, "A task could not begin: %s", task.kind, exc_info=True)
                    task.end_unstarted(error)
                    lane.waiting.remove(task)
                    self._remember(task)
                    continue
                lane.waiting.remove(task)
                rounds = lane.rounds[task.priority]
                rounds.current = max(rounds.current, task.turn[0])
                task.begin_part()
                lane.running.append(task)
                begun.append((lane, task))
        return begun

    def _start(self, begun: Iterable[_Begun]) -> None:
        """Start a worker for each task that has begun."""
        for lane, task in begun:
            try:
                self._start_worker(partial(self._work, lane, task))
            except (RuntimeError, OSError) as error:
                self._give_up(lane, task, error)

    def _give_up(self, lane: _Lane, task: Task[Any], error: Exception) -> None:
        with self._lock:
            lane.running.remove(task)
            task.end_unstarted(error)
            self._remember(task)
            if not lane.running:
                # No worker would ever take those that came in meanwhile, either.
                while lane.waiting:
                    other = lane.waiting.pop(0)
                    other.end_unstarted(error)
                    self._remember(other)

    def _move(self, task: Task[Any], turn: Callable[[_Lane], tuple[int, int]]) -> None:
        begun: list[_Begun] = []
        with self._lock:
            for lane in self._lanes.values():
                if task in lane.waiting:
                    task.turn = turn(lane)
                    lane.waiting.remove(task)
                    lane.insert(task)
                    begun = self._begin(lane)
        self._start(begun)
        self._on_change()

    def _work(self, lane: _Lane, task: Task[Any] | None) -> None:
        while task:
            is_over = task.run_part()
            with self._lock:
                lane.running.remove(task)
                lanes = [lane]
                if is_over or task.is_stopping:
                    task.close()
                    self._remember(task)
                else:
                    lanes.append(self._enter(task))
                begun = self._begin(*lanes)
            # This thread goes on with the next task of its lane.
            following = next((each for each in begun if each[0] is lane), None)
            self._start(each for each in begun if each is not following)
            self._on_change()
            task = following[1] if following else None

    def _leave(self, task: Task[Any]) -> None:
        begun: list[_Begun] = []
        with self._lock:
            for lane in self._lanes.values():
                if task in lane.waiting:
                    task.end_unstarted()
                    lane.waiting.remove(task)
                    self._remember(task)
                    # The next one may need less.
                    begun = self._begin(lane)
        self._start(begun)
        self._on_change()
