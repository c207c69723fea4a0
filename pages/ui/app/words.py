"""Numbers, states and choices in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from pages.ui.app.process import workspace
from transfer_core.backbones.registry import get_backbone
from transfer_core.data.sources.imported_file import shown_name
from transfer_core.errors import TransferStudioError
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.events import PrecisionChosen, RunSnapshot
from transfer_core.language import (
    _,
    compact_number,
    date_time_words,
    number,
    percent,
    percent_range,
    percent_sign,
    plural,
    sentences,
)
from transfer_core.runs.run_status import RunStatus
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.freezing import FreezePlan

_UNKNOWN = -1
_LABEL_LENGTH = 36
# With less, an estimate of a training would promise too much.
_FEWEST_SECONDS = 3.0


@dataclass(frozen=True)
class StatusWords:
    """The status of a run on screen.

    Args:
        icon: Streamlit's name of its icon.
        label: In a list of runs.
        state: Of the step Train in the sidebar.
    """

    icon: str
    label: str
    state: str


def status_words(status: RunStatus) -> StatusWords:
    """Return the words and the icon of a status."""
    return {
        "queued": StatusWords(":material/hourglass_empty:", _("waiting"), _("Waiting for its turn")),
        "running": StatusWords(":material/progress_activity:", _("training now"), _("Training now")),
        "paused": StatusWords(":material/pause_circle:", _("paused"), _("Paused")),
        "finished": StatusWords(":material/check_circle:", _("finished"), _("Trained")),
        "stopped": StatusWords(":material/stop_circle:", _("stopped"), _("Stopped")),
        "failed": StatusWords(":material/error:", _("did not work"), _("Did not work")),
        "interrupted": StatusWords(":material/power_off:", _("interrupted"), _("Interrupted")),
    }[status]


def phase_words(snapshot: RunSnapshot) -> str:
    """Return the name of the stage of a training."""
    match None if snapshot.is_starting else snapshot.phase:
        case "head_choice":
            return _("Comparing last layers")
        case "head":
            return _("Training the new layer")
        case "fine_tune":
            return _("Fine-tuning")
        case "teacher":
            return _("Reading your photos with the large model")
        case "out_of_fold":
            return _("Cross-validation")
        case "all_photos":
            return _("Training on all photos")
        case "saving":
            return _("Saving")
        case "evaluation":
            return _("Final check")
        case "cross_validation":
            return _("Training again for each fold")
        # On another computer the photos are read again.
        case "features" if snapshot.epochs and not snapshot.losses:
            return _("Getting ready for fine-tuning")
        case "features" if snapshot.step:
            return _("Reading your photos")
    return _("Starting; the first time takes a little longer")


def duration_words(seconds: float) -> str:
    """Return a time span such as `"12 s"` or `"3 min 5 s"`."""
    if seconds < 0.995:
        return _("{count:.0f} ms").format(count=seconds * 1000)
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return _("{count} s").format(count=rest)
    return _("{minutes} min {rest} s").format(minutes=minutes, rest=rest)


def time_left_words(seconds: float) -> str:
    """Return the estimated time left, rounded to minutes above a minute; no number for the last three seconds."""
    if seconds < 3:
        return _("almost done")
    if seconds < 60:
        return _("about {count} s").format(count=round(seconds))
    if seconds < 3600:
        return _("about {count} min").format(count=round(seconds / 60))
    hours, rest = divmod(round(seconds / 60), 60)
    return _("about {hours} h {minutes} min").format(hours=hours, minutes=rest)


def waiting_words(num_before: int, seconds: float | None) -> str:
    """Return how many trainings are before a waiting one, and when it starts.

    Args:
        num_before: At least one.
        seconds: Until it starts, as estimated; None if that is not known.
    """
    before = plural("{count} training goes first.", "{count} trainings go first.", num_before)
    if seconds is None:
        return sentences(before, _("Yours starts by itself."))
    starts = _("Yours starts in {time}.").format(time=time_left_words(max(seconds, _FEWEST_SECONDS)))
    return sentences(before, starts)


def training_time_words(seconds: float) -> str:
    """Return the estimated time of a whole training as a sentence, such as `"Trains in about 9 s."`."""
    return _("Trains in {time}.").format(time=time_left_words(max(seconds, _FEWEST_SECONDS)))


def memory_words(num_bytes: int) -> str:
    """Return an amount of memory such as `"820 MB"` or `"1.4 GB"`, in powers of 1,000; 1 MB at least."""
    if num_bytes < 1e9:
        return _("{count:.0f} MB").format(count=max(num_bytes / 1e6, 1.0))
    return _("{count:.1f} GB").format(count=num_bytes / 1e9)


def head_words(head: str) -> str:
    """Return the name of a type of head."""
    return {
        "auto": _("What fits best"),
        "softmax_regression": _("Softmax regression"),
        "lda": _("Linear discriminant analysis"),
        "average": _("Average of regression and LDA"),
        "linear": _("Linear"),
        "hidden": _("With a hidden layer"),
        "flattened_map": _("On the whole map"),
    }[head]


def precision_words(chosen: PrecisionChosen) -> str:
    """Return a sentence on the precision of a training that was to use mixed precision."""
    return {
        "": _("Trained in mixed precision (float16)."),
        "no_gpu": _("Trained in float32, because there was no GPU."),
        "old_gpu": _("Trained in float32, because the GPU has no mixed precision."),
        "overflow": _("Trained in float32, because a number was too large for float16."),
    }[chosen.reason]


def count_words(count: int) -> str:
    """Return a number, shortened from a million on, such as `"3.4 million"`."""
    return compact_number(count) if count >= 1_000_000 else number(count)


def learning_words(plan: FreezePlan, num_classes: int) -> str:
    """Return how many values of a network learn, such as `"3,843 of 3.4 million values learn"`."""
    num_trainable = plan.num_trainable_parameters(num_classes)
    total = num_trainable + plan.num_frozen_parameters(num_classes)
    return _("{trainable} of {total} values learn").format(
        trainable=count_words(num_trainable), total=count_words(total)
    )


def depth_words(num_unfrozen_blocks: int, num_blocks: int) -> str:
    """Return how much of a network is trainable."""
    if num_unfrozen_blocks == 0:
        return _("Only the new last layer learns")
    if num_unfrozen_blocks == num_blocks:
        return _("Everything learns")
    return plural(
        "The new layer and the last block learn",
        "The new layer and the last {count} blocks learn",
        num_unfrozen_blocks,
    )


def backbone_title(name: str) -> str:
    """Return the title of a backbone, or its name where it is not available any more."""
    with suppress(TransferStudioError):
        return str(get_backbone(name, workspace()).title)
    return name


def run_backbone_title(run: TrainingRun) -> str:
    """Return the title of a run's backbone; its name where an own model was deleted before it was recorded."""
    with suppress(TransferStudioError):
        return str(run.backbone.title)
    return run.config.backbone


def run_depth_words(run: TrainingRun) -> str:
    """Return how much of a run's network was trainable, also where the backbone is not available any more."""
    num_blocks = _UNKNOWN
    with suppress(TransferStudioError):
        num_blocks = len(run.backbone.blocks)
    return depth_words(run.config.num_unfrozen_blocks, num_blocks)


def model_name(run: TrainingRun) -> str:
    """Return the name of a person's model, such as `"Clothes, 28 Nov, 14:02"`; their own name for it if they gave one.

    Streamlit identifies options by their label, so names in a list go through `distinct_labels`.
    """
    name = run.files.notes().name
    return name or _("{name}, {when}").format(name=run.dataset_name, when=date_time_words(run.created_at))


def percent_format() -> str:
    """Return the printf format of whole per cent in tables and sliders, which hold numbers up to 100."""
    return "%.0f" + percent_sign().replace("%", "%%")


def labelled(label: str, text: str) -> str:
    """Return a text behind its label, with the colon of the language, such as `"Test photos: 3 of 24 wrong."`."""
    return _("{label}: {text}").format(label=label, text=text)


def accuracy_words(evaluation: Evaluation) -> str:
    """Return accuracy and interval, such as `"94 % (84 to 98 %)"`."""
    return _("{accuracy} ({range})").format(
        accuracy=percent(evaluation.accuracy), range=percent_range(*evaluation.accuracy_interval)
    )


def expected_sentence(evaluation: Evaluation) -> str:
    """Return what to expect of a model on new photos, in one sentence."""
    return _("Expect {range} correct on photos like these.").format(
        range=percent_range(*evaluation.accuracy_interval)
    )


def distinct_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels of options by id, in which those that repeat are numbered.

    Streamlit identifies an option by its label: of two with the same label only the first can be picked.
    """
    counts: Counter[str] = Counter()
    found = {}
    for option, label in labels.items():
        counts[label] += 1
        found[option] = label if counts[label] == 1 else f"{label} ({counts[label]})"
    return found


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Return labels of classes by name, for charts and lists that a long name would break.

    Long names are shortened in their middle; of those that become alike, all but the first are numbered.
    """
    return distinct_labels({name: shown_name(name, _LABEL_LENGTH) for name in names})


def plain(text: str) -> str:
    """Return text from outside with all characters escaped that Streamlit's Markdown would act on."""
    # A text that is kept, such as a fact of a pretrained model, is said again in the language of whoever looks.
    return "".join(f"\\{letter}" if letter in r"\`*_[]<>$:~#|" else letter for letter in str(text))
