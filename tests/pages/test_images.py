"""Step 2: the images."""

import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from pages.ui.app.process import work_queue
from tests.conftest import MakeImage
from tests.pages.conftest import HeldTasks, OpenPage, button, open_ways, texts
from transfer_core.data.checks.problems import Suspicion
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.image_path import GreyRanges
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.data.sources.layout import labelled_files
from transfer_core.errors import WeightsError
from transfer_core.training.features.feature_cache import FeaturesStoppedError
from transfer_core.work.task import TaskProgress
from transfer_core.workspace import Workspace


def zip_of(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(folder.rglob("*.*")):
            archive.write(path, path.relative_to(folder.parent))
    return buffer.getvalue()


def keys(page: AppTest) -> list[str]:
    return [str(found.key) for found in page.button]


def test_empty_page_offers_the_ways_in(open_page: OpenPage) -> None:
    page = open_page("2_Images")
    (ways,) = page.button_group
    assert list(ways.options) == [
        "A folder",
        "A zip or tar file",
        "The camera",
        "From a video",
        "One class",
        "Photos without labels",
        "A sample",
    ]
    assert all(key.startswith("sample-") for key in keys(page))


def test_a_zip_becomes_a_dataset(open_page: OpenPage, image_folder: Path) -> None:
    page = open_page("2_Images")
    page.button_group[0].set_value("A zip or tar file").run()
    page.file_uploader[0].upload("colors.zip", zip_of(image_folder), "application/zip").run()
    assert not page.exception and not page.error
    assert "**24 photos in 3 classes.** 18 training photos, 6 validation photos." in texts(page)
    page.button(key="next-MODEL").click().run()
    assert page.title[0].value == "1 · Model"


def ask_about_zip(open_page: OpenPage, image_folder: Path) -> AppTest:
    """The page with the question about a zip of two folders with class folders in each."""
    for part in ("one", "two"):
        for color in ("blue", "red"):
            shutil.copytree(image_folder / color, image_folder / "all" / part / f"{part} {color}")
    page = open_page("2_Images")
    page.button_group[0].set_value("A zip or tar file").run()
    page.file_uploader[0].upload("all.zip", zip_of(image_folder / "all"), "application/zip").run()
    return page


def test_a_zip_with_two_meanings_is_asked_about(
    open_page: OpenPage, image_folder: Path, page_workspace: Workspace
) -> None:
    page = ask_about_zip(open_page, image_folder)
    assert "The class folders have folders in them. Which ones are your classes?" in texts(page)
    assert not page_workspace.dataset_ids()
    assert [page.button(key=f"layout-{number}").label for number in range(2)] == [
        "2 classes\\: one, two",
        "4 classes\\: one blue, one red, two blue, two red",
    ]
    page.button(key="layout-1").click().run()
    assert not page.exception
    assert "Read as 4 classes, from subfolders." in texts(page)
    (asked,) = page.session_state["session"].layouts.values()
    assert not asked.question.samples and not asked.thumbnails


def test_a_zip_whose_meanings_are_all_wrong_adds_nothing(
    open_page: OpenPage, image_folder: Path, page_workspace: Workspace
) -> None:
    page = ask_about_zip(open_page, image_folder)
    page.button(key="layout-none").click().run()
    for _again in range(2):
        assert "Make a folder with the photos of each class, then choose it again." in texts(page)
        assert not [button for button in page.button if "layout" in str(button.key)]
        page.run()
    assert not page.exception and not page_workspace.dataset_ids()


def test_a_question_that_was_left_is_named(open_page: OpenPage, image_folder: Path) -> None:
    page = ask_about_zip(open_page, image_folder)
    page.button_group[0].set_value("One class").run()
    assert "Your answer was missing, so nothing was added. Choose the photos again." in texts(page)
    page.run()
    assert "Your answer was missing" not in texts(page)


def test_a_zip_that_is_none_is_one_sentence_and_loses_nothing(
    open_page: OpenPage, dataset: ImageDataset
) -> None:
    page = open_ways(open_page("2_Images", images=dataset.id))
    page.button_group(key="image-source").set_value("A zip or tar file").run()
    page.file_uploader[0].upload("fake.zip", b"not a zip at all", "application/zip").run()
    assert page.error[0].value.startswith("fake.zip is not a zip file, or it is damaged.")
    assert page.query_params["images"] == dataset.id
    assert "24 photos in 3 classes" in texts(page)


def test_images_are_added_to_a_named_class(
    open_page: OpenPage, dataset: ImageDataset, make_image: MakeImage, page_workspace: Workspace
) -> None:
    page = open_ways(open_page("2_Images", images=dataset.id))
    page.button_group(key="image-source").set_value("One class").run()
    page.text_input[0].set_value("grey")
    page.file_uploader[0].upload("a.png", make_image("grey", seed=1), "image/png")
    page.file_uploader[0].upload("b.png", make_image("grey", seed=2), "image/png")
    button(page, "Add these photos").click().run()
    assert not page.error
    assert ImageDataset.load(page_workspace, dataset.id).counts()["grey"] == 2
    assert "26 photos in 4 classes" in texts(page)


def test_a_class_needs_a_name_and_images(open_page: OpenPage) -> None:
    page = open_page("2_Images")
    page.button_group[0].set_value("One class").run()
    page.button[0].click().run()
    assert page.error[0].value == "The class needs a name. Type what the photos show, for example: cat."
    page.text_input[0].set_value("cat")
    page.button[0].click().run()
    assert page.error[0].value.startswith("There are no photos yet.")


def test_one_class_alone_is_explained_and_leads_nowhere(
    open_page: OpenPage, page_workspace: Workspace, image_folder: Path
) -> None:
    only_red = [file for file in folder_source(image_folder) if file.class_name == "red"]
    dataset = add_files(create_dataset(page_workspace, "one"), only_red)
    page = open_page("2_Images", images=dataset.id)
    assert "Needs a second class" in texts(page)
    assert texts(page).count("Add a second class") == 1
    assert not page.error
    assert not [key for key in keys(page) if key.startswith("next-")]


def test_what_was_left_out_is_listed_with_its_reason(
    open_page: OpenPage, page_workspace: Workspace, image_folder: Path
) -> None:
    (image_folder / "red" / "notes.jpg").write_text("not a picture")
    (image_folder / "red" / "empty.png").touch()
    (image_folder / ".DS_Store").touch()
    dataset = add_files(create_dataset(page_workspace, "colors"), folder_source(image_folder))
    page = open_page("2_Images", images=dataset.id)
    assert sorted(row for table in page.dataframe for row in table.value.values.tolist()) == [
        ["red/empty.png", "the file is empty (0 bytes)"],
        ["red/notes.jpg", "it is not a photo, whatever its name says"],
    ]
    assert "1 system file was skipped." in texts(page)
    assert "24 photos in 3 classes" in texts(page)


def test_a_sample_is_one_click(open_page: OpenPage, page_workspace: Workspace) -> None:
    page = open_page("2_Images")
    page.button_group[0].set_value("A sample").run()
    page.button(key="sample-pictures").click().run()
    assert not page.exception and not page.error
    (dataset_id,) = page_workspace.dataset_ids()
    assert ImageDataset.load(page_workspace, dataset_id).sample == "pictures"
    assert "160 photos in 4 classes" in texts(page)


def test_the_gallery_has_pages_of_48_and_a_filter(open_page: OpenPage, page_workspace: Workspace) -> None:
    page = open_page("2_Images")
    page.button_group[0].set_value("A sample").run()
    page.button(key="sample-pictures").click().run()
    assert "Photos 1 to 48 of 160." in texts(page)
    page.session_state[page.get("pagination")[0].key] = 4
    page.run()
    assert "Photos 145 to 160 of 160." in texts(page)
    next(box for box in page.selectbox if box.label == "Class").set_value("food").run()
    assert "40 photos." in texts(page)


def test_the_split_can_be_changed(
    open_page: OpenPage, dataset: ImageDataset, page_workspace: Workspace
) -> None:
    page = open_page("2_Images", images=dataset.id)
    page.slider[0].set_value(50).run()
    changed = ImageDataset.load(page_workspace, dataset.id)
    assert changed.counts("validation") == {"blue": 4, "green": 4, "red": 4}
    assert changed.version == dataset.version + 1
    assert "12 training photos, 12 validation photos." in texts(page)


def test_names_from_outside_are_shown_as_they_are(
    open_page: OpenPage, page_workspace: Workspace, image_folder: Path
) -> None:
    (image_folder / "red").rename(image_folder / "*old* <b>:red[x]")
    dataset = add_files(create_dataset(page_workspace, "$5 _or_ $6"), folder_source(image_folder))
    page = open_page("2_Images", images=dataset.id)
    assert page.header[0].value == r"\$5 \_or\_ \$6"
    captions = [picture.caption for strip in page.get("image") for picture in strip.proto.imgs]
    assert r"\*old\* \<b\>\:red\[x\]" in captions


def test_classes_stand_in_the_order_of_the_alphabet(
    open_page: OpenPage, page_workspace: Workspace, image_folder: Path
) -> None:
    names = {"red": "äpfel", "green": "Zebra", "blue": "ball"}
    for old, new in names.items():
        (image_folder / old).rename(image_folder / new)
    dataset = add_files(create_dataset(page_workspace, "mixed"), folder_source(image_folder))
    page = open_page("2_Images", images=dataset.id)
    (strips,) = [found.proto.body for found in page.get("html") if 'class="class-strips"' in found.proto.body]
    assert sorted(names.values(), key=strips.index) == ["äpfel", "ball", "Zebra"]


def test_earlier_images_can_be_taken_again(open_page: OpenPage, dataset: ImageDataset) -> None:
    page = open_page("2_Images")
    page.button_group[0].set_value("Earlier photos").run()
    page.selectbox(key="earlier-images").set_value(dataset.id).run()
    button(page, "Use these").click().run()
    assert page.query_params["images"] == dataset.id
    assert "24 photos in 3 classes" in texts(page)


def test_too_many_files_for_one_class_are_sent_to_the_folder_way(
    open_page: OpenPage, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.ui.images.add_photos.MAX_FILES", 1)
    page = open_page("2_Images")
    page.button_group[0].set_value("One class").run()
    page.text_input[0].set_value("grey")
    for name in ("a.png", "b.png"):
        page.file_uploader[0].upload(name, make_image("grey", seed=ord(name[0])), "image/png")
    page.button[0].click().run()
    assert page.error[0].value.startswith("Up to 1 photos can be added here at once.")


def copies_of(images: ImageDataset, folder: Path) -> list[Path]:
    """Each picture of one class once more, a little darker."""
    copies = []
    for image in images.images_in("train")[:2]:
        with Image.open(images.image_path(image)) as opened:
            darker = opened.point(lambda value: int(value * 0.97))
        copies.append(folder / image.class_name / f"{image.id}.png")
        darker.save(copies[-1])
    return copies


def test_problems_are_listed_and_fixed_with_one_click(
    open_page: OpenPage, dataset: ImageDataset, page_workspace: Workspace, image_folder: Path
) -> None:
    copies = copies_of(dataset, image_folder)
    dataset = add_files(dataset, folder_source(image_folder))
    assert len(dataset.images) == 24 + len(copies)
    page = open_page("2_Images", images=dataset.id)
    assert "Nearly the same photos" in texts(page)
    page.button(key="fix-near_duplicate").click().run()
    fixed = ImageDataset.load(page_workspace, dataset.id)
    assert (len(fixed.images), len(fixed.excluded)) == (24, 2)
    assert "2 photos excluded." in texts(page)
    page.button(key="undo-edit").click().run()
    assert ImageDataset.load(page_workspace, dataset.id).images == dataset.images


def test_the_gallery_shows_the_images_of_a_problem(open_page: OpenPage, dataset: ImageDataset) -> None:
    page = open_page("2_Images", images=dataset.id)
    assert "24 photos." in texts(page)
    page.button(key="show-few_validation").click().run()
    assert "6 photos." in texts(page)


def test_a_class_is_renamed_and_deleted(
    open_page: OpenPage, dataset: ImageDataset, page_workspace: Workspace
) -> None:
    page = open_page("2_Images", images=dataset.id)
    page.text_input(key=f"new-class-name-{dataset.version}").set_value("azure").run()
    next(found for found in page.button if found.label == "Rename").click().run()
    renamed = ImageDataset.load(page_workspace, dataset.id)
    assert renamed.class_names == ("azure", "green", "red")
    next(found for found in page.button if found.label == "Delete this class").click().run()
    assert ImageDataset.load(page_workspace, dataset.id).class_names == ("green", "red")
    assert "8 photos excluded." in texts(page)


def test_the_parts_of_the_split_take_turns(
    open_page: OpenPage, dataset: ImageDataset, page_workspace: Workspace
) -> None:
    page = open_page("2_Images", images=dataset.id)
    next(group for group in page.button_group if "Folds" in group.options).set_value("Folds").run()
    assert ImageDataset.load(page_workspace, dataset.id).split_by == "folds"
    page.slider[0].set_value(4).run()
    assert ImageDataset.load(page_workspace, dataset.id).num_folds == 4


def test_a_split_of_ones_own_is_kept_and_shown(
    open_page: OpenPage, page_workspace: Workspace, image_folder: Path, tmp_path: Path
) -> None:
    for split in ("train", "val", "test"):
        for path in image_folder.glob("*/*.jpg"):
            if int(path.stem[-1]) % 3 == ("train", "val", "test").index(split):
                target = tmp_path / "own" / split / path.parent.name / path.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
    dataset = add_files(
        create_dataset(page_workspace, "own"), labelled_files(folder_source(tmp_path / "own"))
    )
    page = open_page("2_Images", images=dataset.id)
    assert "9 training photos, 9 validation photos, 6 test photos." in texts(page)


def test_wrong_labels_are_looked_for(
    open_page: OpenPage,
    dataset: ImageDataset,
    page_workspace: Workspace,
    tasks_at_once: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = dataset.images[0]
    found = [Suspicion(wrong.id, wrong.class_name, "red", 0.9)]
    monkeypatch.setattr("transfer_core.work.tasks.suspicious_labels", lambda *_given, **_named: found)
    page = open_page("2_Images", images=dataset.id)
    next(button for button in page.button if button.label == "Look for wrong labels").click().run()
    assert "Labels that are likely wrong" in texts(page)
    page.button(key="fix-wrong_label").click().run()
    assert ImageDataset.load(page_workspace, dataset.id).counts()["red"] == 9
    assert "No wrong labels found." in texts(page)


def test_label_check_shows_its_bar_and_can_be_stopped(
    open_page: OpenPage, dataset: ImageDataset, held_tasks: HeldTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(*_given: object, should_stop: Callable[[], bool], **_named: object) -> list[Suspicion]:
        if should_stop():
            raise FeaturesStoppedError
        raise WeightsError("The weights are missing.")

    monkeypatch.setattr("transfer_core.work.tasks.suspicious_labels", check)
    page = open_page("2_Images", images=dataset.id)
    button(page, "Look for wrong labels").click().run()
    (bar,) = page.get("progress")
    assert bar.proto.text == "Starting the model …"
    (task,) = work_queue().tasks("label check")
    task.report(TaskProgress("", 6, 24))
    page.run()
    (bar,) = page.get("progress")
    assert (bar.proto.text, bar.proto.value) == ("6 of 24 photos", 25)
    page.button(key="stop-label-check").click().run()
    held_tasks.carry_out()
    page.run()
    assert not page.error and "No wrong labels found." not in texts(page)
    button(page, "Look for wrong labels").click().run()
    held_tasks.carry_out()
    page.run()
    assert page.error[0].value == "The weights are missing."
    assert button(page, "Look for wrong labels")


def test_brightness_of_deep_photos_can_be_chosen(open_page: OpenPage, page_workspace: Workspace) -> None:
    def scan(seed: int) -> bytes:
        buffer = io.BytesIO()
        values = np.random.default_rng(seed).integers(0, 4096, (32, 32), dtype=np.uint16)
        Image.fromarray(values).save(buffer, "PNG")
        return buffer.getvalue()

    files = [ImportedFile(("ab"[seed % 2], f"{seed}.png"), lambda seed=seed: scan(seed)) for seed in range(8)]
    scans = add_files(create_dataset(page_workspace, "Scans"), files)
    page = open_ways(open_page("2_Images", images=scans.id))
    assert "The values of 8 photos go from 0 to 4,095. They were stretched from black to white." in texts(
        page
    )
    assert list(page.button_group(key="brightness").options) == [
        "Stretch to full brightness",
        "Keep as in the files",
    ]
    page.button_group(key="brightness").set_value("keep").run()
    page.button_group(key="image-source").set_value("A zip or tar file").run()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in files:
            archive.writestr(file.path, file.read())
    page.file_uploader[0].upload("scans.zip", buffer.getvalue(), "application/zip").run()
    (added_id,) = set(page_workspace.dataset_ids()) - {scans.id}
    added = ImageDataset.load(page_workspace, added_id)
    assert added.grey_ranges == GreyRanges(integers=(0, 65535))
    assert not page.exception


def test_series_are_shown_with_their_photos(open_page: OpenPage, dataset: ImageDataset) -> None:
    alike = [image.id for image in dataset.images_in("train") if image.class_name == "red"][:3]
    dataset.with_series(dict.fromkeys(alike, alike[0])).save()
    page = open_page("2_Images", images=dataset.id)
    assert "3 of your photos come in series of one scene." in texts(page)
    assert button(page, "Show these photos")
