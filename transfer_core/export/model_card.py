"""Model card of an exported model: training data, metrics, limits and origin (Mitchell et al. 2019)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from transfer_core.backbones.families import origin_words
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.sources.imported_file import shown_name
from transfer_core.errors import WorkspaceError
from transfer_core.evaluation.evaluation import measured_sentence
from transfer_core.export.formats import ExportFormat
from transfer_core.export.parity import Parity
from transfer_core.language import _, names_list, number, percent, percent_range
from transfer_core.runs.own_models import lineage_of
from transfer_core.runs.training_run import TrainingRun

_LONGEST_NAME = 255


def model_card(
    run: TrainingRun,
    dataset: ImageDataset | None,
    parities: Sequence[Parity],
    export_format: ExportFormat | None = None,
) -> str:
    """Return the model card as Markdown.

    Args:
        run: The exported run.
        dataset: Dataset of the run; None if it was deleted.
        parities: Comparison of the exported model files with the app.
        export_format: Format of the model files; None leaves out how to run them.
    """
    sections = [
        (_("What it is"), _what_it_is(run)),
        (_("Training data"), _images(run, dataset)),
        (_("How good it is"), _numbers(run)),
        (_("What it cannot do"), _limits(run)),
        (_("Where it comes from"), _origin(run)),
    ]
    if export_format and export_format.variants:
        sections.insert(1, (_("How to run it"), _usage(run, export_format)))
    if parities:
        sections.append((_("Comparison with the app"), _proof(parities, export_format)))
    title = _("Model card: {name}").format(name=_as_text(run.dataset_name))
    return f"# {title}\n\n" + "\n".join(f"## {heading}\n{text}\n" for heading, text in sections)


def _what_it_is(run: TrainingRun) -> str:
    return _(
        "A classifier of photos into {count} classes: {names}. Made with Transfer Studio on {date} (run {id})."
    ).format(
        count=len(run.class_names),
        names=names_list(map(_as_text, run.class_names)),
        date=f"{run.created_at:%Y-%m-%d}",
        id=run.id,
    )


def _usage(run: TrainingRun, export_format: ExportFormat) -> str:
    size = run.backbone.image_size
    sentences = _(
        "`predict.py` does everything, including “I don't know”. Your own program resizes photos to "
        "{size} × {size} pixels, RGB, 0 to 255. The layout is NHWC: `[1, {size}, {size}, 3]`. Scaling happens "
        "inside the model. Its first output, `probabilities`, has one number per line of `labels.txt`."
    )
    return f"{sentences} {export_format.usage}".rstrip().format(size=size)


def _as_text(name: str) -> str:
    """Return a user-given name as one line of Markdown without any markup."""
    line = re.sub(r"([\\`*_\[\]<>&|~$:#])", r"\\\1", shown_name(name, _LONGEST_NAME))
    # At the start of a line, these characters begin a list, a rule or a heading.
    return re.sub(r"^(\d+(?=[.)])|(?=[-+=]))", r"\1\\", line)


def _images(run: TrainingRun, dataset: ImageDataset | None) -> str:
    if dataset is None:
        return _("The photos were deleted.")
    splits = {_("training photos"): run.train_ids(), _("validation photos"): run.validation_ids()}
    header = f"| {_('class')} | {' | '.join(splits)} |\n| --- | --- | --- |\n"
    counts = [
        Counter(image.class_name for image in dataset.images if image.id in ids) for ids in splits.values()
    ]
    rows = "".join(
        f"| {_as_text(name)} | {' | '.join(number(count[name]) for count in counts)} |\n"
        for name in run.class_names
    )
    return header + rows


def _numbers(run: TrainingRun) -> str:
    try:
        evaluation = run.evaluation()
    except WorkspaceError as error:
        return str(error)
    if evaluation is None:
        return _("It has not been evaluated.")
    measured = measured_sentence(evaluation)
    text = (
        _(
            "Accuracy: {accuracy} on {count} photos. Expect {range} on new photos of the same kind (95 % interval)."
        )
        if measured
        else _(
            "Accuracy: {accuracy} on {count} validation photos. "
            "Expect {range} on new photos of the same kind (95 % interval). "
            "These photos also selected the epoch that was kept."
        )
    )
    numbers = text.format(
        accuracy=percent(evaluation.accuracy, 1),
        count=evaluation.num_images,
        range=percent_range(*evaluation.accuracy_interval),
    )
    sentence = f"{measured} {numbers}".strip()
    rows = "".join(
        f"| {_as_text(name)} | {number(facts['precision'], 2)} | {number(facts['recall'], 2)} "
        f"| {number(facts['f1'], 2)} |\n"
        for name, facts in evaluation.per_class.items()
    )
    header = f"| {_('class')} | {_('precision')} | {_('recall')} | {_('F1')} |\n| --- | --- | --- | --- |\n"
    return f"{sentence}\n\n{header}{rows}"


def _limits(run: TrainingRun) -> str:
    return _(
        "It knows only these {count} classes. It was tested only on photos like its training photos. A photo of "
        "something else may still get a confident answer. Do not let it make important decisions about people."
    ).format(count=len(run.class_names))


def _origin(run: TrainingRun) -> str:
    lineage = " ← ".join(_as_text(origin_words(name)) for name in (run.dataset_name, *lineage_of(run)))
    if run.config.teacher:
        lineage = _("{lineage}, taught by the run {teacher}").format(
            lineage=lineage, teacher=_as_text(run.config.teacher)
        )
    if run.config.weights == "random":
        return lineage
    return _("{lineage}. Licence of the pretrained weights: {licence}.").format(
        lineage=lineage, licence=run.backbone.licence
    )


def _proof(parities: Sequence[Parity], export_format: ExportFormat | None) -> str:
    if not any(parity.num_images for parity in parities):
        return _("Not compared: the validation photos are missing.")
    line = _(
        "- {variant}: same class for {same} of {count} photos, largest difference of a probability {difference:.4f}"
    )
    lines = [
        line.format(
            variant=parity.variant,
            same=parity.num_same,
            count=parity.num_images,
            difference=parity.max_difference,
        )
        for parity in parities
    ]
    if export_format and export_format.unproved:
        lines += ["", export_format.unproved]
    return "\n".join(lines)
