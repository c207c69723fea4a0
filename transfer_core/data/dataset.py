"""A labelled set of images on disk, its split, and what was left out of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from transfer_core.data.split import assign_splits
from transfer_core.errors import IngestError, NotFoundError, WorkspaceError
from transfer_core.files import read_json, write_json
from transfer_core.language import _
from transfer_core.workspace import Workspace

Split = Literal["train", "validation"]
MIN_IMAGES_PER_CLASS = 2
ADVISED_IMAGES_PER_CLASS = 10


@dataclass(frozen=True)
class ImageRecord:
    """One image of a dataset.

    Args:
        id: Hash of its pixels; also the name of its file.
        class_name: Its label.
        name: What its file was called when it came in.
        split: Whether the network learns from it or is tested with it.
    """

    id: str
    class_name: str
    name: str
    split: Split = "train"


@dataclass(frozen=True)
class LeftOut:
    """A file that did not become part of the dataset.

    Args:
        name: What the file was called, with its folder.
        reason: Why, in words that continue "left out because ...".
        is_system_file: One of those that operating systems add; nobody misses it.
    """

    name: str
    reason: str
    is_system_file: bool = False


@dataclass(frozen=True)
class ImageDataset:
    """Class names, the images on disk, the split, and what was left out.

    Args:
        id: Names its folder in the workspace.
        name: For people.
        folder: Where it lies.
        class_names: In the order of the network's outputs.
        images: All images, in the order in which they came.
        left_out: Files that did not come in, with the reason.
        validation_split: Share of each class that is kept for validation, above 0 and below 1.
        seed: Fixes which images those are, 0 to 2147483647.
        version: Grows by one each time the dataset is saved.
        sample: Name of the built-in sample it came from, if any.
    """

    id: str
    name: str
    folder: Path
    class_names: tuple[str, ...] = ()
    images: tuple[ImageRecord, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    validation_split: float = 0.2
    seed: int = 1
    version: int = 0
    sample: str | None = None

    @classmethod
    def load(cls, workspace: Workspace, dataset_id: str) -> ImageDataset:
        """Read a dataset.

        Raises:
            NotFoundError: If the workspace has no such dataset.
            WorkspaceError: If its file is damaged.
        """
        folder = workspace.dataset_dir(dataset_id)
        if not (folder / "dataset.json").is_file():
            raise NotFoundError(_("There are no images with the id {id} any more.").format(id=dataset_id))
        facts = read_json(folder / "dataset.json")
        try:
            facts["images"] = tuple(ImageRecord(**image) for image in facts["images"])
            facts["left_out"] = tuple(LeftOut(**file) for file in facts["left_out"])
            facts["class_names"] = tuple(facts["class_names"])
            return cls(id=dataset_id, folder=folder, **facts)
        except (KeyError, TypeError) as error:
            raise WorkspaceError(
                _("The file of the images {id} is damaged.").format(id=dataset_id)
            ) from error

    def save(self) -> ImageDataset:
        """Write the dataset's facts and return it with its new version number.

        Raises:
            WorkspaceError: If the disk refuses.
        """
        saved = replace(self, version=self.version + 1)
        write_json(self.folder / "dataset.json", saved._to_dict())
        return saved

    def with_images(self, images: Iterable[ImageRecord], left_out: Iterable[LeftOut]) -> ImageDataset:
        """Return the dataset with these images, its classes named and its split drawn anew."""
        images = tuple(images)
        return replace(
            self,
            images=assign_splits(images, self.validation_split, self.seed),
            class_names=tuple(sorted({image.class_name for image in images})),
            left_out=tuple(left_out),
        )

    def with_split(self, validation_split: float, seed: int) -> ImageDataset:
        """Return the dataset with another share or another draw of validation images.

        Args:
            validation_split: Share of each class that is kept for validation, above 0 and below 1.
            seed: Fixes which images those are, 0 to 2147483647.

        Raises:
            InvalidConfigError: If one of them is out of range.
        """
        images = assign_splits(self.images, validation_split, seed)
        return replace(self, images=images, validation_split=validation_split, seed=seed)

    def image_path(self, image: ImageRecord) -> Path:
        """Where the file of an image lies."""
        return self.folder / "images" / f"{image.id}.jpg"

    def images_in(self, split: Split) -> list[ImageRecord]:
        """The images of one split."""
        return [image for image in self.images if image.split == split]

    def class_index(self, image: ImageRecord) -> int:
        """Position of the image's class among the network's outputs."""
        return self.class_names.index(image.class_name)

    def counts(self, split: Split | None = None) -> dict[str, int]:
        """Number of images by class, in one split or in all."""
        counted = Counter(image.class_name for image in self.images if split in (None, image.split))
        return {name: counted[name] for name in self.class_names}

    def check_trainable(self) -> None:
        """Make sure that a network can learn from this dataset.

        Raises:
            IngestError: If there are fewer than two classes or a class has too few images.
        """
        if len(self.class_names) < 2:
            raise IngestError(
                _(
                    "There is only one class ({name}). A network learns to tell classes apart, so it needs at least "
                    "two. Add images of another class."
                ).format(name=self.class_names[0])
                if self.class_names
                else _("There are no images yet. Add a folder, a zip file or a sample.")
            )
        small = [name for name, count in self.counts().items() if count < MIN_IMAGES_PER_CLASS]
        if small:
            raise IngestError(
                _(
                    "Each class needs at least {least} images, one to learn from and one to check with, and better "
                    "{advised} or more. Add images to: {names}."
                ).format(least=MIN_IMAGES_PER_CLASS, advised=ADVISED_IMAGES_PER_CLASS, names=", ".join(small))
            )

    def _to_dict(self) -> dict[str, Any]:
        values = asdict(self)
        del values["id"], values["folder"]
        return values
