"""Distilling a model into a smaller one, and comparing the two."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.page import guarded
from pages.ui.app.process import trainings, workspace
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.app.words import duration_words, memory_words, run_backbone_title
from transfer_core.backbones.backbone import Backbone
from transfer_core.data.dataset import ImageDataset
from transfer_core.language import _, percent, plural
from transfer_core.runs.distillation import (
    smaller_backbones,
    student_config,
    students_of,
)
from transfer_core.runs.run_folder import Distillation, ModelCost
from transfer_core.runs.run_status import ACTIVE
from transfer_core.runs.training_run import TrainingRun

_BYTES_EACH = 4


def show_smaller_model(session: Session, run: TrainingRun) -> None:
    """Draw the form that distils a model, and the comparison with each of its students."""
    students = students_of(workspace(), run)
    with st.expander(_("Make it smaller and faster"), expanded=bool(students or run.config.teacher)):
        st.markdown(
            _(
                "Your model can teach a smaller one. The small one is faster and needs less space. It is often almost "
                "as accurate."
            ),
            help=explain("distillation"),
        )
        if run.config.teacher:
            st.caption(_("This model was taught by a larger one."))
            guarded(_show_outcome)(session, run, run)
        for student in students:
            guarded(_show_outcome)(session, run, student)
        guarded(_offer)(session, run)


def _offer(session: Session, run: TrainingRun) -> None:
    backbones = {found.name: found for found in smaller_backbones(run)}
    if not backbones:
        st.caption(_("No pretrained model here is both smaller and faster than the one of your model."))
        return
    chosen = st.selectbox(
        _("Pretrained model to start from"),
        list(backbones),
        format_func=lambda name: _size_line(backbones[name]),
        key=f"smaller-{run.id}",
    )
    if st.button(_("Teach a smaller model"), icon=":material/school:", key="teach"):
        _teach(session, run, backbones[chosen])


def _size_line(backbone: Backbone) -> str:
    return f"{backbone.title} · {memory_words(backbone.num_parameters * _BYTES_EACH)}"


def _teach(session: Session, run: TrainingRun, backbone: Backbone) -> None:
    dataset = ImageDataset.load(workspace(), run.dataset_id)
    student = trainings().submit(dataset, student_config(run, dataset, backbone))
    # Keep the page on the large model.
    session.run_id, session.picked_run_id = student, run.id
    st.rerun()


def _show_outcome(session: Session, run: TrainingRun, student: TrainingRun) -> None:
    if trainings().status(student.id) in ACTIVE:
        st.info(_("The small model is being taught."), icon=":material/school:")
        _link(session, student, Step.TRAIN, _("Watch it learn"))
        return
    found = student.files.distillation()
    if found is None:
        return
    titles = (_("Large model"), _("Small model"))
    both = (found.teacher, found.student)
    st.markdown(_compared(found))
    st.dataframe(pd.DataFrame(map(_row, titles, both)), hide_index=True, width="stretch")
    st.caption(_measured(found))
    if student.id != run.id:
        label = _("Export the small model ({network})").format(network=run_backbone_title(student))
        _link(session, student, Step.EXPORT, label)


def _measured(found: Distillation) -> str:
    if not found.is_out_of_fold:
        return plural(
            "Measured on this computer, on {count} photo that neither was trained on.",
            "Measured on this computer, on {count} photos that neither was trained on.",
            found.num_images,
        )
    return plural(
        "Measured on this computer, on the same {count} photo. The large model was later trained on it too. So the "
        "accuracy of the small one may be slightly too high.",
        "Measured on this computer, on the same {count} photos. The large model was later trained on them too. So the "
        "accuracy of the small one may be slightly too high.",
        found.num_images,
    )


def _compared(found: Distillation) -> str:
    points = 100 * (found.student.accuracy - found.teacher.accuracy)
    return _(
        "The small model needs **{size}** of the space and **{time}** of the time. Its accuracy is **{points:+.1f} "
        "percentage points** different."
    ).format(
        size=percent(found.student.num_bytes / found.teacher.num_bytes),
        time=percent(found.student.seconds_per_image / found.teacher.seconds_per_image),
        points=points,
    )


def _row(title: str, facts: ModelCost) -> dict[str, str]:
    return {
        _("Model"): title,
        _("Accuracy"): percent(facts.accuracy, 1),
        _("Size"): memory_words(facts.num_bytes),
        _("Time for one photo"): duration_words(facts.seconds_per_image),
    }


def _link(session: Session, run: TrainingRun, step: Step, label: str) -> None:
    st.page_link(step.page, label=label, icon=step.icon, query_params={**session.query(), "run": run.id})
