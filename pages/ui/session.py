"""What one person has chosen so far: the only place that touches Streamlit's session state and the address.

The choices are also written into the address of the page, so that a refresh, a bookmark or a second tab finds
them again.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from pages.ui.process import workspace
from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import TransferStudioError
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.freezing import FreezePlan

_KEY = "session"


@dataclass
class Upload:
    """A folder on its way from the browser.

    Args:
        id: Given by the browser.
        before: The dataset as it was.
        after: The dataset with what has arrived.
        num_batches: How many batches have been taken in.
        is_complete: Whether the last one has.
        is_shown: Whether the page has been drawn with it.
        problem: Why it could not be used, for the person.
    """

    id: str
    before: ImageDataset
    after: ImageDataset
    num_batches: int = 0
    is_complete: bool = False
    is_shown: bool = False
    problem: str = ""


@dataclass
class Session:
    """The choices of one person; ids and values only, never a live model.

    Args:
        backbone_name: The pretrained network, or None.
        dataset_id: The images, or None.
        num_unfrozen_blocks: How deep the network learns, or None.
        run_id: The run that the Train page shows, or None.
        tested_run_id: The run that was picked on the Test page, or None.
        config: The numbers on the Train page.
        upload: A folder on its way, or None.
        num_files_taken: How many uploads were taken in; a new number gives an empty upload field.
        is_from_scratch: Whether the network starts from random weights.
        has_own_choices: Whether the person chooses the numbers rather than taking those recommended.
        deleted_run_id: The run that was deleted last and can be taken back, or None.
        num_forms: How often choices were replaced from elsewhere; a new number gives fresh fields.
    """

    backbone_name: str | None = None
    dataset_id: str | None = None
    num_unfrozen_blocks: int | None = None
    run_id: str | None = None
    tested_run_id: str | None = None
    config: TrainingConfig = field(default_factory=TrainingConfig)
    upload: Upload | None = None
    num_files_taken: int = 0
    is_from_scratch: bool = False
    has_own_choices: bool = False
    deleted_run_id: str | None = None
    num_forms: int = 0

    @property
    def dataset(self) -> ImageDataset | None:
        """The chosen images as they are on disk now."""
        return ImageDataset.load(workspace(), self.dataset_id) if self.dataset_id else None

    @property
    def freeze_plan(self) -> FreezePlan | None:
        """What learns and what stays, once a network is chosen."""
        if self.backbone_name is None:
            return None
        backbone = get_backbone(self.backbone_name)
        if self.is_from_scratch:
            return FreezePlan(backbone, len(backbone.blocks), is_from_scratch=True)
        return FreezePlan(backbone, self.num_unfrozen_blocks or 0)

    def choose_backbone(self, name: str) -> None:
        """Take a network; a depth that was chosen for another one is forgotten."""
        if name != self.backbone_name:
            self.backbone_name = name
            self.num_unfrozen_blocks = None
            self.is_from_scratch = False

    def choose_depth(self, num_unfrozen_blocks: int, *, is_from_scratch: bool = False) -> None:
        """Take what learns along: some blocks from the end, or all of them from random weights."""
        self.num_unfrozen_blocks = num_unfrozen_blocks
        self.is_from_scratch = is_from_scratch
        self.num_forms += 1

    def choose_config(self, config: TrainingConfig) -> None:
        """Take numbers that did not come from the fields of the form."""
        self.config = config
        self.num_forms += 1

    def change_choices(self) -> None:
        """Leave the run that is shown and go back to its choices."""
        self.run_id = None
        self.has_own_choices = True
        self.num_forms += 1

    def forget_deleted(self, run_id: str) -> None:
        """Show a deleted run no more, but remember that it can be taken back."""
        self.run_id, self.deleted_run_id = None, run_id
        if self.tested_run_id == run_id:
            self.tested_run_id = None

    def choose_run(self, run: TrainingRun) -> None:
        """Show a run, with the choices it was made with."""
        self.run_id = self.tested_run_id = run.id
        self.config = run.config
        self.backbone_name = run.config.backbone
        self.choose_depth(run.config.num_unfrozen_blocks, is_from_scratch=run.config.weights == "random")
        self.dataset_id = run.dataset_id if run.dataset_id in workspace().dataset_ids() else None

    def query(self) -> dict[str, str]:
        """The choices as they stand in the address."""
        values = {
            "model": self.backbone_name,
            "images": self.dataset_id,
            "unfrozen": self.num_unfrozen_blocks,
            "scratch": 1 if self.is_from_scratch else None,
            "run": self.run_id,
        }
        return {name: str(value) for name, value in values.items() if value is not None}


def open_session() -> Session:
    """Return the person's session, found again from the address after a refresh."""
    if _KEY not in st.session_state:
        st.session_state[_KEY] = _from_address(st.query_params.to_dict())
    session: Session = st.session_state[_KEY]
    _forget_what_is_gone(session)
    write_address(session)
    return session


def write_address(session: Session) -> None:
    """Put the choices into the address of the page."""
    if st.query_params.to_dict() != session.query():
        st.query_params.from_dict(session.query())


def component_value(key: str, name: str) -> Any:
    """Return what a component sent, inside its callback."""
    return getattr(st.session_state[key], name, None)


def _from_address(values: dict[str, str]) -> Session:
    """Take over each choice that is valid; an address may be old, shortened or made up."""
    session = Session()
    with suppress(TransferStudioError):
        session.backbone_name = get_backbone(values.get("model", "")).name
        depth = values.get("unfrozen", "")
        if depth.isdecimal():
            session.num_unfrozen_blocks = FreezePlan(
                get_backbone(values["model"]), int(depth)
            ).num_unfrozen_blocks
            session.is_from_scratch = "scratch" in values
    with suppress(TransferStudioError):
        session.dataset_id = ImageDataset.load(workspace(), values.get("images", "")).id
    with suppress(TransferStudioError):
        run = TrainingRun.load(workspace(), values.get("run", ""))
        session.run_id, session.config = run.id, run.config
    return session


def _forget_what_is_gone(session: Session) -> None:
    try:
        if session.dataset_id:
            ImageDataset.load(workspace(), session.dataset_id)
    except TransferStudioError:
        session.dataset_id = None
    try:
        if session.run_id:
            TrainingRun.load(workspace(), session.run_id)
    except TransferStudioError:
        session.run_id = None
