"""The choices of one person. The only module that touches Streamlit's session state and the address.

The choices are also written into the address of the page, so that a refresh, a bookmark or a second tab finds
them again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.ui.app.arrivals import (
    Accepted,
    AskedLayout,
    CardMessages,
    LiveAnswer,
    PhoneCode,
    Recording,
    Upload,
)
from pages.ui.app.process import trainings, visitor, workspace
from pages.ui.server.visitor_language import LANGUAGE_PARAMETER, asked_language
from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.checks.problems import Suspicion
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.grey_ranges import Brightness
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.data.sources.upload import uploaded_file
from transfer_core.errors import NotFoundError, TransferStudioError
from transfer_core.language import _
from transfer_core.runs.run_status import ACTIVE
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.freezing import FreezePlan
from transfer_core.workspace import ID_PATTERN

if TYPE_CHECKING:
    from transfer_core.inference.answers import Answer

_KEY = "session"
_LANGUAGE_KEY = "chosen_language"
_PROBLEM_KEY = "problem_of_a_callback"
MAX_PASTED = 20
# No network has more than 999 blocks, and int() refuses numbers of more than 4,300 digits.
_DEPTH = re.compile(r"\d{1,3}", re.ASCII)
_PART = re.compile(r"[a-z]{1,20}")


@dataclass
class Session:
    """The choices of one person; ids and values only, never a live model.

    Args:
        backbone_name: The pretrained network, or None.
        dataset_id: The images, or None.
        num_unfrozen_blocks: How deep the network learns, or None.
        fine_tune_depth: The depth that fine-tuning had last; kept while the person looks at the other ways to train.
        run_id: The run that the Train page shows, or None.
        picked_run_id: The run that was picked on the Results or the Test page, or None.
        config: The numbers on the Train page.
        upload: A folder on its way from the browser, or None.
        server_upload: A folder on its way from the server's disk, or None.
        layouts: Questions about the meaning of folders, by the id of their upload.
        recording: The latest recording of the camera, or None.
        card_messages: Of the class cards in the quick start, or None.
        brightness: Of photos with more than 8 bits that are added as new photos.
        video_dataset_id: The dataset that the latest video was added to, or None.
        is_adding: Whether the ways to add photos are open although there are photos.
        open_pile: The pile of photos without labels that is open, or None.
        to_throw_away: Selected photos without labels that the person is asked about before they are deleted.
        accepted: The photos without labels that were added to a class last, or None.
        num_files_taken: Uploads that were processed; a new number gives an empty upload field.
        shown_problem: The kind of problem whose images the gallery shows, or None.
        num_problems_shown: Clicks that chose such a problem; a new number gives the gallery a new filter.
        checked_labels_of: The dataset whose labels were checked last, or None.
        suspicions: Its labels that are likely wrong.
        is_from_scratch: Whether the network starts from random weights.
        has_own_choices: Whether the person chooses the numbers rather than taking those recommended.
        looks_once: Whether the person switched off a careful version of the model in the recommended training.
        deleted_run_id: The run that was deleted last and can be restored, or None.
        deleted_source_id: The own model that was deleted last and can be restored, or None.
        results_part: The part of the Results page that is open.
        retrained: Ids of runs that were trained again with fixed labels, by the id of the first run.
        compare_part: The part of the Compare page that is open.
        compared_run_ids: The runs that the Compare page sets side by side.
        num_notes_saved: How often notes were saved in the table of runs; a new number gives a fresh table.
        corrections: The corrected class of photos that were added to the dataset, by dataset and content.
        answered_photos: Which new photos were last scored as a table.
        answers: For these photos, by the run and the version of its model and limits.
        live: The latest answer to the live camera, or None.
        has_camera: False once the browser has found none.
        pasted: Photos from the clipboard or the camera, oldest first, by an id that the browser gave.
        pasted_id: The photo that was pasted last, even if it was removed since.
        num_pasted: Such photos so far; numbers the names.
        brought: Ids of the photos on the Test page in the order in which they came.
        quiz_round: The round of the guessing game that is open.
        guesses: Of the rounds that were played, by run and round.
        opened_file: The project file that was uploaded last, or None.
        looked_ahead: The dataset that is read before a training, and with which backbones; or None.
        num_races_played: How often the race on the Learn page was played; a new number plays it again.
        num_forms: How often choices were replaced from outside the form; a new number gives fresh fields.
        phone: The code for the person's phone, or None.
        question: The button that asks before it deletes for good, or None.
        deleted_dataset_id: The photo set that was deleted last, for Undo.
        new_key: A run and the key for other programs that was just made for it; None once it was copied.
        person_id: The pupil whose choices these are; empty without a class.
        class_part: The part of the Class page that is open.
        projected: Fills the screen of the Class page: a pupil's work, by their id, or "code" for the class code; empty
            for neither.
        opened_person_id: The pupil whose photos the teacher looks through; empty for none.
        opened_dataset_id: Their photo set that the teacher looks at.
        to_remove: What the teacher is asked about before it is removed from the class: "person", "photos" or "class",
            then its ids; empty for none.
    """

    backbone_name: str | None = None
    dataset_id: str | None = None
    num_unfrozen_blocks: int | None = None
    fine_tune_depth: int = 1
    run_id: str | None = None
    picked_run_id: str | None = None
    config: TrainingConfig = field(default_factory=TrainingConfig)
    upload: Upload | None = None
    server_upload: Upload | None = None
    layouts: dict[str, AskedLayout] = field(default_factory=dict)
    recording: Recording | None = None
    card_messages: CardMessages | None = None
    brightness: Brightness = "stretch"
    video_dataset_id: str | None = None
    is_adding: bool = False
    open_pile: str | None = None
    to_throw_away: tuple[str, ...] = ()
    accepted: Accepted | None = None
    num_files_taken: int = 0
    shown_problem: str | None = None
    num_problems_shown: int = 0
    checked_labels_of: str | None = None
    suspicions: tuple[Suspicion, ...] = ()
    is_from_scratch: bool = False
    has_own_choices: bool = False
    looks_once: bool = False
    deleted_run_id: str | None = None
    deleted_source_id: str | None = None
    results_part: str = "mistakes"
    retrained: dict[str, str] = field(default_factory=dict)
    compare_part: str = "runs"
    compared_run_ids: tuple[str, ...] = ()
    num_notes_saved: int = 0
    corrections: dict[str, str] = field(default_factory=dict)
    answered_photos: tuple[str, ...] = ()
    answers: dict[tuple[str, tuple[int, ...]], Sequence[Answer]] = field(default_factory=dict)
    live: LiveAnswer | None = None
    has_camera: bool = True
    pasted: dict[str, ImportedFile] = field(default_factory=dict)
    pasted_id: str = ""
    num_pasted: int = 0
    brought: list[str] = field(default_factory=list)
    quiz_round: int = 0
    guesses: dict[str, tuple[str, ...]] = field(default_factory=dict)
    opened_file: str | None = None
    looked_ahead: tuple[str, ...] | None = None
    num_races_played: int = 0
    num_forms: int = 0
    phone: PhoneCode | None = None
    question: str | None = None
    deleted_dataset_id: str | None = None
    new_key: tuple[str, str] | None = None
    person_id: str = ""
    class_part: str = "pupils"
    projected: str = ""
    opened_person_id: str = ""
    opened_dataset_id: str = ""
    to_remove: tuple[str, ...] = ()

    @property
    def dataset(self) -> ImageDataset | None:
        """The chosen images as they are on disk now."""
        return ImageDataset.load(workspace(), self.dataset_id) if self.dataset_id else None

    @property
    def is_bringing_photos(self) -> bool:
        """Whether a folder is on its way."""
        return any(upload and not upload.is_complete for upload in (self.upload, self.server_upload))

    @property
    def new_dataset_id(self) -> str | None:
        """Id for a new dataset to which the person's phone adds its photos; None for any."""
        return self.phone.dataset_id if self.phone and self.dataset_id is None else None

    @property
    def freeze_plan(self) -> FreezePlan | None:
        """The trainable and the frozen blocks, or None if no backbone is chosen."""
        if self.backbone_name is None:
            return None
        backbone = get_backbone(self.backbone_name, workspace())
        if self.is_from_scratch:
            return FreezePlan(backbone, len(backbone.blocks), is_from_scratch=True)
        return FreezePlan(backbone, self.num_unfrozen_blocks or 0)

    def leave_upload(self) -> None:
        """Take a folder for complete that the browser has stopped to send. What has arrived is kept."""
        if self.upload and not self.upload.listing:
            self.upload.is_complete = self.upload.is_shown = True

    @property
    def is_in_training(self) -> bool:
        """Whether the run that the Train page shows waits, is being trained, or is about to end."""
        with suppress(NotFoundError):
            return self.run_id is not None and trainings().status(self.run_id) in ACTIVE
        return False

    def choose_backbone(self, name: str) -> None:
        """Choose a backbone; another one resets the depth."""
        if name != self.backbone_name:
            self.backbone_name = name
            self.num_unfrozen_blocks = None
            self.fine_tune_depth = 1
            self.is_from_scratch = False

    def choose_depth(self, num_unfrozen_blocks: int, *, is_from_scratch: bool = False) -> None:
        """Choose how many blocks from the end are trainable, or all of them from random weights."""
        self.num_unfrozen_blocks = num_unfrozen_blocks
        self.is_from_scratch = is_from_scratch
        if num_unfrozen_blocks and not is_from_scratch:
            self.fine_tune_depth = num_unfrozen_blocks
        self.num_forms += 1

    def choose_config(self, config: TrainingConfig) -> None:
        """Choose a config that did not come from the fields of the form."""
        self.config = config
        self.num_forms += 1

    def change_choices(self) -> None:
        """Close the run that is shown and open the form with its choices."""
        self.picked_run_id = self.picked_run_id or self.run_id
        self.run_id = None
        self.has_own_choices = True
        self.num_forms += 1

    def leave_run_of_other_choices(self) -> None:
        """Open the form on the Train page if the choices differ from those of the finished run that it shows."""
        if self.run_id and not self.is_in_training and not self._has_choices_of_its_run():
            self.picked_run_id = self.picked_run_id or self.run_id
            self.run_id = None
            self.num_forms += 1

    def look_at(self, run_id: str) -> None:
        """Show a run that has a model on every page.

        The choices follow it, unless the person has changed them since the run before. A training that is active and
        an open form remain on the Train page.
        """
        if not self.is_in_training and self._has_choices_of_its_run():
            self.choose_run(TrainingRun.load(workspace(), run_id))
            return
        self.picked_run_id = run_id
        if self.run_id and not self.is_in_training:
            self.run_id = run_id

    def follow(self, run_id: str) -> None:
        """Show a run that was just started on every page."""
        self.run_id, self.picked_run_id = run_id, None

    def forget_deleted(self, run_id: str) -> None:
        """Stop showing a deleted run, but remember it for Undo."""
        self.deleted_run_id = run_id
        self.compared_run_ids = tuple(other for other in self.compared_run_ids if other != run_id)
        if self.run_id == run_id:
            self.run_id = None
        if self.picked_run_id == run_id:
            self.picked_run_id = None

    def choose_run(self, run: TrainingRun) -> None:
        """Show a run and choose its dataset, backbone, depth and config."""
        self.run_id = self.picked_run_id = run.id
        self.config = without_teacher(run)
        self.backbone_name = run.config.backbone
        self.choose_depth(run.config.num_unfrozen_blocks, is_from_scratch=run.config.weights == "random")
        self.dataset_id = run.dataset_id if run.dataset_id in workspace().dataset_ids() else None

    def forget_data(self) -> None:
        """Drop photos, answers and choices that came from what was deleted; the pretrained model is kept."""
        blank = Session(backbone_name=self.backbone_name, person_id=self.person_id)
        self.__dict__.update(blank.__dict__)

    def _has_choices_of_its_run(self) -> bool:
        """Whether nothing is chosen, or what the run was trained with that the Train page shows."""
        if self.run_id is None:
            return self.backbone_name is None and self.dataset_id is None
        run = TrainingRun.load(workspace(), self.run_id)
        chosen = (self.dataset_id, self.backbone_name, self.num_unfrozen_blocks, self.is_from_scratch)
        trained = (run.dataset_id, run.config.backbone, run.config.num_unfrozen_blocks)
        return chosen == (*trained, run.config.weights == "random")

    def choose_dataset(self, dataset_id: str | None) -> None:
        """Choose other photos, or none; the model of the earlier ones is no longer shown."""
        self.dataset_id = dataset_id
        self.run_id = self.picked_run_id = None
        self.card_messages = None
        if dataset_id is None:
            # The code leads to the earlier photos.
            self.phone = None

    def paste(self, photo_id: str, name: str, content: bytes) -> None:
        """Keep a photo from the clipboard or the camera, unless there are too many."""
        if len(self.pasted) < MAX_PASTED:
            self.num_pasted += 1
            self.pasted[photo_id] = uploaded_file(name, content)

    def show_problem(self, kind: str) -> None:
        """Filter the gallery by a problem."""
        self.shown_problem = kind
        self.num_problems_shown += 1

    def suspicions_about(self, dataset: ImageDataset) -> tuple[Suspicion, ...]:
        """Return the suspicions about labels that have not been changed or confirmed since."""
        if self.checked_labels_of != dataset.id:
            return ()
        pairs = [(found, dataset.by_id.get(found.image_id)) for found in self.suspicions]
        return tuple(
            found
            for found, image in pairs
            if image and image.class_name == found.given and not image.is_confirmed
        )

    def query(self) -> dict[str, str]:
        """Return the choices as parameters of the address."""
        values = {
            "model": self.backbone_name,
            "images": self.dataset_id,
            "unfrozen": self.num_unfrozen_blocks,
            "scratch": 1 if self.is_from_scratch else None,
            "run": self.run_id,
            "pick": self.picked_run_id if self.picked_run_id != self.run_id else None,
            "compare": ",".join(self.compared_run_ids) or None,
            "view": self.compare_part if self.compare_part != "runs" else None,
            "part": self.results_part if self.results_part != "mistakes" else None,
            "show": self.projected or None,
        }
        return {name: str(value) for name, value in values.items() if value is not None}


def open_session() -> Session:
    """Return the person's session; after a refresh it is restored from the address."""
    person_id = visitor().person_id
    if _KEY not in st.session_state or st.session_state[_KEY].person_id != person_id:
        asked = st.query_params.to_dict()
        st.session_state[_KEY] = session_from_address(asked)
        st.session_state[_KEY].person_id = person_id
        if _is_missed(asked, st.session_state[_KEY]):
            keep_problem(_("This link names something that is not here. It may have been deleted."))
    session: Session = st.session_state[_KEY]
    _forget_deleted(session)
    write_address(session)
    return session


def write_address(session: Session) -> None:
    """Write the choices to the address of the page."""
    if st.query_params.to_dict() != session.query():
        st.query_params.from_dict(session.query())


def chosen_language() -> str:
    """Return the language that the person chose on a page, or came with in the address; empty for neither."""
    if _LANGUAGE_KEY not in st.session_state:
        # The first draw takes it out of the address.
        st.session_state[_LANGUAGE_KEY] = asked_language(st.query_params.get(LANGUAGE_PARAMETER, ""))
    code: str = st.session_state[_LANGUAGE_KEY]
    return code


def keep_language(code: str) -> None:
    """Let the person read all pages in a language from now on. To be called in a callback."""
    st.session_state[_LANGUAGE_KEY] = code
    # Streamlit finds what is selected in a box by its label, which changes now. What is set by code, it finds itself.
    for key, value in st.session_state.items():
        if value and isinstance(value, str | list) and all(isinstance(part, str) for part in value):
            st.session_state[key] = value


def keep_problem(text: str) -> None:
    """Keep the message of a callback that failed, until a page shows it."""
    st.session_state[_PROBLEM_KEY] = text


def take_problem() -> str:
    """Return the message that waits to be shown, once; empty for none."""
    text: str = st.session_state.pop(_PROBLEM_KEY, "")
    return text


def without_teacher(run: TrainingRun) -> TrainingConfig:
    """Return the config of a run without its teacher, which would not fit other images or backbones."""
    return run.config.with_changes(teacher="")


def component_value(key: str, name: str) -> Any:
    """Return the value that a component has just sent, inside its callback; None if it has left the page."""
    return getattr(st.session_state.get(key), name, None)


def widget_value(key: str) -> Any:
    """Return the value of a widget, inside its callback."""
    return st.session_state[key]


def set_widget_value(key: str, value: Any) -> None:
    """Set the value of a widget that is drawn afterwards."""
    st.session_state[key] = value


def session_from_address(values: dict[str, str]) -> Session:
    """Return a session with every valid choice of an address, which may be old, shortened or made up."""
    session = Session()
    with suppress(TransferStudioError):
        session.backbone_name = get_backbone(values.get("model", ""), workspace()).name
        depth = values.get("unfrozen", "")
        if _DEPTH.fullmatch(depth):
            session.num_unfrozen_blocks = FreezePlan(
                get_backbone(values["model"], workspace()), int(depth)
            ).num_unfrozen_blocks
            session.is_from_scratch = "scratch" in values
    with suppress(TransferStudioError):
        session.dataset_id = ImageDataset.load(workspace(), values.get("images", "")).id
    with suppress(TransferStudioError):
        run = TrainingRun.load(workspace(), values.get("run", ""))
        session.run_id, session.config = run.id, without_teacher(run)
        if session.backbone_name is None and session.dataset_id is None:
            session.choose_run(run)
    with suppress(TransferStudioError):
        session.picked_run_id = TrainingRun.load(workspace(), values.get("pick", "")).id
    known = set(workspace().run_ids()) if values.get("compare") else set()
    wanted = dict.fromkeys(values.get("compare", "").split(","))
    session.compared_run_ids = tuple(run_id for run_id in wanted if run_id in known)
    if _PART.fullmatch(values.get("view", "")):
        session.compare_part = values["view"]
    if _PART.fullmatch(values.get("part", "")):
        session.results_part = values["part"]
    if values.get("show") == "code" or ID_PATTERN.fullmatch(values.get("show", "")):
        session.projected = values["show"]
    return session


def _is_missed(asked: dict[str, str], session: Session) -> bool:
    """Return whether an address names a model, photos or a run that it did not lead to."""
    found = {
        "model": session.backbone_name,
        "images": session.dataset_id,
        "run": session.run_id,
        "pick": session.picked_run_id,
    }
    return any(asked.get(name) and asked[name] != value for name, value in found.items())


def _forget_deleted(session: Session) -> None:
    try:
        if session.backbone_name:
            get_backbone(session.backbone_name, workspace())
    except TransferStudioError:
        session.backbone_name = None
        session.num_unfrozen_blocks, session.is_from_scratch = None, False
    try:
        if session.dataset_id:
            ImageDataset.load(workspace(), session.dataset_id)
    except TransferStudioError:
        session.dataset_id = session.phone = None
    try:
        if session.run_id:
            TrainingRun.load(workspace(), session.run_id)
    except TransferStudioError:
        session.run_id = None
    try:
        if session.picked_run_id:
            TrainingRun.load(workspace(), session.picked_run_id)
    except TransferStudioError:
        session.picked_run_id = None
