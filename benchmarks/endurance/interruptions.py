"""Stops and pauses of new and resumed trainings at random moments. No best model or checkpoint may be lost."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from benchmarks.endurance.training import SCENARIOS, difference, new_dataset, queue_of, silence
from benchmarks.endurance.trials import Budget, Report, call_in_process, try_often
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import WorkspaceError
from transfer_core.events import TrainingEvent
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.execute import Emit, execute_run_safely
from transfer_core.work.trainings import Trainings
from transfer_core.workspace import Workspace

_NAMES = ("head", "fine-tuning", "live augmentation", "automatic head")
_WAYS = ("stop", "pause", "cut off, resume, stop", "cut off, resume, pause")
# Cached features are float16, and a saved model computes in float32.
_MAX_LOSS_DIFFERENCE = 2e-3

Act = Callable[[Trainings, str], None]


class CutOffError(WorkspaceError):
    """Like the error of a full disk: the run is interrupted and can be resumed."""


class _Moments:
    """Count the events and `should_stop` calls of a run, and act at one of them.

    Args:
        act: Called once.
        moment: Count at which to act; 0 never acts.
    """

    def __init__(self, act: Act, moment: int) -> None:
        self.count = 0
        self.queue: Trainings | None = None
        self._act = act
        self._moment = moment

    def execute(
        self, workspace: Workspace, run: TrainingRun, emit: Emit, should_stop: Callable[[], bool]
    ) -> None:
        def emit_counted(event: TrainingEvent) -> None:
            self._pass(run.id)
            emit(event)

        def should_stop_counted() -> bool:
            self._pass(run.id)
            return should_stop()

        execute_run_safely(workspace, run, emit_counted, should_stop_counted)

    def _pass(self, run_id: str) -> None:
        self.count += 1
        if self.count == self._moment:
            assert self.queue is not None
            self._act(self.queue, run_id)


def interruptions(budget: Budget) -> Report:
    """Stop and pause each kind of training in turn."""
    workspace = Workspace(budget.folder / "reference")
    dataset = new_dataset(workspace)
    references: dict[str, tuple[TrainingRun, int]] = {}

    def trial(number: int) -> str:
        name = _NAMES[number % len(_NAMES)]
        choices = SCENARIOS[name].to_dict()
        if name not in references:
            run_id, num_moments = call_in_process(_train_undisturbed, workspace.root, dataset.id, choices)
            references[name] = TrainingRun.load(workspace, run_id), num_moments
        reference, num_moments = references[name]
        way = _WAYS[(number + number // len(_NAMES)) % len(_WAYS)]
        # The second moment is within the resumed run, which starts anywhere in the first half.
        moments = [int(moment) for moment in budget.draws(number).integers(1, num_moments + 1, 2)]
        run_id = call_in_process(_interrupt, workspace.root, dataset.id, choices, way, moments)
        problem = _problem(TrainingRun.load(workspace, run_id))
        if not problem and TrainingRun.load(workspace, run_id).snapshot().outcome == "interrupted":
            call_in_process(_resume_quietly, workspace.root, run_id)
        ended = TrainingRun.load(workspace, run_id)
        if not problem and ended.snapshot().outcome == "finished":
            problem = difference(ended, reference)
        return problem and f"{name}, {way} at {moments} of {num_moments}: {problem}"

    return try_often(budget, trial)


def _train_undisturbed(root: Path, dataset_id: str, choices: dict[str, object]) -> tuple[str, int]:
    """Train to the end; return the id of the run and at how many moments it could have been disturbed."""
    moments = _Moments(lambda queue, run_id: None, 0)
    return _submit(Workspace(root), dataset_id, choices, moments), moments.count


def _interrupt(root: Path, dataset_id: str, choices: dict[str, object], way: str, moments: list[int]) -> str:
    """Train with an interruption and return the id of the run."""
    silence()
    workspace = Workspace(root)
    # As in the undisturbed training, features are computed, which can be disturbed as well.
    shutil.rmtree(workspace.cache_dir)
    *cut_off, disturbance = way.split(", ")
    act = _stop if disturbance == "stop" else _pause_for_a_moment
    if not cut_off:
        return _submit(workspace, dataset_id, choices, _Moments(act, moments[0]))
    run_id = _submit(workspace, dataset_id, choices, _Moments(_cut_off, moments[0]))
    if TrainingRun.load(workspace, run_id).snapshot().outcome == "interrupted":
        _resume(workspace, run_id, _Moments(act, moments[1] // 2 + 1))
    return run_id


def _resume_quietly(root: Path, run_id: str) -> None:
    _resume(Workspace(root), run_id, _Moments(lambda queue, run_id: None, 0))


def _submit(workspace: Workspace, dataset_id: str, choices: dict[str, object], moments: _Moments) -> str:
    moments.queue, work = queue_of(workspace, moments.execute)
    run_id = moments.queue.submit(ImageDataset.load(workspace, dataset_id), TrainingConfig.from_dict(choices))
    work()
    return run_id


def _resume(workspace: Workspace, run_id: str, moments: _Moments) -> None:
    moments.queue, work = queue_of(workspace, moments.execute)
    moments.queue.resume(run_id)
    work()


def _stop(queue: Trainings, run_id: str) -> None:
    queue.request_stop(run_id)


def _pause_for_a_moment(queue: Trainings, run_id: str) -> None:
    queue.pause(run_id)
    threading.Timer(0.02, queue.go_on, [run_id]).start()


def _cut_off(queue: Trainings, run_id: str) -> None:
    raise CutOffError("The disk is full.")


def _problem(run: TrainingRun) -> str:
    """Return the loss that an interruption has caused, empty if there is none."""
    snapshot = run.snapshot()
    if snapshot.outcome in (None, "failed"):
        return f"the run ended as {snapshot.outcome}: {snapshot.message}"
    if snapshot.outcome == "interrupted":
        return "" if run.has_checkpoint or not snapshot.epochs else "the checkpoint is lost"
    if snapshot.best is None:
        return "there is a model, and no epoch" if run.has_model else ""
    if not run.has_model:
        return f"epoch {snapshot.best.epoch} was reported, and there is no model"
    evaluation = run.evaluation()
    if evaluation is None:
        return "" if snapshot.outcome == "stopped" else "the model was not scored"
    if abs(evaluation.accuracy - snapshot.best.val_accuracy) > 1 / evaluation.num_images + 1e-9:
        accuracies = f"{snapshot.best.val_accuracy:.3f}, and of the saved model {evaluation.accuracy:.3f}"
        return f"the accuracy of the best epoch was {accuracies}"
    if evaluation.temperature == 1.0 and (
        evaluation.log_loss > snapshot.best.val_loss + _MAX_LOSS_DIFFERENCE
    ):
        losses = f"{snapshot.best.val_loss:.4f}, and of the saved model {evaluation.log_loss:.4f}"
        return f"the loss of the best epoch was {losses}"
    return ""
