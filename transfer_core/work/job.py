"""Work behind the pages that is no training, such as downloads, auditions or exports. It reports how far it is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.published.zoo_weights import WeightsFile, download_weights
from transfer_core.backbones.registry import get_backbone
from transfer_core.backbones.runtime import load_keras
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.download import DownloadStoppedError
from transfer_core.errors import TransferStudioError
from transfer_core.evaluation.audition import AuditionScore, audition
from transfer_core.export.bundle import ExportBundle, export_run
from transfer_core.export.formats import get_format
from transfer_core.export.preparation import prepare
from transfer_core.language import _
from transfer_core.projects.archive import ProjectStoppedError
from transfer_core.projects.open import OpenedProject, open_project
from transfer_core.projects.plan import ProjectPlan
from transfer_core.projects.save import save_project
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.features.feature_cache import FeaturesStoppedError
from transfer_core.training.rate_finder import RateCurve, find_learning_rate
from transfer_core.types import OnProgress
from transfer_core.work.run_queue import RunQueue, in_background_thread
from transfer_core.work.turns import StoppedWaitingError
from transfer_core.workspace import Workspace

_logger = logging.getLogger(__name__)

Result = TypeVar("Result")
_STOPPED = (DownloadStoppedError, FeaturesStoppedError, ProjectStoppedError, StoppedWaitingError)


@dataclass(frozen=True)
class JobProgress:
    """How far a job is.

    Args:
        part: Which part of it is under way, for a person; empty while it waits.
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
        """Of the whole job, 0-1."""
        share = self.num_done / self.num_all if self.num_all else 0.0
        return min((self.num_parts_done + share) / self.num_parts, 1.0)


class Job(Generic[Result]):
    """One piece of work on a thread of its own; any thread may look at it or stop it.

    Args:
        work: Does it. It tells by `report` how far it is and asks `should_stop`.
    """

    def __init__(self, work: Callable[[Job[Result]], Result]) -> None:
        self.progress = JobProgress()
        self.result: Result | None = None
        self.problem = ""
        self.is_over = False
        self._work: Callable[[Job[Result]], Result] | None = work
        self._stop_requested = threading.Event()

    def start(self) -> Job[Result]:
        """Begin."""
        in_background_thread(self._run)
        return self

    def report(self, progress: JobProgress) -> None:
        """Tell how far it is."""
        self.progress = progress

    def request_stop(self) -> None:
        """Ask it to end without a result."""
        self._stop_requested.set()

    def should_stop(self) -> bool:
        """Whether it was asked to end."""
        return self._stop_requested.is_set()

    def _run(self) -> None:
        # Once it is over, nothing keeps what the work needed, such as an upload of 2 GB.
        work, self._work = self._work, None
        try:
            if work:
                self.result = work(self)
        except _STOPPED:
            pass
        except TransferStudioError as error:
            self.problem = str(error)
        except Exception as error:
            _logger.exception("A job failed")
            self.problem = _("Something went wrong that the app did not expect ({kind}).").format(
                kind=type(error).__name__
            )
        finally:
            self.is_over = True


def download_job(title: str, file: WeightsFile) -> Job[None]:
    """Return the download of a weights file, to be started.

    Args:
        title: Of the model, for a person.
        file: What to get.
    """

    def work(job: Job[None]) -> None:
        def tell(num_bytes: int, num_all: int) -> None:
            job.report(JobProgress(title, num_bytes, num_all))

        download_weights(file, on_progress=tell, should_stop=job.should_stop)

    return Job(work)


def audition_job(
    queue: RunQueue, dataset: ImageDataset, backbones: list[Backbone]
) -> Job[list[AuditionScore]]:
    """Return an audition, to be started. It never runs beside a training of the same queue: it waits its turn.

    Args:
        queue: Where trainings take their turns.
        dataset: The images.
        backbones: Whose weights are available.
    """

    def work(job: Job[list[AuditionScore]]) -> list[AuditionScore]:
        names = [backbone.name for backbone in backbones]

        def tell(backbone: Backbone, num_images: int) -> None:
            number = names.index(backbone.name)
            job.report(JobProgress(backbone.title, num_images, len(dataset.images), number, len(backbones)))

        with queue.turn(job.should_stop):
            load_keras()
            return audition(
                dataset,
                backbones,
                queue.workspace.cache_dir,
                on_progress=tell,
                should_stop=job.should_stop,
            )

    return Job(work)


def rate_search_job(queue: RunQueue, dataset: ImageDataset, config: TrainingConfig) -> Job[RateCurve]:
    """Return the search for a learning rate, to be started. It never runs beside a training of the same queue.

    Args:
        queue: Where trainings take their turns.
        dataset: The images.
        config: The choices of the run that is to come.
    """

    def work(job: Job[RateCurve]) -> RateCurve:
        def report(part: str, number: int, num_done: int, num_all: int) -> None:
            job.report(JobProgress(part, num_done, num_all, number, 2))

        with queue.turn(job.should_stop):
            return find_learning_rate(
                dataset,
                config,
                get_backbone(config.backbone, queue.workspace),
                queue.workspace.cache_dir,
                on_features=partial(report, _("Reading the photos"), 0),
                on_step=partial(report, _("Trying learning rates"), 1),
                should_stop=job.should_stop,
            )

    return Job(work)


def export_job(queue: RunQueue, run: TrainingRun, format_name: str) -> Job[ExportBundle]:
    """Return the making of a bundle, to be started. It never runs beside a training of the same queue.

    What has to be downloaded first comes meanwhile, and only that can be stopped.

    Args:
        queue: Where trainings take their turns.
        run: What is taken away.
        format_name: In which format.
    """

    def tell(job: Job[ExportBundle], num_bytes: int, num_all: int) -> None:
        job.report(JobProgress(get_format(format_name).title, num_bytes, num_all))

    def work(job: Job[ExportBundle]) -> ExportBundle:
        prepare(queue.workspace, format_name, on_progress=partial(tell, job), should_stop=job.should_stop)
        job.report(JobProgress())
        with queue.turn(job.should_stop):
            return export_run(
                queue.workspace, run, format_name, on_step=lambda step: job.report(JobProgress(step))
            )

    return Job(work)


def save_project_job(workspace: Workspace, plan: ProjectPlan, path: Path) -> Job[Path]:
    """Return the saving of a project, to be started.

    Args:
        workspace: Where everything is.
        plan: What goes in.
        path: Where the file is to be.
    """

    def work(job: Job[Path]) -> Path:
        save_project(workspace, plan, path, _teller(job, _("Saving")), job.should_stop)
        return path

    return Job(work)


def open_project_job(workspace: Workspace, content: BinaryIO) -> Job[OpenedProject]:
    """Return the opening of a project, to be started.

    Args:
        workspace: Where it is to be.
        content: The file.
    """

    def work(job: Job[OpenedProject]) -> OpenedProject:
        return open_project(workspace, content, _teller(job, _("Opening")), job.should_stop)

    return Job(work)


def _teller(job: Job[Any], part: str) -> OnProgress:
    return lambda num_done, num_all: job.report(JobProgress(part, num_done, num_all))
