"""Classes are found by the structure of folders; where it has two meanings the person is asked."""

import io
from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from transfer_core.data.sources.folder_names import is_session, split_named, splits_named
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.data.sources.layout import read_layout
from transfer_core.data.sources.layout_choice import LayoutChoice, LayoutQuestion, LayoutQuestionError
from transfer_core.data.sources.name_labels import labels_in_names
from transfer_core.errors import IngestError, UnreadableImageError


def unread() -> bytes:
    raise UnreadableImageError("not read yet")


def listed(paths: Iterable[str], read: Callable[[], bytes] = unread) -> list[ImportedFile]:
    return [ImportedFile(tuple(path.split("/")), read) for path in paths]


def photos(folder: str, count: int = 4) -> list[str]:
    return [f"{folder}/{number}.jpg" for number in range(count)]


def found(paths: Iterable[str], choice: LayoutChoice | None = None) -> Counter[tuple[str | None, str | None]]:
    """The number of usable photos by class and part of the split."""
    return Counter(
        (file.class_name, file.split)
        for file in read_layout(listed(paths), choice).files
        if file.class_name and not file.is_refused
    )


def question(paths: Iterable[str], read: Callable[[], bytes] = unread) -> LayoutQuestion:
    with pytest.raises(LayoutQuestionError) as caught:
        read_layout(listed(paths, read))
    assert str(caught.value) == caught.value.question.sentence
    return caught.value.question


def stripes() -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").save(buffer, "PNG")
    return buffer.getvalue()


def reasons(paths: Iterable[str]) -> dict[str, str]:
    """The reason of each file that is refused, by path."""
    why = {}
    for file in read_layout(listed(paths)).files:
        if file.is_refused:
            with pytest.raises(UnreadableImageError) as caught:
                file.read()
            why["/".join(file.parts)] = str(caught.value)
    return why


class TestSplitWords:
    @pytest.mark.parametrize(
        ("split", "names"),
        [
            (
                "train",
                "train Training TRAIN training_set seg_train train2017 images_train training-data TrainSet 01_train "
                "训练集 训练 訓練データ 学習用 Entraînement jeu_d'entraînement entrenamiento "
                "datos_de_entrenamiento treino treinamento Trainingsdaten train1 Train_Images trainval обучение 훈련 "
                "Trainingsbilder Trainingsset Lerndaten 训练样本 訓練用画像 Train_v2",
            ),
            (
                "validation",
                "val valid Validation dev val2017 valid_set 验证集 驗證 検証データ Validierung validación validação "
                "devel валидация 검증",
            ),
            (
                "test",
                "test Testing test_set seg_test test1 holdout hold-out Hold_Out eval evaluation 测试集 測試 テスト "
                "評価用 prueba conjunto_de_prueba Testdaten testes тест 테스트 essai held-out",
            ),
        ],
    )
    def test_parts_of_a_split_in_many_words(self, split: str, names: str) -> None:
        assert {name: split_named(name) for name in names.split()} == dict.fromkeys(names.split(), split)

    @pytest.mark.parametrize(
        "name",
        [
            "trains",
            "bullet_train",
            "trainer",
            "latest",
            "contest",
            "train+val",
            "cat",
            "attest",
            "evaluator",
            "device",
            "a",
            "训",
        ],
    )
    def test_other_words_are_none(self, name: str) -> None:
        assert split_named(name) is None

    def test_an_evaluation_is_what_is_missing(self) -> None:
        assert splits_named(["training", "validation", "evaluation"])["evaluation"] == "test"
        assert splits_named(["train", "eval", "test"])["eval"] == "validation"
        assert splits_named(["train", "eval"])["eval"] == "test"


class TestClassFolders:
    @pytest.mark.parametrize(
        "around",
        ["", "all/", "archive/PetImages/", "a/b/c/", "images/", "data/Images/jpg/", "训练数据包/图片/"],
    )
    def test_single_folders_around_the_classes_are_passed_over(self, around: str) -> None:
        paths = [*photos(f"{around}apple"), *photos(f"{around}sky"), f"{around}readme.txt"]
        assert found(paths) == {("apple", None): 4, ("sky", None): 4}

    def test_files_of_the_operating_system_are_no_folder_around(self) -> None:
        paths = [*photos("all/cat"), *photos("all/dog"), ".DS_Store", "__MACOSX/all/cat/._1.jpg"]
        files = read_layout(listed(paths)).files
        assert Counter(file.class_name for file in files if not file.is_system_file) == {"cat": 4, "dog": 4}
        assert sum(file.is_system_file for file in files) == 2

    def test_a_folder_with_a_split_word_among_others_is_a_class(self) -> None:
        assert found([*photos("train"), *photos("bus"), *photos("test")]).keys() == {
            ("train", None),
            ("bus", None),
            ("test", None),
        }

    def test_one_folder_of_photos_is_one_class(self) -> None:
        assert found(photos("cat")) == {("cat", None): 4}
        assert found(photos("all/cat/2024-01-01") + photos("all/cat/2024-01-02")) == {("cat", None): 8}

    @pytest.mark.parametrize(
        "names", [("session1", "session2"), ("2024-01-01", "2024-02-01"), ("1", "2"), ("day 1", "day 2")]
    )
    def test_sessions_are_series_of_one_class(self, names: tuple[str, str]) -> None:
        paths = [path for name in names for path in photos(f"cat/{name}") + photos(f"dog/{name}x")]
        paths = [*(path for name in names for path in photos(f"cat/{name}")), *photos("dog")]
        files = read_layout(listed(paths)).files
        assert {(file.class_name, file.series != "") for file in files} == {("cat", True), ("dog", False)}
        assert len({file.series for file in files if file.series}) == 2

    def test_one_folder_in_each_class_is_no_series(self) -> None:
        files = read_layout(listed([*photos("cat/images"), *photos("dog/images")])).files
        assert {(file.class_name, file.series) for file in files} == {("cat", ""), ("dog", "")}

    def test_photos_beside_the_class_folders_have_no_class(self) -> None:
        files = read_layout(listed([*photos("set/apple"), *photos("set/sky"), "set/loose.jpg"])).files
        assert [file.class_name for file in files if file.parts[-1] == "loose.jpg"] == [None]

    def test_files_beside_photos_are_no_classes(self) -> None:
        paths = [*photos("images/cat"), *photos("images/dog"), "annotations/1.xml", "labels/1.txt", "a.pdf"]
        assert found(paths) == {("cat", None): 4, ("dog", None): 4}
        assert set(reasons(paths).values()) == {"it is not a photo"}

    def test_deeper_classes_are_named_and_can_be_chosen(self) -> None:
        paths = [
            path
            for name in ("cat/persian", "cat/siamese", "dog/poodle", "dog/beagle")
            for path in photos(name)
        ]
        reading = read_layout(listed(paths))
        assert found(paths) == {("cat", None): 8, ("dog", None): 8}
        assert {notice.names for file in reading.files for notice in file.notices} == {
            ("beagle", "persian", "poodle", "siamese")
        }
        assert reading.alternative and [choice.layout for choice in reading.alternative.choices] == [
            "classes",
            "subfolders",
        ]
        chosen = found(paths, LayoutChoice("subfolders"))
        assert chosen == {(name, None): 4 for name in ("persian", "siamese", "poodle", "beagle")}
        assert read_layout(listed(paths), LayoutChoice("classes")).alternative is None

    def test_subfolders_of_the_same_name_stay_apart(self) -> None:
        paths = [*photos("cat/other"), *photos("cat/black"), *photos("dog/other"), *photos("dog/white")]
        chosen = found(paths, LayoutChoice("subfolders"))
        assert {name for name, _split in chosen} == {"cat other", "black", "dog other", "white"}


class TestSplitFolders:
    @pytest.mark.parametrize("around", ["", "archive/", "archive/data/"])
    @pytest.mark.parametrize(
        ("train", "test"),
        [
            ("train", "test"),
            ("training_set", "test_set"),
            ("Training", "Testing"),
            ("seg_train/seg_train", "seg_test/seg_test"),
            ("训练集", "测试集"),
            ("entraînement", "évaluation"),
            ("train/images", "test/images"),
        ],
    )
    def test_parts_are_known_by_their_names(self, around: str, train: str, test: str) -> None:
        paths = [
            path
            for part in (train, test)
            for name in ("apple", "sky")
            for path in photos(f"{around}{part}/{name}")
        ]
        assert found(paths) == {(name, part): 4 for name in ("apple", "sky") for part in ("train", "test")}

    def test_a_train_folder_alone_keeps_its_part(self) -> None:
        assert found([*photos("train/cat"), *photos("train/dog")]) == {
            ("cat", "train"): 4,
            ("dog", "train"): 4,
        }

    def test_a_class_in_one_part_only(self) -> None:
        paths = [*photos("train/cat"), *photos("train/dog"), *photos("val/cat/day1"), *photos("val/cat/day2")]
        assert found(paths) == {("cat", "train"): 4, ("dog", "train"): 4, ("cat", "validation"): 8}

    def test_a_flat_part_beside_has_no_classes(self) -> None:
        paths = [*photos("train/cat"), *photos("train/dog"), *photos("test"), *photos("extra")]
        assert found(paths) == {("cat", "train"): 4, ("dog", "train"): 4}
        why = reasons(paths)
        assert why["test/0.jpg"] == "it lies in test without a class folder"
        assert why["extra/0.jpg"] == "it lies beside test, train"

    def test_parts_within_the_class_folders(self) -> None:
        paths = [
            path for name in ("cat", "dog") for part in ("train", "val") for path in photos(f"{name}/{part}")
        ]
        assert found(paths) == {
            (name, part): 4 for name in ("cat", "dog") for part in ("train", "validation")
        }

    def test_the_person_can_say_that_they_are_classes(self) -> None:
        paths = [*photos("train/cat"), *photos("train/dog"), *photos("test/cat"), *photos("test/dog")]
        assert found(paths, LayoutChoice("classes")) == {("train", None): 8, ("test", None): 8}


class TestQuestions:
    def test_unknown_folders_with_the_same_folders(self) -> None:
        paths = [
            path
            for part in ("first", "other")
            for name in ("apple", "sky")
            for path in photos(f"{part}/{name}")
        ]
        paths += photos("first/apple", 9)[4:]
        asked = question(paths)
        assert asked.kind == "same_folders"
        assert (
            asked.sentence == "first and other hold the same folders: apple, sky. Are they parts of a split?"
        )
        assert [asked.answer(choice) for choice in asked.choices] == [
            "Put them together: apple, sky",
            "Yes: first for training and other for testing",
            "2 classes: first, other",
        ]
        assert set(asked.samples) == {"first", "other"} and all(asked.samples.values())
        together, split, classes = (found(paths, choice) for choice in asked.choices)
        assert split == {("apple", "train"): 9, ("sky", "train"): 4, ("apple", "test"): 4, ("sky", "test"): 4}
        assert together == {("apple", None): 13, ("sky", None): 8}
        assert classes == {("first", None): 13, ("other", None): 8}

    def test_versions_of_the_same_photos(self) -> None:
        paths = [
            path
            for version in ("color", "grayscale", "segmented")
            for name in ("healthy", "rot")
            for path in photos(f"{version}/{name}")
        ]
        asked = question(paths, stripes)
        assert asked.kind == "versions" and "color, grayscale and segmented" in asked.sentence
        assert [choice.folder or choice.layout for choice in asked.choices] == [
            "color",
            "grayscale",
            "segmented",
            "together",
            "classes",
        ]
        assert found(paths, asked.choices[0]) == {("healthy", None): 4, ("rot", None): 4}
        together = read_layout(listed(paths), LayoutChoice("together")).files
        by_series = Counter(file.series for file in together)
        assert len(by_series) == 8 and set(by_series.values()) == {3}

    def test_the_same_names_are_all_possible_before_the_content_has_arrived(self) -> None:
        paths = [
            path for part in ("color", "grey") for name in ("a", "b") for path in photos(f"{part}/{name}")
        ]
        layouts = [choice.folder or choice.layout for choice in question(paths).choices]
        assert layouts == ["together", "split", "color", "grey", "classes"]

    def test_the_same_names_of_different_photos_are_no_versions(self) -> None:
        def noise() -> bytes:
            numbers.append(len(numbers))
            pixels = np.random.default_rng(len(numbers)).integers(0, 256, (32, 32, 3), dtype=np.uint8)
            buffer = io.BytesIO()
            Image.fromarray(pixels).resize((16, 16)).save(buffer, "PNG")
            return buffer.getvalue()

        numbers: list[int] = []
        paths = [path for part in ("one", "two") for name in ("a", "b") for path in photos(f"{part}/{name}")]
        assert question(paths, noise).kind == "same_folders"

    def test_photos_directly_in_parts_of_a_split(self) -> None:
        paths = [*photos("train"), *photos("test")]
        asked = question(paths)
        assert asked.kind == "flat_parts" and [choice.layout for choice in asked.choices] == ["classes"]
        assert found(paths, LayoutChoice("classes")) == {("train", None): 4, ("test", None): 4}

    def test_labels_in_the_names_of_a_split(self) -> None:
        paths = [
            f"{part}/{name}.{n}.jpg"
            for part in ("train", "test")
            for name in ("cat", "dog")
            for n in range(4)
        ]
        asked = question(paths)
        assert [choice.layout for choice in asked.choices] == ["names", "classes"]
        assert found(paths, LayoutChoice("names")) == {
            (name, part): 4 for name in ("cat", "dog") for part in ("train", "test")
        }

    def test_one_part_of_a_split_beside_other_folders(self) -> None:
        paths = [*photos("train/inside"), *photos("train/outside"), *photos("bus"), *photos("car")]
        asked = question(paths)
        assert asked.kind == "split_or_classes"
        assert found(paths, LayoutChoice("classes")).keys() == {("train", None), ("bus", None), ("car", None)}

    @pytest.mark.parametrize("folder", ["", "images/", "train/", "a/images/"])
    def test_labels_in_file_names_are_only_proposed(self, folder: str) -> None:
        paths = [f"{folder}{name}_{n}.jpg" for name in ("Abyssinian", "great_pyrenees") for n in range(4)]
        asked = question(paths)
        assert asked.kind == "names" and asked.class_names == ("Abyssinian", "great_pyrenees")
        assert {name for name, _split in found(paths, asked.choices[0])} == {"Abyssinian", "great_pyrenees"}

    def test_a_choice_that_does_not_fit_is_refused(self) -> None:
        for choice in (LayoutChoice("names"), LayoutChoice("table"), LayoutChoice("folder", "c")):
            with pytest.raises(IngestError):
                read_layout(listed([*photos("a"), *photos("b")]), choice)


class TestUnevenFolders:
    """Single folders around a part, copies of the dataset within it, and folders that are no classes."""

    @pytest.mark.parametrize("outer", ["brain_tumor", "cat", "pets/pets"])
    def test_a_copy_within_the_folder_makes_no_class(self, outer: str) -> None:
        tops = [*photos("cat"), *photos("dog"), *photos("bird")]
        inner = [f"{outer}/{path}" for path in tops]
        assert set(found([*tops, *inner])) == {("cat", None), ("dog", None), ("bird", None)}

    def test_the_same_dataset_at_two_depths_is_asked_about(self) -> None:
        inner = [path for name in ("cat", "dog") for path in photos(f"pets/{name}")]
        paths = [*inner, *(f"data/{path}" for path in inner)]
        asked = question(paths, stripes)
        assert asked.kind == "versions" and asked.folders == ("data", "pets")
        for choice in asked.choices[:3]:
            assert {name for name, _split in found(paths, choice)} == {"cat", "dog"}

    @pytest.mark.parametrize("test", ["test/test", "test/images", "test"])
    def test_photos_of_one_part_without_class_folders(self, test: str) -> None:
        paths = [*photos("train/train/cat"), *photos("train/train/dog"), *photos(test)]
        assert set(found(paths)) == {("cat", "train"), ("dog", "train")}
        assert all("without a class folder" in why for why in reasons(paths).values())

    def test_parts_with_the_name_of_the_dataset(self) -> None:
        paths = [
            *photos("asl_alphabet_train/asl_alphabet_train/A"),
            *photos("asl_alphabet_train/asl_alphabet_train/B"),
        ]
        assert set(found([*paths, *photos("asl_alphabet_test/asl_alphabet_test")])) == {
            ("A", "train"),
            ("B", "train"),
        }

    @pytest.mark.parametrize(
        "names", [("day", "night"), ("1 euro", "10 cent"), ("0-9", "10-19"), ("1st", "2nd")]
    )
    @pytest.mark.parametrize("outer", ["data", "101_Objects"])
    def test_classes_that_sound_like_sessions(self, names: tuple[str, str], outer: str) -> None:
        paths = [path for name in names for path in photos(f"{outer}/{name}")]
        assert set(found(paths)) == {(name, None) for name in names}

    @pytest.mark.parametrize("session", ["2024-01-01", "session 1", "Tag_2"])
    def test_sessions_of_a_single_class(self, session: str) -> None:
        assert set(found([*photos(f"cat/{session}"), *photos(f"cat/{session}9")])) == {("cat", None)}

    def test_only_one_folder_with_folders_is_asked_about(self) -> None:
        paths = [
            *photos("pets/train/cat"),
            *photos("pets/val/cat"),
            *photos("pets/train/dog"),
            *photos("docs"),
        ]
        asked = question(paths)
        assert [(choice.layout, choice.folder) for choice in asked.choices] == [
            ("classes", ""),
            ("folder", "pets"),
        ]
        assert set(found(paths, asked.choices[1])) == {
            ("cat", "train"),
            ("cat", "validation"),
            ("dog", "train"),
        }

    def test_folds_with_a_split_in_each_are_asked_about(self) -> None:
        paths = [
            path
            for fold in ("fold1", "fold2")
            for part in ("train", "test")
            for name in ("cat", "dog")
            for path in photos(f"{fold}/{part}/{name}")
        ]
        asked = question(paths)
        assert asked.kind in ("same_folders", "versions")
        only = next(choice for choice in asked.choices if choice.layout == "folder")
        assert set(found(paths, only)) == {
            (name, part) for name in ("cat", "dog") for part in ("train", "test")
        }

    @pytest.mark.parametrize("masks", ["SegmentationClass", "annotations/trimaps", "masks"])
    def test_photos_beside_masks_are_asked_about(self, masks: str) -> None:
        assert question([*photos("JPEGImages"), *photos(masks)]).kind == "flat_parts"

    def test_files_without_an_ending_say_nothing_about_the_folders(self) -> None:
        notes = [f"Annotation/{name}/{number}" for name in ("cat", "dog") for number in range(4)]
        assert set(found([*photos("Images/cat"), *photos("Images/dog"), *notes, "docs/README"])) == {
            ("cat", None),
            ("dog", None),
        }

    def test_names_hold_the_classes_of_a_single_folder(self) -> None:
        paths = [f"weather/{name}{number}.jpg" for name in ("rain", "sunrise") for number in range(4)]
        asked = question(paths)
        assert [choice.layout for choice in asked.choices] == ["names", "classes"]
        assert set(found(paths, asked.choices[1])) == {("weather", None)}


@pytest.mark.parametrize(
    "paths",
    [
        [*photos("a/train"), *photos("a/test"), *photos("b/train"), *photos("b/test"), "notes/cat/1.xml"],
        [*photos("a/b/cat"), *photos("a/b/dog"), "a/b"],
    ],
)
def test_other_files_in_any_place_are_kept(paths: list[str]) -> None:
    try:
        reading = read_layout(listed(paths))
    except LayoutQuestionError as error:
        reading = read_layout(listed(paths), error.question.choices[0])
    assert sorted("/".join(file.parts) for file in reading.files) == sorted(paths)


class TestFoldersAndTable:
    """Both may give classes; the answer is the same whichever is read first."""

    @staticmethod
    def files(folders: dict[str, int], row: Callable[[str, int], str], head: str) -> list[ImportedFile]:
        """Photos in folders, and a table that holds one row for each."""
        names = [(folder, number) for folder, count in folders.items() for number in range(count)]
        text = "\n".join([head, *(f"{folder}{number}.jpg,{row(folder, number)}" for folder, number in names)])
        paths = [f"{folder}/{folder}{number}.jpg" for folder, number in names]
        return [*listed(paths), *listed(["labels.csv"], text.encode)]

    @staticmethod
    def classes(files: list[ImportedFile]) -> set[str | None]:
        return {
            file.class_name for file in read_layout(files).files if not file.is_refused and file.may_be_photo
        }

    def test_folders_name_the_numbers_of_a_table(self) -> None:
        row = {"cat": "0,train", "dog": "1,test"}
        files = self.files({"cat": 4, "dog": 4}, lambda folder, _n: row[folder], "file,label,split")
        assert Counter((file.class_name, file.split) for file in read_layout(files).files if file.split) == {
            ("cat", "train"): 4,
            ("dog", "test"): 4,
        }

    def test_folders_settle_which_column_holds_the_class(self) -> None:
        varieties = ("rice", "wheat")
        files = self.files(
            {"blast": 4, "hispa": 4}, lambda f, n: f"{f},{varieties[n % 2]}", "file,label,variety"
        )
        assert self.classes(files) == {"blast", "hispa"}

    @pytest.mark.parametrize("head", ["file,photographer,width", "file,sex,age"])
    def test_a_column_that_only_repeats_is_no_rival_of_folders(self, head: str) -> None:
        files = self.files({"cat": 6, "dog": 6}, lambda _f, n: f"{['Anna', 'Ben'][n % 2]},{640 + n}", head)
        reading = read_layout(files)
        assert {file.class_name for file in reading.files if not file.is_refused} >= {"cat", "dog"}
        assert reading.read_as.labels_from == "folders"

    def test_a_column_that_only_repeats_is_asked_about(self) -> None:
        files = self.files(
            {"images": 8}, lambda _f, n: f"{['Anna', 'Ben'][n % 2]},{640 + n}", "file,photographer,width"
        )
        with pytest.raises(LayoutQuestionError) as caught:
            read_layout(files)
        asked = caught.value.question
        assert (asked.kind, asked.folders) == ("columns", ("photographer",))
        assert read_layout(files, asked.choices[0]).read_as.num_classes == 2

    @pytest.mark.parametrize("names", [("n0144", "n0210"), ("c1", "c2"), ("class 1", "class 2")])
    def test_a_table_of_few_photos_leaves_numbered_classes(self, names: tuple[str, str]) -> None:
        paths = [path for name in names for path in photos(f"train/{name}")]
        table = "\n".join(f"v{number}.jpg\tx{number % 2}" for number in range(4))
        more = [f"val/images/v{number}.jpg" for number in range(4)]
        files = [*listed([*paths, *more]), *listed(["val/val_annotations.txt"], table.encode)]
        assert self.classes(files) - {None} == set(names)

    def test_every_column_of_a_table_that_disagrees_is_one_answer(self) -> None:
        kinds, colours = ("fox", "hen"), ("red", "grey")
        files = self.files(
            {"cat": 8, "dog": 8}, lambda _f, n: f"{kinds[n % 2]},{colours[n // 4]}", "file,label,class"
        )
        with pytest.raises(LayoutQuestionError) as caught:
            read_layout(files)
        answers = [read_layout(files, choice) for choice in caught.value.question.choices]
        classes = [{file.class_name for file in answer.files if file.label} for answer in answers]
        assert classes == [set(kinds), set(colours), {"cat", "dog"}]

    def test_photos_without_a_class_never_disagree_with_a_table(self) -> None:
        rows = [f"Train/{name}/{n}.jpg,{name}" for name in ("0", "1") for n in range(4)]
        rows += [f"Test/{n}.jpg,{n % 2}" for n in range(4)]
        photos_ = [row.split(",")[0] for row in rows]
        files = [*listed(photos_), *listed(["all.csv"], "\n".join(["path,label", *rows]).encode)]
        reading = read_layout(files)
        assert reading.read_as.labels_from == "table" and reading.read_as.splits == ("train", "test")


class TestNames:
    @pytest.mark.parametrize(
        ("names", "labels"),
        [
            (["cat.1.jpg", "cat.2.jpg", "dog.1.jpg", "dog.22.jpg"], ["cat", "cat", "dog", "dog"]),
            (
                ["rose (1).jpg", "rose (2).jpg", "tulip (1).jpg", "tulip (2).jpg"],
                ["rose", "rose", "tulip", "tulip"],
            ),
            (["1_rose.jpg", "2_rose.jpg", "3_tulip.jpg", "4_tulip.jpg"], ["rose", "rose", "tulip", "tulip"]),
            (["n0144_1.JPEG", "n0144_2.JPEG", "n02_1.JPEG", "n02_2.JPEG"], ["n0144", "n0144", "n02", "n02"]),
            (
                [
                    "Black_Tern_0001_796.jpg",
                    "Black_Tern_0002_79.jpg",
                    "Least_Tern_0001_1.jpg",
                    "Least_Tern_0002_2.jpg",
                ],
                ["Black_Tern", "Black_Tern", "Least_Tern", "Least_Tern"],
            ),
            (["猫1.jpg", "猫2.jpg", "犬1.jpg", "犬2.jpg"], ["猫", "猫", "犬", "犬"]),
        ],
    )
    def test_labels_in_names(self, names: list[str], labels: list[str]) -> None:
        assert labels_in_names(names) == labels

    @pytest.mark.parametrize(
        "names",
        [
            ["IMG_001.jpg", "IMG_002.jpg", "DSC001.jpg", "DSC002.jpg"],
            ["20240101_1200.jpg", "20240101_1201.jpg"],
            ["Screenshot 1.png", "Screenshot 2.png", "photo 1.png", "photo 2.png"],
            ["cat_1.jpg", "cat_2.jpg"],
            ["rose.jpg", "tulip.jpg", "sunflower.jpg"],
            ["a3f9c2d1.jpg", "b3f9c2d1.jpg", "c3f9c2d1.jpg"],
            [],
        ],
    )
    def test_names_without_labels(self, names: list[str]) -> None:
        assert labels_in_names(names) is None


@pytest.mark.parametrize("name", ["2020-01-01", "session1", "day_2", "1", "20190304_1530", "clip-3", "Tag 4"])
def test_session_names(name: str) -> None:
    assert is_session(name)


@pytest.mark.parametrize(
    "name", ["persian", "IMG_1234", "poodle2", "front", "holiday", "1 euro", "101_objects"]
)
def test_other_names_are_no_sessions(name: str) -> None:
    assert not is_session(name)


_FOLDER = st.sampled_from(
    ["train", "test", "val", "cat", "dog", "1", "images", "data", "seg_train", "day 1", "A", "a"]
)


@settings(deadline=None)
@given(st.lists(st.lists(_FOLDER, max_size=4), min_size=1, max_size=12))
def test_any_folders_are_read_or_asked_about(folders: list[list[str]]) -> None:
    """No file is lost, and every answer that is offered can be carried out."""
    paths = sorted({"/".join((*folder, f"{n}.jpg")) for folder in folders for n in range(2)})
    try:
        files = read_layout(listed(paths)).files
    except LayoutQuestionError as error:
        for choice in error.question.choices:
            assert len(read_layout(listed(paths), choice).files) == len(paths)
        assert error.question.sentence and all(map(error.question.answer, error.question.choices))
    else:
        assert sorted("/".join(file.parts) for file in files) == paths
