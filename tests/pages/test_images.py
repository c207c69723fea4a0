"""Step 2: the images."""

import io
import zipfile
from pathlib import Path

import pytest

from tests.conftest import MakeImage
from tests.pages.conftest import OpenPage, texts
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources import folder_source
from transfer_core.workspace import Workspace


def zip_of(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(folder.rglob("*.*")):
            archive.write(path, path.relative_to(folder.parent))
    return buffer.getvalue()


def test_empty_page_offers_four_ways_in(open_page: OpenPage) -> None:
    page = open_page("2_Images")
    assert "No images yet" in texts(page)
    (ways,) = page.button_group
    assert list(ways.options) == ["A folder", "A zip file", "One class", "A sample"]
    assert not page.button


def test_a_zip_becomes_a_dataset(open_page: OpenPage, image_folder: Path) -> None:
    page = open_page("2_Images")
    page.button_group[0].set_value("A zip file").run()
    page.file_uploader[0].upload("colors.zip", zip_of(image_folder), "application/zip").run()
    assert not page.exception and not page.error
    assert [metric.value for metric in page.metric] == ["3", "18", "6"]
    assert "24 images in 3 classes" in texts(page)
    page.button(key="next-MODEL").click().run()
    assert page.title[0].value == "1 · Model"


def test_a_zip_that_is_none_is_one_sentence_and_loses_nothing(
    open_page: OpenPage, dataset: ImageDataset
) -> None:
    page = open_page("2_Images", images=dataset.id)
    page.button_group[0].set_value("A zip file").run()
    page.file_uploader[0].upload("fake.zip", b"not a zip at all", "application/zip").run()
    assert page.error[0].value.startswith("fake.zip is not a zip file, or it is damaged.")
    assert page.query_params["images"] == dataset.id
    assert page.metric[0].value == "3"


def test_images_are_added_to_a_named_class(
    open_page: OpenPage, dataset: ImageDataset, make_image: MakeImage, page_workspace: Workspace
) -> None:
    page = open_page("2_Images", images=dataset.id)
    page.button_group[0].set_value("One class").run()
    page.text_input[0].set_value("grey")
    page.file_uploader[0].upload("a.png", make_image("grey", seed=1), "image/png")
    page.file_uploader[0].upload("b.png", make_image("grey", seed=2), "image/png")
    page.button[0].click().run()
    assert not page.error
    assert ImageDataset.load(page_workspace, dataset.id).counts()["grey"] == 2
    assert "26 images in 4 classes" in texts(page)


def test_a_class_needs_a_name_and_images(open_page: OpenPage) -> None:
    page = open_page("2_Images")
    page.button_group[0].set_value("One class").run()
    page.button[0].click().run()
    assert page.error[0].value == "The class needs a name. Type what is on the images, for example: cat."
    page.text_input[0].set_value("cat")
    page.button[0].click().run()
    assert page.error[0].value.startswith("There are no images yet.")


def test_one_class_alone_is_explained_and_leads_nowhere(
    open_page: OpenPage, page_workspace: Workspace, image_folder: Path
) -> None:
    only_red = [file for file in folder_source(image_folder) if file.class_name == "red"]
    dataset = add_files(create_dataset(page_workspace, "one"), only_red)
    page = open_page("2_Images", images=dataset.id)
    assert page.error[0].value.startswith("There is only one class (red).")
    assert "Needs a second class" in texts(page)
    assert not [found for found in page.button if str(found.key).startswith("next-")]


def test_what_was_left_out_is_listed_with_its_reason(
    open_page: OpenPage, page_workspace: Workspace, image_folder: Path
) -> None:
    (image_folder / "red" / "notes.jpg").write_text("not a picture")
    (image_folder / "red" / "empty.png").touch()
    (image_folder / ".DS_Store").touch()
    dataset = add_files(create_dataset(page_workspace, "colors"), folder_source(image_folder))
    page = open_page("2_Images", images=dataset.id)
    (table,) = page.dataframe
    assert table.value.values.tolist() == [
        ["red/empty.png", "the file is empty (0 bytes)"],
        ["red/notes.jpg", "it is not a picture, whatever its name says"],
    ]
    assert "1 file of the operating system was passed over." in texts(page)
    assert page.metric[0].value == "3"


def test_a_sample_is_one_click(open_page: OpenPage, page_workspace: Workspace) -> None:
    page = open_page("2_Images")
    page.button_group[0].set_value("A sample").run()
    page.button(key="sample-pictures").click().run()
    assert not page.exception and not page.error
    (dataset_id,) = page_workspace.dataset_ids()
    assert ImageDataset.load(page_workspace, dataset_id).sample == "pictures"
    assert "200 images in 5 classes" in texts(page)


def test_the_gallery_has_pages_of_48_and_a_filter(open_page: OpenPage, page_workspace: Workspace) -> None:
    page = open_page("2_Images")
    page.button_group[0].set_value("A sample").run()
    page.button(key="sample-pictures").click().run()
    assert "Images 1 to 48 of 200." in texts(page)
    page.session_state[page.get("pagination")[0].key] = 5
    page.run()
    assert "Images 193 to 200 of 200." in texts(page)
    page.selectbox[0].set_value("food").run()
    assert "40 images. " in texts(page)


def test_the_split_can_be_changed(
    open_page: OpenPage, dataset: ImageDataset, page_workspace: Workspace
) -> None:
    page = open_page("2_Images", images=dataset.id)
    page.slider[0].set_value(50).run()
    changed = ImageDataset.load(page_workspace, dataset.id)
    assert changed.counts("validation") == {"blue": 4, "green": 4, "red": 4}
    assert changed.version == dataset.version + 1
    assert [metric.value for metric in page.metric] == ["3", "12", "12"]


def test_names_from_outside_are_shown_as_they_are(
    open_page: OpenPage, page_workspace: Workspace, image_folder: Path
) -> None:
    (image_folder / "red").rename(image_folder / "*old* <b>:red[x]")
    dataset = add_files(create_dataset(page_workspace, "$5 _or_ $6"), folder_source(image_folder))
    page = open_page("2_Images", images=dataset.id)
    assert page.subheader[0].value == r"\$5 \_or\_ \$6"
    captions = [caption.caption for caption in page.get("image")[0].proto.imgs]
    assert any(caption.startswith(r"\*old\* \<b\>\:red\[x\]") for caption in captions)


def test_earlier_images_can_be_taken_again(open_page: OpenPage, dataset: ImageDataset) -> None:
    page = open_page("2_Images")
    page.button_group[0].set_value("Earlier images").run()
    page.selectbox(key="earlier-images").set_value(dataset.id).run()
    page.button[0].click().run()
    assert page.query_params["images"] == dataset.id
    assert "24 images in 3 classes" in texts(page)


def test_too_many_files_for_one_class_are_sent_to_the_folder_way(
    open_page: OpenPage, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.ui.image_sources._MAX_CLASS_FILES", 1)
    page = open_page("2_Images")
    page.button_group[0].set_value("One class").run()
    page.text_input[0].set_value("grey")
    for name in ("a.png", "b.png"):
        page.file_uploader[0].upload(name, make_image("grey", seed=ord(name[0])), "image/png")
    page.button[0].click().run()
    assert page.error[0].value.startswith("Up to 1 images can be added here at once.")
