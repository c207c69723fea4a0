"""The work queue: order, lanes, stop, failure and memory, with tasks that a test moves by hand."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Hashable, Iterator
from functools import partial

import pytest

from transfer_core.errors import TrainingError
from transfer_core.training.features.feature_cache import FeaturesStoppedError
from transfer_core.work.queue import WorkQueue
from transfer_core.work.task import Priority, Task, TaskProgress

PATIENCE = 30  # seconds until a test gives up; nothing waits that long


class HandTask(Task[str]):
    """Runs until the test ends it, and obeys a stop only then, as work does after a batch."""

    def __init__(self, kind: str, key: Hashable = 1, **options: object) -> None:
        super().__init__(kind, key, self.carry_out, **options)
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.raises: Exception | None = None

    def carry_out(self, task: Task[str]) -> str:
        self.begun.set()
        assert self.may_end.wait(PATIENCE)
        if self.raises:
            raise self.raises
        if task.should_stop():
            raise FeaturesStoppedError
        return f"{self.kind} {self.key}"

    def end(self) -> None:
        self.may_end.set()
        assert self.wait(PATIENCE)


@pytest.fixture
def make() -> Iterator[Callable[..., HandTask]]:
    made: list[HandTask] = []

    def make(*arguments: object, **options: object) -> HandTask:
        made.append(HandTask(*arguments, **options))
        return made[-1]

    yield make
    for task in made:
        task.may_end.set()


@pytest.fixture
def training(make) -> Callable[[int], HandTask]:
    return lambda number: make("training", number, priority=Priority.TRAINING)


@pytest.fixture
def queue() -> WorkQueue:
    return WorkQueue()


class IdleTask(Task[int]):
    """Obeys at once, and counts its turns in its result."""

    def __init__(self, key: Hashable = 1) -> None:
        super().__init__("look-ahead", key, self.carry_out, priority=Priority.IDLE)
        self.turns, self.num_turns, self.may_end = threading.Semaphore(0), 0, threading.Event()

    def carry_out(self, task: Task[int]) -> int:
        self.num_turns += 1
        self.turns.release()
        while not self.may_end.wait(0.001):
            if task.should_stop():
                raise FeaturesStoppedError
        return self.num_turns

    def wait_for_turn(self) -> None:
        assert self.turns.acquire(timeout=PATIENCE)


@pytest.fixture
def idle() -> Iterator[Callable[..., IdleTask]]:
    made: list[IdleTask] = []

    def make(key: Hashable = 1) -> IdleTask:
        made.append(IdleTask(key))
        return made[-1]

    yield make
    for task in made:
        task.may_end.set()


def states(*tasks: Task[str]) -> list[str]:
    return [task.state for task in tasks]


def test_tasks_run_one_at_a_time_and_keep_their_results(queue, make) -> None:
    first, second = queue.start(make("audition", 1)), queue.start(make("audition", 2))
    assert states(first, second) == ["running", "waiting"]
    first.end()
    assert second.begun.wait(PATIENCE)
    assert states(first, second) == ["over", "running"]
    second.end()
    assert (first.result, second.result) == ("audition 1", "audition 2")
    assert queue.find("audition", 1) is first
    third = queue.start(make("audition", 3))
    third.end()
    assert third.result == "audition 3"


def test_what_a_person_waits_for_overtakes_waiting_trainings_but_not_the_one_under_way(
    queue, make, training
) -> None:
    trainings = [queue.start(training(number)) for number in range(3)]
    export, rate_search = queue.start(make("export")), queue.start(make("rate search"))
    assert queue.ahead_of(trainings[2]) == [trainings[0], export, rate_search, trainings[1]]
    assert queue.ahead_of(trainings[0]) == []
    for task in (trainings[0], export, rate_search, trainings[1], trainings[2]):
        assert task.begun.wait(PATIENCE)
        assert sum(state == "running" for state in states(export, rate_search, *trainings)) == 1
        task.end()


def test_light_tasks_run_beside_a_training_a_few_at_once(queue, make, training) -> None:
    queue.start(training(1))
    downloads = [queue.start(make("download", number, lane="light")) for number in range(5)]
    assert states(*downloads) == ["running"] * 4 + ["waiting"]
    downloads[2].end()
    assert downloads[4].begun.wait(PATIENCE)


def test_preparation_runs_beside_a_training_and_the_work_after_it(queue, make, training) -> None:
    first = queue.start(training(1))
    downloaded = threading.Event()

    def download(task: Task[str]) -> None:
        task.report(TaskProgress("Runtime", 1, 2))
        assert task.progress.share == 0.5
        downloaded.set()

    export = make("export", preparation=download)
    behind = training(2)
    queue.start(export)
    assert downloaded.wait(PATIENCE)
    while export.state == "running":
        pass
    assert export.progress == TaskProgress()
    queue.start(behind)
    assert states(export, behind) == ["waiting", "waiting"]
    first.end()
    export.end()
    assert export.result == "export 1"


@pytest.mark.parametrize("way", ["fails", "is stopped"])
def test_work_whose_preparation_did_not_succeed_never_begins(queue, make, way: str) -> None:
    def download(task: Task[str]) -> None:
        if way == "fails":
            raise TrainingError("No way to the server.")
        task.request_stop()

    export = queue.start(make("export", preparation=download))
    assert export.wait(PATIENCE)
    assert not export.begun.is_set()
    assert export.problem == ("No way to the server." if way == "fails" else "")
    assert export.result is None


def test_waiting_task_that_is_stopped_leaves_at_once(queue, make) -> None:
    first, second, third = (queue.start(make("audition", number)) for number in range(3))
    second.request_stop()
    assert states(first, second, third) == ["running", "over", "waiting"]
    assert queue.ahead_of(third) == [first]
    first.end()
    assert third.begun.wait(PATIENCE)
    assert not second.begun.is_set()
    assert (second.result, second.problem) == (None, "")


def test_running_task_that_is_stopped_ends_without_a_result(queue, make) -> None:
    task = queue.start(make("audition"))
    task.request_stop()
    assert task.should_stop()
    assert task.state == "running"
    task.end()
    assert (task.result, task.problem, task.error) == (None, "", None)


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (TrainingError("The disk is full."), "The disk is full."),
        (ZeroDivisionError(), "Something unexpected went wrong (ZeroDivisionError)."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_task_that_fails_says_why_and_the_next_one_runs(queue, make, error: Exception, problem: str) -> None:
    failing, following = queue.start(make("export", 1)), queue.start(make("export", 2))
    failing.raises = error
    failing.end()
    assert (failing.result, failing.problem, failing.error) == (None, problem, error)
    following.end()
    assert following.result == "export 2"


def test_same_work_is_not_begun_twice(queue, make) -> None:
    task = queue.start(make("audition", "photos"))
    twin, other = make("audition", "photos"), make("audition", "other photos")
    assert queue.start(twin) is task
    queue.start(other)
    assert queue.start(make("audition", "other photos")) is other
    task.end()
    other.end()
    assert not twin.begun.is_set()
    again = make("audition", "photos")
    assert queue.start(again) is again
    assert queue.find("audition", "photos") is again
    assert queue.tasks("audition") == [other, again]


def test_two_windows_that_start_the_same_work_at_once_get_one_task(queue, make) -> None:
    barrier, got = threading.Barrier(8), []

    def start() -> None:
        task = make("export")
        barrier.wait(PATIENCE)
        got.append(queue.start(task))

    windows = [threading.Thread(target=start) for _number in range(8)]
    for window in windows:
        window.start()
    for window in windows:
        window.join(PATIENCE)
    assert len(got) == 8
    assert len(set(got)) == 1


def test_only_a_task_that_is_over_is_forgotten(queue, make) -> None:
    task = queue.start(make("download"))
    queue.forget(task)
    assert queue.find("download", 1) is task
    task.end()
    again = queue.start(make("download"))
    queue.forget(task)
    assert queue.find("download", 1) is again
    again.end()
    queue.forget(again)
    assert queue.find("download", 1) is None


def test_of_many_tasks_of_a_kind_the_latest_results_are_remembered(queue, make) -> None:
    kept = queue.start(make("export"))
    kept.end()
    under_way = queue.start(make("audition", "under way"))
    for number in range(30):
        queue.start(make("download", number, lane="light")).end()
    assert 10 <= len(queue.tasks("download")) <= 15
    assert queue.find("download", 29).result == "download 29"
    assert queue.find("download", 0) is None
    assert queue.find("export", 1) is kept
    assert queue.find("audition", "under way") is under_way


@pytest.mark.parametrize("way", ["runs", "leaves", "fails"])
def test_nothing_keeps_the_inputs_of_a_task_that_is_over(queue, make, way: str) -> None:
    class Upload:
        """2 GB."""

    def open_it(_task: Task[str], content: Upload) -> str:
        if way == "fails":
            try:
                raise OSError(str(content))
            except OSError as error:
                raise TrainingError("It is damaged.") from error
        return str(content)

    upload = Upload()
    kept = weakref.ref(upload)
    running = queue.start(make("audition")) if way == "leaves" else None
    task = queue.start(Task("project opening", 1, partial(open_it, content=upload)))
    del upload
    if running:
        task.request_stop()
    assert task.wait(PATIENCE)
    if running:
        running.end()
    gc.collect()
    assert kept() is None
    assert queue.find("project opening", 1) is task


@pytest.mark.parametrize("kind", ["training", "export"])
def test_idle_task_steps_aside_for_any_other_and_goes_on_when_nothing_waits(
    queue, make, training, idle, kind: str
) -> None:
    look_ahead = queue.start(idle())
    look_ahead.wait_for_turn()
    first = queue.start(training(1) if kind == "training" else make(kind))
    assert first.begun.wait(PATIENCE)
    second = queue.start(training(2))
    assert states(look_ahead, first, second) == ["waiting", "running", "waiting"]
    assert queue.ahead_of(look_ahead) == [first, second]
    first.end()
    assert second.begun.wait(PATIENCE)
    assert states(look_ahead, second) == ["waiting", "running"]
    second.end()
    look_ahead.wait_for_turn()
    look_ahead.may_end.set()
    assert look_ahead.wait(PATIENCE)
    assert (look_ahead.result, look_ahead.problem) == (2, "")


def test_idle_task_keeps_its_progress_when_it_steps_aside(queue, training, idle) -> None:
    look_ahead = queue.start(idle())
    look_ahead.wait_for_turn()
    look_ahead.report(TaskProgress("", 3, 8))
    assert queue.start(training(1)).begun.wait(PATIENCE)
    assert look_ahead.progress == TaskProgress("", 3, 8)


def test_idle_tasks_run_one_after_the_other_beside_light_ones(queue, make, idle) -> None:
    first, second = queue.start(idle(1)), queue.start(idle(2))
    first.wait_for_turn()
    queue.start(make("download", lane="light")).end()
    assert states(first, second) == ["running", "waiting"]
    first.may_end.set()
    second.wait_for_turn()
    assert (first.result, second.state) == (1, "running")


@pytest.mark.parametrize("state", ["running", "waiting"])
def test_idle_task_that_is_stopped_is_over(queue, training, idle, state: str) -> None:
    look_ahead = queue.start(idle())
    look_ahead.wait_for_turn()
    if state == "waiting":
        other = queue.start(training(1))
        assert other.begun.wait(PATIENCE)
        look_ahead.request_stop()
        assert look_ahead.is_over
        other.end()
    look_ahead.request_stop()
    assert look_ahead.wait(PATIENCE)
    assert (look_ahead.num_turns, look_ahead.result, look_ahead.problem) == (1, None, "")
    assert queue.start(training(2)).begun.wait(PATIENCE)


def test_idle_tasks_know_when_somebody_waits(queue, make, idle) -> None:
    queue.start(idle()).wait_for_turn()
    assert not queue.is_anybody_waiting()
    with queue.foreground(), queue.foreground():
        assert queue.is_anybody_waiting()
    assert not queue.is_anybody_waiting()
    answers = queue.start(make("answers", lane="light"))
    assert queue.is_anybody_waiting()
    answers.end()
    assert answers.wait(PATIENCE)


def test_task_whose_thread_cannot_start_is_over_and_nothing_is_blocked(make) -> None:
    has_threads = False
    meanwhile = make("audition", "meanwhile")

    def start_worker(work: Callable[[], None]) -> None:
        if not has_threads:
            queue.start(meanwhile)
            raise RuntimeError("can't start new thread")
        threading.Thread(target=work, daemon=True).start()

    queue = WorkQueue(start_worker)
    task = queue.start(make("audition"))
    for left in (task, meanwhile):
        assert left.state == "over"
        assert not left.has_begun
        assert "This could not start" in left.problem
        assert "(can't start new thread)" in left.problem
    has_threads = True
    again = queue.start(make("audition"))
    assert again.begun.wait(PATIENCE)


def test_share_of_the_whole_task() -> None:
    assert TaskProgress().share == 0.0
    assert TaskProgress("Photos", 6, 24, 1, 2).share == 0.625
    assert TaskProgress("Photos", 30, 24).share == 1.0


@pytest.fixture
def of(make) -> Callable[[str, int], HandTask]:
    """Return a training of a person, with a number of theirs."""
    return lambda owner, number: make("training", f"{owner}{number}", priority=Priority.TRAINING, owner=owner)


def order_of(queue: WorkQueue) -> list[Hashable]:
    return [task.key for task in queue.in_order("training")]


def test_queue_goes_round_by_person(queue, of) -> None:
    greedy = [queue.start(of("a", number)) for number in range(5)]
    b1, b2, c1 = (queue.start(of(*key)) for key in (("b", 1), ("b", 2), ("c", 1)))
    assert order_of(queue) == ["a0", "b1", "c1", "a1", "b2", "a2", "a3", "a4"]
    assert queue.ahead_of(c1) == [greedy[0], b1]
    for task in (greedy[0], b1):
        assert task.begun.wait(PATIENCE)
        task.end()
    assert c1.begun.wait(PATIENCE)
    assert order_of(queue) == ["c1", "a1", "b2", "a2", "a3", "a4"]
    assert not b2.begun.is_set()


def test_who_comes_late_waits_for_one_round_and_catches_up_on_none(queue, of) -> None:
    tasks = [queue.start(of("a", number)) for number in range(4)]
    for task in tasks[:2]:
        assert task.begun.wait(PATIENCE)
        task.end()
    assert tasks[2].begun.wait(PATIENCE)
    for number in range(3):
        queue.start(of("b", number))
    assert order_of(queue) == ["a2", "b0", "a3", "b1", "b2"]


def test_trainings_of_one_person_are_carried_out_as_they_came(queue, of) -> None:
    for number in range(5):
        queue.start(of("", number))
    assert order_of(queue) == [f"{number}" for number in range(5)]


def test_teacher_moves_a_training_to_the_front_and_to_the_end(queue, of) -> None:
    for owner in "abcd":
        queue.start(of(owner, 1))
    c, d = queue.find("training", "c1", "c"), queue.find("training", "d1", "d")
    queue.move_first(d)
    assert order_of(queue) == ["a1", "d1", "b1", "c1"]
    queue.move_first(c)
    queue.start(of("e", 1))
    assert order_of(queue) == ["a1", "c1", "d1", "b1", "e1"]
    queue.move_last(c)
    assert order_of(queue) == ["a1", "d1", "b1", "e1", "c1"]
    running = queue.find("training", "a1", "a")
    queue.move_last(running)
    running.end()
    queue.move_first(running)
    assert d.begun.wait(PATIENCE)
    assert order_of(queue) == ["d1", "b1", "e1", "c1"]


def test_held_queue_begins_nothing_with_a_model_until_it_is_released(queue, make, training) -> None:
    with queue.held():
        first, light = queue.start(training(1)), queue.start(make("download", lane="light"))
        assert light.begun.wait(PATIENCE)
        assert states(first) == ["waiting"]
    assert first.begun.wait(PATIENCE)


def test_each_change_of_the_order_is_reported_after_it_was_made(training) -> None:
    seen: list[list[str]] = []
    queue = WorkQueue(on_change=lambda: seen.append(states(*queue.in_order("training"))))
    first, second = queue.start(training(1)), queue.start(training(2))
    assert seen == [["running"], ["running", "waiting"]]
    second.request_stop()
    assert seen[-1] == ["running"]
    first.end()
    while seen[-1]:
        pass


def test_results_of_one_pupil_do_not_push_out_those_of_another(queue, make) -> None:
    first = queue.start(make("image map", "a", owner="a"))
    first.end()
    for number in range(20):
        queue.start(make("image map", number, owner="b")).end()
    assert queue.find("image map", "a", "a") is first
    assert len(queue.tasks("image map")) == 1 + 13  # with the latest


def test_the_same_work_of_two_people_is_not_one_task(queue, make) -> None:
    # Who was handed the photos of another one has them under the same id.
    anna, ben = make("audition", "photos", owner="anna"), make("audition", "photos", owner="ben")
    assert queue.start(anna) is anna and queue.start(ben) is ben
    assert queue.find("audition", "photos", "anna") is anna
    assert queue.find("audition", "photos") is None
