"""SIGKILL of nodes and workers at random moments of trainings. Each must end with the weights of an undisturbed one."""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.cluster.raylets import Raylets, TooSlowError, executor_of, raylets, wait_until
from benchmarks.cluster.report import Report, Row
from benchmarks.endurance.training import SCENARIOS, difference, new_dataset
from transfer_core.data.dataset import ImageDataset
from transfer_core.events import PlaceLost, RunPlaced
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.run_folder import EVENTS_FILE
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.cluster.cluster_executor import ClusterExecutor
from transfer_core.workspace import Workspace

_NUM_NODES = 2
_KINDS = ("head", "live augmentation")
# Long enough for a checkpoint, which is written after five seconds of work.
_EPOCHS, _FINE_TUNE_EPOCHS = 350, 120
_MOST_KILLS_OF_A_RUN = 3
_SECONDS_OF_A_RUN = 240.0
_SECONDS_OF_A_NODE = 60.0


def measure_kills(folder: Path, num_kills: int, seconds: float, seed: int, report: Report) -> None:
    """Kill the raylet or the worker of running trainings, one after the other, and add a new node for each lost one.

    Args:
        folder: Empty folder.
        num_kills: To be done in all.
        seconds: After which no other training is begun.
        seed: Of the moments and victims.
        report: Gets the figures.
    """
    began_at, draw = time.monotonic(), random.Random(seed)
    workspace = Workspace(folder / "workspace")
    dataset = new_dataset(workspace)
    with raylets(folder / "cluster", _NUM_NODES) as cluster, executor_of(cluster, _NUM_NODES) as executor:
        trial = _Trial(cluster, executor, workspace, dataset, draw)
        references = {kind: trial.train(kind, 0) for kind in _KINDS}
        num_right = num_runs = 0
        while trial.num_kills < num_kills and time.monotonic() - began_at < seconds:
            kind = _KINDS[num_runs % len(_KINDS)]
            before = trial.num_kills
            run = trial.train(kind, min(draw.randint(1, _MOST_KILLS_OF_A_RUN), num_kills - before))
            problem = difference(run, references[kind])
            if problem:
                report.lost(f"After {trial.num_kills - before} kills of a training ({kind}): {problem}")
            num_runs += 1
            num_right += 0 if problem else trial.num_kills - before
    when = f"in {num_runs} trainings, seed {seed}"
    subject = "kills after which a training ended with the right weights"
    report.add(Row("kills", subject, num_right, num_kills, f"of {trial.num_kills}", True, when=when))


class _Trial:
    """Trains runs on a cluster and kills what carries them out.

    Args:
        cluster: Has two nodes.
        executor: Is connected to it.
        workspace: Gets the runs.
        dataset: The photos.
        draw: Of the moments and victims.
    """

    def __init__(
        self,
        cluster: Raylets,
        executor: ClusterExecutor,
        workspace: Workspace,
        dataset: ImageDataset,
        draw: random.Random,
    ) -> None:
        self._cluster, self._executor = cluster, executor
        self._workspace, self._dataset = workspace, dataset
        self._draw = draw
        self._seconds: dict[str, float] = {}
        self.num_kills = 0

    def train(self, kind: str, num_kills: int) -> TrainingRun:
        """Train one run; kill it up to so often, each time at a random moment after it was given a node."""
        choices = SCENARIOS[kind].with_changes(epochs=_EPOCHS, fine_tune_epochs=_FINE_TUNE_EPOCHS)
        run = TrainingRun.create(self._workspace, self._dataset, choices)
        log = EventLog(run.folder / EVENTS_FILE)
        thread = threading.Thread(
            target=self._executor, args=(self._workspace, run, log.append, lambda: False), daemon=True
        )
        thread.start()
        for number in range(1, num_kills + 1):
            self._wait_for(RunPlaced, number, run, thread)
            thread.join(self._draw.uniform(0, self._seconds[kind]))
            if not thread.is_alive():
                break
            self._kill(run)
            self._wait_for(PlaceLost, number, run, thread)
            wait_until(lambda: len(self._executor.nodes) >= _NUM_NODES, _SECONDS_OF_A_NODE, "No node came.")
        thread.join(_SECONDS_OF_A_RUN)
        if thread.is_alive():
            raise TooSlowError(f"A training ({kind}) did not end.")
        self._seconds.setdefault(kind, run.snapshot().seconds)
        return run

    def _wait_for(
        self, kind: type[PlaceLost] | type[RunPlaced], count: int, run: TrainingRun, thread: threading.Thread
    ) -> None:
        def has_come() -> bool:
            return sum(isinstance(event, kind) for event in run.events()) >= count or not thread.is_alive()

        wait_until(has_come, _SECONDS_OF_A_NODE, f"{kind.__name__} did not come.")

    def _kill(self, run: TrainingRun) -> None:
        """Kill the node of a run and add another, or kill all workers, of which one carries it out."""
        self.num_kills += 1
        if self._draw.random() < 0.5 and self._cluster.kill_node_of(run.id):
            self._cluster.add()
            return
        for worker in self._cluster.workers():
            with suppress(psutil.NoSuchProcess):
                worker.kill()
