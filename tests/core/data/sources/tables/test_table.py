"""Labels are read from tables as people and programs write them; whatever cannot be read is named."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from transfer_core.data.checks.notices import sentence_of
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.data.sources.layout import labelled_files
from transfer_core.data.sources.tables.table import TABLE_ENDINGS, TablesFound, read_tables

Read = Callable[..., TablesFound]
Labels = Callable[[TablesFound], dict[str, str]]
Reasons = Callable[[TablesFound], dict[str, tuple[str, str]]]

CATS = [f"a{number:02}.jpg" for number in range(6)]
DOGS = [f"b{number:02}.jpg" for number in range(6)]
PHOTOS = [*CATS, *DOGS]
RIGHT = {**dict.fromkeys(CATS, "cat"), **dict.fromkeys(DOGS, "dog")}
SPLITS = ("train", "validation", "test")


def lines(write: Callable[[str, str, int], str], head: str = "") -> str:
    """Return one line for each photo, made from its name, its class and its place."""
    rows = [write(name, RIGHT[name], place) for place, name in enumerate(PHOTOS)]
    return "\n".join([head, *rows] if head else rows)


def numbered(name: str) -> int:
    return int(RIGHT[name] == "dog")


TEXTS = {
    "comma.csv": lines(lambda name, label, _: f"{name},{label}", "filename,class"),
    "semicolon.csv": lines(lambda name, label, _: f"{name};{label}", "Datei;Klasse"),
    "tab.tsv": lines(lambda name, label, _: f"{name}\t{label}", "file\tlabel"),
    "pipe.csv": lines(lambda name, label, _: f"{name}|{label}"),
    "spaces.txt": lines(lambda name, label, _: f"{name} {label}"),
    "sep line.csv": "sep=;\r\n" + lines(lambda name, label, _: f"{name};{label}\r", "file;class\r"),
    "excel.txt": "\ufeff" + lines(lambda name, label, _: f"{name}\t{label}", "Bild\tArt"),
    "quoted.csv": lines(lambda name, label, _: f'"{name}","{label}"', '"file","label"'),
    "spaces after commas.csv": lines(lambda name, label, _: f"{name}, {label}", "file, label"),
    "index column.csv": lines(lambda name, label, i: f"{i},{name},{label}", ",image,class"),
    "index like names.csv": lines(lambda name, label, i: f"{i},{label},{name}", ",y,x"),
    "label first.csv": lines(lambda name, label, _: f"{label},{name}"),
    "label first, odd headers.csv": lines(lambda name, label, _: f"{label};{name}", "Was;Bild-Nr"),
    "no header.csv": lines(lambda name, label, _: f"{name},{label}"),
    "ids.csv": lines(lambda name, label, _: f"{name[:-4]},{label}", "id,breed"),
    "upper case.csv": lines(lambda name, label, _: f"{name.upper()},{label}", "FILE,LABEL"),
    "windows.csv": lines(lambda name, label, _: f"C:\\Users\\kim\\{name},{label}", "path,label"),
    "url.csv": lines(lambda name, label, _: f"https://x.org/d/{name}?alt=media,{label}", "url,label"),
    "bucket.csv": lines(lambda name, label, _: f"gs://bucket/flowers/{name},{label}"),
    "bucket with boxes.csv": lines(lambda name, label, _: f"UNASSIGNED,gs://bucket/{name},{label},,,,"),
    "other ending.csv": lines(lambda name, label, _: f"{name[:-4]}.png,{label}", "file,label"),
    "uploads.csv": lines(
        lambda name, label, i: f"{i},1,{label},/data/upload/1/{i:08x}-{name},3.5",
        "annotation_id,annotator,choice,image,lead_time",
    ),
    "local files.csv": lines(
        lambda name, label, i: f"/data/local-files/?d=some/{name},{i},{label}", "image,id,choice"
    ),
    "one-hot.csv": lines(
        lambda name, label, _: f"{name}, {int(label == 'cat')}, {int(label == 'dog')}", "filename, cat, dog"
    ),
    "one-hot with points.csv": lines(
        lambda name, label, _: f"{name[:-4]},{float(label == 'cat')},{float(label == 'dog')},0.0",
        "image,cat,dog,UNK",
    ),
    "lesions.csv": lines(
        lambda name, label, i: (
            f"L{i},{name[:-4]},{label},histo,{40 + i}.0,{['f', 'm'][i % 2]},back,set{i % 2}"
        ),
        "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset",
    ),
    "names and numbers.csv": lines(
        lambda name, label, _: f"{numbered(name)},{name},{label},{label}us", "class id,file,labels,scientific"
    ),
    "lone quote.csv": lines(lambda name, label, i: f'{name},"{label}' if i == 3 else f"{name},{label}"),
    "chinese.csv": lines(lambda name, label, _: f"{name},{label}", "文件名,类别"),
    "spanish.csv": lines(lambda name, label, i: f"{name},{label},{i % 3}", "archivo,etiqueta,turno"),
    "portuguese.csv": lines(lambda name, label, i: f"{i % 2},{label},{name}", "turno,rótulo,imagem"),
    "japanese.csv": lines(lambda name, label, i: f"{name},{label},{'xy'[i % 2]}", "ファイル名,ラベル,色"),
    "french.csv": lines(lambda name, label, i: f"{name};{label};{'xy'[i % 2]}", "fichier;étiquette;lieu"),
    "comments.txt": "# made by hand\n" + lines(lambda name, label, _: f"{name} {label}"),
}
DOCUMENTS = {
    "fiftyone.json": {
        "classes": ["cat", "dog"],
        "labels": {name[:-4]: numbered(name) for name in PHOTOS},
    },
    "mapping.json": RIGHT,
    "classes to files.json": {"cat": CATS, "dog": DOGS},
    "objects.json": [{"file_name": name, "label": label} for name, label in RIGHT.items()],
    "facts by file.json": {name: {"label": label, "width": 9} for name, label in RIGHT.items()},
    "rows.json": [["name", "class"], *([name, label] for name, label in RIGHT.items())],
    "inner list.json": {
        "info": {},
        "data": [{"image": name, "class": label} for name, label in RIGHT.items()],
    },
    "pandas.json": {
        "file": {str(place): name for place, name in enumerate(RIGHT)},
        "label": {str(place): label for place, label in enumerate(RIGHT.values())},
    },
    "pandas split.json": {"columns": ["file", "label"], "data": [list(pair) for pair in RIGHT.items()]},
    "coco.json": {
        "images": [{"id": place, "file_name": name} for place, name in enumerate(PHOTOS)],
        "annotations": [
            {"image_id": place, "category_id": numbered(name)} for place, name in enumerate(PHOTOS)
        ],
        "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}],
    },
    "datumaro.json": {
        "categories": {"label": {"labels": [{"name": "cat"}, {"name": "dog"}]}},
        "items": [
            {"id": name[:-4], "annotations": [{"type": "label", "label_id": numbered(name)}]}
            for name in PHOTOS
        ],
    },
    "label studio.json": [
        {
            "id": place,
            "data": {"image": f"/data/upload/1/{place:08x}-{name}"},
            "annotations": [{"result": [{"value": {"choices": [label]}, "type": "choices"}]}],
            "predictions": [{"result": [{"value": {"choices": ["bird"]}}]}],
        }
        for place, (name, label) in enumerate(RIGHT.items())
    ],
    "label studio short.json": [
        {"image": f"/data/upload/1/{place:08x}-{name}", "choice": label, "annotator": 1, "lead_time": 2.5}
        for place, (name, label) in enumerate(RIGHT.items())
    ],
}


@pytest.mark.parametrize("folder", ["", "images/", "deep/images/"])
@pytest.mark.parametrize("name", TEXTS)
def test_ways_to_write_text(read: Read, labels: Labels, name: str, folder: str) -> None:
    found = read([folder + photo for photo in PHOTOS], {name: TEXTS[name]})
    assert labels(found) == {folder + photo: label for photo, label in RIGHT.items()}
    assert found.best and (found.best.num_named, found.best.label_columns) == (12, ())
    assert found.notices == ()


@pytest.mark.parametrize("folder", ["", "data/"])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_ways_to_write_json(read: Read, labels: Labels, name: str, folder: str) -> None:
    found = read([folder + photo for photo in PHOTOS], {name: json.dumps(DOCUMENTS[name])})
    assert labels(found) == {folder + photo: label for photo, label in RIGHT.items()}
    assert found.notices == ()


def test_json_lines_with_a_split(read: Read, labels: Labels) -> None:
    rows = [
        {
            "imageGcsUri": f"gs://bucket/{name}",
            "classificationAnnotation": {"displayName": label},
            "dataItemResourceLabels": {"aiplatform.googleapis.com/ml_use": SPLITS[place % 3]},
        }
        for place, (name, label) in enumerate(RIGHT.items())
    ]
    found = read(PHOTOS, {"import.jsonl": "\n".join(map(json.dumps, rows))})
    expected = {name: f"{RIGHT[name]}/{SPLITS[place % 3]}" for place, name in enumerate(PHOTOS)}
    assert labels(found) == expected


@pytest.mark.parametrize("place", ["", "labels/", "photos/", "photos/tables/"])
def test_a_table_may_lie_beside_or_below_the_photos(read: Read, labels: Labels, place: str) -> None:
    found = read(["photos/" + photo for photo in PHOTOS], {f"{place}l.csv": TEXTS["comma.csv"]})
    assert set(labels(found).values()) == {"cat", "dog"}
    assert found.best and found.best.name == f"{place}l.csv"


def test_paths_may_lead_out_of_the_folder_of_the_table(read: Read, labels: Labels) -> None:
    table = lines(lambda name, label, _: f"../images/{name},{label}")
    assert len(labels(read(["images/" + photo for photo in PHOTOS], {"labels/l.csv": table}))) == 12


class TestSplit:
    def test_an_evaluation_beside_validation_is_the_test(self, read: Read, labels: Labels) -> None:
        words = ("train", "val", "eval")
        table = "file,label,split\n" + lines(lambda name, label, i: f"{name},{label},{words[i % 3]}")
        found = labels(read(PHOTOS, {"l.csv": table}))
        assert {label.partition("/")[2] for label in found.values()} == {"train", "validation", "test"}

    @pytest.mark.parametrize(
        ("word", "split"),
        [
            *(
                (word, "train")
                for word in ("train", "TRAINING", "Train", "trn", "train_set", "训练集", "学習")
            ),
            *((word, "validation") for word in ("val", "VALID", "dev", "eval", "Validation set", "验证集")),
            *(
                (word, "test")
                for word in ("TEST", "testing", "holdout", "hold-out", "测试", "prueba", "テスト")
            ),
        ],
    )
    @pytest.mark.parametrize("header", ["", "file,label,split\n"])
    def test_words_of_a_column(self, read: Read, labels: Labels, word: str, split: str, header: str) -> None:
        table = header + lines(lambda name, label, i: f"{name},{label},{word if i % 2 else 'train'}")
        assert labels(read(PHOTOS, {"l.csv": table}))["b01.jpg"] == f"dog/{split}"

    def test_unknown_words_are_named_and_their_photos_refused(
        self, read: Read, labels: Labels, reasons: Reasons
    ) -> None:
        table = lines(
            lambda name, label, i: f"{name},{label},{('train', 'extra')[i % 2]}", "file,label,split"
        )
        found = read(PHOTOS, {"l.csv": table})
        assert set(labels(found).values()) == {"cat/train", "dog/train"}
        sentence = "l.csv puts it into “extra”, which is no known part of a split"
        assert set(reasons(found).values()) == {("no_class", sentence)}
        assert [sentence_of(notice) for notice in found.notices] == [
            "l.csv names parts of a split that are not known: extra."
        ]

    def test_a_column_of_sources_is_no_split(self, read: Read, labels: Labels) -> None:
        table = lines(lambda name, label, i: f"{name},{label},{'xy'[i % 2]}", "file,label,dataset")
        assert labels(read(PHOTOS, {"l.csv": table})) == RIGHT

    @pytest.mark.parametrize("word", ["", "UNASSIGNED"])
    def test_photos_without_a_word_have_no_split(self, read: Read, labels: Labels, word: str) -> None:
        table = lines(
            lambda name, label, i: f"{name},{label},{word if i % 2 else 'test'}", "file,label,split"
        )
        assert labels(read(PHOTOS, {"l.csv": table}))["b01.jpg"] == "dog"

    @pytest.mark.parametrize("name", ["_classes.csv", "metadata.csv", "labels.tsv"])
    def test_one_table_in_each_split_folder(self, read: Read, labels: Labels, name: str) -> None:
        mark = "\t" if name.endswith("tsv") else ","
        table = f"file_name{mark}label\n1.jpg{mark}cat\n2.jpg{mark}dog"
        folders = ("train", "valid", "test")
        photos = [f"{folder}/{number}.jpg" for folder in folders for number in (1, 2)]
        found = read(photos, {f"{folder}/{name}": table for folder in folders})
        splits = [split for split in SPLITS for _ in range(2)]
        classes = ["cat", "dog"] * 3
        assert list(labels(found).values()) == [
            f"{label}/{split}" for label, split in zip(classes, splits, strict=True)
        ]
        assert found.best and found.best.name == ", ".join(f"{folder}/{name}" for folder in folders)

    def test_columns_of_one_hot_tables_may_have_another_order(self, read: Read, labels: Labels) -> None:
        tables = {"train/_classes.csv": "filename,cat,dog\n1.jpg,1,0\n2.jpg,0,1"}
        tables["valid/_classes.csv"] = "filename,dog,cat\n1.jpg,0,1\n2.jpg,1,0"
        found = read([f"{folder}/{n}.jpg" for folder in ("train", "valid") for n in (1, 2)], tables)
        assert labels(found) == {
            "train/1.jpg": "cat/train",
            "train/2.jpg": "dog/train",
            "valid/1.jpg": "cat/validation",
            "valid/2.jpg": "dog/validation",
        }

    @pytest.mark.parametrize("names", [("train.csv", "test.csv"), ("labels_train.csv", "labels_test.csv")])
    def test_the_name_of_a_table_is_the_split(
        self, read: Read, labels: Labels, names: tuple[str, str]
    ) -> None:
        photos = [f"{folder}/{number}.jpg" for folder in ("train", "test") for number in (1, 2, 3)]
        tables = {
            names[0]: "id,label\n1,cat\n2,dog\n3,dog",
            names[1]: "id,label\n1,dog\n2,cat\n3,cat",
        }
        assert labels(read(photos, tables)) == {
            "train/1.jpg": "cat/train",
            "train/2.jpg": "dog/train",
            "train/3.jpg": "dog/train",
            "test/1.jpg": "dog/test",
            "test/2.jpg": "cat/test",
            "test/3.jpg": "cat/test",
        }

    def test_one_test_folder_around_everything_is_no_split(self, read: Read, labels: Labels) -> None:
        found = read([f"test/{photo}" for photo in PHOTOS], {"test/l.csv": TEXTS["comma.csv"]})
        assert set(labels(found).values()) == {"cat", "dog"}


class TestClassColumn:
    @pytest.mark.parametrize(
        ("headers", "best", "others"),
        [
            ("file,species,breed", "species", ("breed",)),
            ("file,finding,site", "finding", ("site",)),
            (",,", "column 2", ("column 3",)),
            ("file,label,site", "label", ()),
            ("file,site,label", "label", ()),
        ],
    )
    def test_several_good_columns_are_named(
        self, read: Read, headers: str, best: str, others: tuple[str, ...]
    ) -> None:
        table = lines(lambda name, label, i: f"{name},{label},{'xy'[i % 2]}", headers)
        reading = read(PHOTOS, {"l.csv": table}).best
        assert reading and (reading.label_column, reading.label_columns) == (best, others)

    @pytest.mark.parametrize("chosen", ["site", "SITE", "column 3"])
    def test_a_person_chooses(self, read: Read, labels: Labels, chosen: str) -> None:
        head = "" if chosen.startswith("column") else "file,finding,site"
        table = lines(lambda name, label, i: f"{name},{label},{'xy'[i % 2]}", head)
        found = read(PHOTOS, {"l.csv": table}, chosen)
        assert set(labels(found).values()) == {"x", "y"}
        assert found.best and found.best.label_columns == ()

    @pytest.mark.parametrize(
        ("table", "reason"),
        [
            (lines(lambda name, _, i: f"{name},a photo of number {i}", "file,text"), "no_label"),
            (lines(lambda name, _, i: f"{name},{i * 1.5 + 20}", "file,target"), "no_label"),
            (lines(lambda name, _, i: f"{name},2024-01-0{i % 3 + 1}", "file,taken"), "no_label"),
            (lines(lambda name, _, i: f"{name},1,1,{i % 2}", "file,cat,dog,sun"), "several_labels"),
            ("file\n" + "\n".join(PHOTOS), "no_label"),
        ],
    )
    def test_a_table_without_one_is_named(self, read: Read, table: str, reason: str) -> None:
        found = read(PHOTOS, {"l.csv": table})
        assert found.best is None
        assert [(notice.kind, notice.name, notice.names) for notice in found.notices] == [
            ("unused_table", "l.csv", (reason,))
        ]

    @pytest.mark.parametrize(
        "cell",
        ["cat|dog", "cat;dog", '"cat,dog"', '"{""choices"": [""cat"", ""dog""]}"', "\"['cat', 'dog']\""],
    )
    def test_a_photo_of_several_classes_is_refused(self, read: Read, reasons: Reasons, cell: str) -> None:
        table = lines(lambda name, label, i: f"{name},{cell if i == 5 else label}", "file,label")
        assert reasons(read(PHOTOS, {"l.csv": table})) == {
            "a05.jpg": ("no_class", "l.csv gives it more than one class")
        }

    def test_a_comma_without_quotes_gives_no_half_class(self, read: Read, reasons: Reasons) -> None:
        table = lines(
            lambda name, label, _: f"{name},{'big, cat' if label == 'cat' else label}", "file,label"
        )
        assert sorted(reasons(read(PHOTOS, {"l.csv": table}))) == CATS

    def test_one_hot_rows_without_one_class_are_refused(self, read: Read, reasons: Reasons) -> None:
        table = "f,cat,dog\na00.jpg,0,0\na01.jpg,1,1\na02.jpg,1,0\na03.jpg,1,0\nb00.jpg,0,1\nb01.jpg,0,1"
        refused = reasons(
            read(["a00.jpg", "a01.jpg", "a02.jpg", "a03.jpg", "b00.jpg", "b01.jpg"], {"l.csv": table})
        )
        assert refused == {
            "a00.jpg": ("no_class", "l.csv gives it no class"),
            "a01.jpg": ("no_class", "l.csv gives it more than one class"),
        }

    @pytest.mark.parametrize("cell", ["", "nan", "NaN", "null"])
    def test_empty_cells_are_no_class(self, read: Read, reasons: Reasons, cell: str) -> None:
        table = lines(lambda name, label, i: f"{name},{label if i else cell}", "file,label")
        assert reasons(read(PHOTOS, {"l.csv": table})) == {"a00.jpg": ("no_class", "l.csv gives it no class")}

    def test_cells_stay_text(self, read: Read, labels: Labels) -> None:
        table = "id,label\n0012,007\n0013,008\n12,007\n13,008"
        photos = ["0012.jpg", "0013.jpg", "12.jpg", "13.jpg"]
        assert labels(read(photos, {"l.csv": table})) == dict(zip(photos, ["007", "008"] * 2, strict=True))

    def test_photos_of_one_patient_are_a_series(self, read: Read) -> None:
        table = lines(lambda name, label, i: f"{name},{label},P{i // 2}", "file,label,patient_id")
        best = read(PHOTOS, {"l.csv": table}).best
        assert best and {file.series for file in best.files} == {f"P{number}" for number in range(6)}


class TestClassNames:
    TABLE = lines(lambda name, _, __: f"{name} {numbered(name)}")

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("labels.txt", "cat\ndog\n"),
            ("classes.txt", "0 cat\n1 dog"),
            ("classes.txt", "cat 0\ndog 1"),
            ("class_names.txt", "0: cat\n1: dog"),
            ("synset_words.txt", "n02121620 cat\nn02084071 dog"),
            ("classes.csv", "ClassId,Name\n0,cat\n1,dog"),
            ("label_map.json", '{"0": "cat", "1": "dog"}'),
            ("class_indices.json", '{"cat": 0, "dog": 1}'),
            ("label_names.json", '["cat", "dog"]'),
        ],
    )
    @pytest.mark.parametrize("table", ["train.txt", "list.csv"])
    def test_numbers_get_their_names(
        self, read: Read, labels: Labels, table: str, name: str, text: str
    ) -> None:
        content = self.TABLE.replace(" ", ",") if table.endswith("csv") else self.TABLE
        found = read(PHOTOS, {table: content, name: text})
        assert {path: label.partition("/")[0] for path, label in labels(found).items()} == RIGHT
        assert found.best and len(found.best.files) == 12

    def test_numbers_from_one(self, read: Read, labels: Labels) -> None:
        table = lines(lambda name, _, __: f"{name} {numbered(name) + 1}")
        assert labels(read(PHOTOS, {"list.txt": table, "classes.txt": "cat\ndog"})) == RIGHT

    @pytest.mark.parametrize("text", ["cat", "README\nnothing\nelse", "cat\ncat"])
    def test_without_a_fitting_list_the_numbers_are_the_names(
        self, read: Read, labels: Labels, text: str
    ) -> None:
        name = "README.txt" if "README" in text else "classes.txt"
        assert set(labels(read(PHOTOS, {"list.txt": self.TABLE, name: text})).values()) == {"0", "1"}

    def test_two_lists_that_differ_are_not_used(self, read: Read, labels: Labels) -> None:
        tables = {"list.txt": self.TABLE, "classes.txt": "cat\ndog", "labels.txt": "sky\nsea"}
        assert set(labels(read(PHOTOS, tables)).values()) == {"0", "1"}


class TestWhichTable:
    def test_the_table_that_names_most_photos_counts(self, read: Read, labels: Labels) -> None:
        found = read(PHOTOS, {"few.csv": "a00.jpg,x\na01.jpg,y", "all.csv": TEXTS["comma.csv"]})
        assert labels(found) == RIGHT
        assert [sentence_of(notice) for notice in found.notices] == [
            "few.csv was not used: another table names more photos, or as many."
        ]

    def test_tables_of_other_photos_count_together(self, read: Read, labels: Labels) -> None:
        tables = {"cats.csv": "\n".join(f"{name},cat" for name in CATS)}
        tables["dogs.csv"] = "\n".join(f"{name},dog" for name in DOGS)
        assert labels(read(PHOTOS, tables)) == RIGHT

    def test_a_form_for_answers_is_no_table(self, read: Read, labels: Labels) -> None:
        photos = [*PHOTOS, *(f"test/{number}.jpg" for number in range(50))]
        answers = "id,label\n" + "\n".join(f"{number},{number % 2}" for number in range(50))
        found = read(photos, {"train.csv": TEXTS["ids.csv"], "sample_submission.csv": answers})
        assert found.best and found.best.num_named == 12
        assert [notice.names for notice in found.notices] == [("answers",)]

    @pytest.mark.parametrize(
        ("name", "content", "reason"),
        [
            ("labels.csv", "file,label\nx1.jpg,a\nx2.jpg,b", "no_files"),
            ("list.txt", "x1.jpg 0\nx2.jpg 1", "no_files"),
            ("labels.xlsx", b"PK\3\4", "spreadsheet"),
            ("labels.csv", b"PK\3\4", "spreadsheet"),
            ("labels.json", "{", "damaged"),
            ("labels.json", "[" * 100_000, "damaged"),
            ("photos.parquet", b"PAR1", "damaged"),
            ("labels.csv", b"a,b\n" * 600_000, "too_many_rows"),
            ("labels.csv", b"x" * (32 * 1024**2 + 1), "too_large"),
        ],
        ids=lambda value: str(value)[:20],
    )
    def test_a_table_without_use_is_named(
        self, read: Read, name: str, content: str | bytes, reason: str
    ) -> None:
        found = read(PHOTOS, {name: content})
        assert [(notice.name, notice.names) for notice in found.notices] == [(name, (reason,))]
        assert sentence_of(found.notices[0]).startswith(f"{name} ")

    @pytest.mark.parametrize(
        "files",
        [
            {"README.txt": "These are cats, dogs and\nother animals, of a00 and b00"},
            {"labels.txt": "cat\ndog"},
            {"classes.txt": "0 cat\n1 dog"},
            {"package.json": '{"name": "cat", "version": "1"}'},
            {"config.json": '{"a": {"b": [1, 2]}}'},
            {f"labels/{name[:-4]}.txt": "0 0.5 0.5 1 1" for name in PHOTOS},
            {f"{name[:-4]}.json": '{"label": "cat", "file": "a00.jpg"}' for name in PHOTOS},
            {"a/b/c/labels.csv": TEXTS["comma.csv"]},
        ],
        ids=lambda files: next(iter(files)),
    )
    def test_other_texts_need_no_word(self, read: Read, files: dict[str, str]) -> None:
        assert read(PHOTOS, files) == TablesFound(None)

    def test_no_more_than_a_few_texts_are_read(self) -> None:
        opened = []

        def text(number: int) -> ImportedFile:
            return ImportedFile((f"note{number}.txt",), lambda: opened.append(number) or b"hello")  # type: ignore[func-returns-value]

        read_tables([text(number) for number in range(500)])
        assert len(opened) == 20

    def test_two_tables_with_other_classes_are_two_readings(self, read: Read, labels: Labels) -> None:
        photos = [f"{number}.jpg" for number in range(6)]
        tables = {
            "animals.csv": "file,label\n" + "".join(f"{n}.jpg,{['cat', 'dog'][n % 2]}\n" for n in range(6)),
            "colours.csv": "file,label\n"
            + "".join(f"{n}.jpg,{['red', 'blue', 'grey'][n % 3]}\n" for n in range(6)),
            "again.csv": "file,label\n" + "".join(f"{n}.jpg,{['Cat', 'Dog'][n % 2]}\n" for n in range(5)),
        }
        best = read(photos, tables).best
        assert best and (best.label_column, best.label_columns) == (
            "animals.csv: label",
            ("colours.csv: label",),
        )
        for column, names in (
            ("animals.csv: label", {"cat", "dog"}),
            ("colours.csv: label", {"red", "blue", "grey"}),
        ):
            chosen = read(photos, tables, column)
            assert set(labels(chosen).values()) == names
            assert chosen.best and not chosen.best.label_columns

    def test_a_column_may_have_a_colon_in_its_name(self, read: Read, labels: Labels) -> None:
        rows = "".join(f"{n}.jpg,{['cat', 'dog'][n % 2]},{n}\n" for n in range(4))
        tables = {"t.csv": f"file,kind: of animal,number\n{rows}"}
        for column in ("kind: of animal", "t.csv: kind: of animal"):
            found = read([f"{n}.jpg" for n in range(4)], tables, column)
            assert set(labels(found).values()) == {"cat", "dog"}

    def test_the_name_of_a_table_says_which_of_two_photos_it_means(self, read: Read, labels: Labels) -> None:
        photos = [f"{part}/{number}.png" for part in ("test", "train") for number in range(1, 5)]
        table = "id,label\n1,cat\n2,dog\n3,cat\n4,dog\n"
        named = labels(read(photos, {"trainLabels.csv": table}))
        assert named == {f"train/{n}.png": ["dog", "cat"][n % 2] + "/train" for n in range(1, 5)}


class TestMatching:
    @pytest.mark.parametrize(
        ("photos", "cell", "named"),
        [
            (["dog/1.jpg"], "cat/1.jpg", None),
            (["test/1.jpg"], "train/1.jpg", None),
            (["cat/1.jpg", "dog/1.jpg"], "cat/1.jpg", "cat/1.jpg"),
            (["cat/1.jpg", "dog/1.jpg"], "x/y/cat/1.jpg", "cat/1.jpg"),
            (["cat/1.jpg", "dog/1.jpg"], "1.jpg", None),
            (["A.jpg", "a.jpg"], "a.jpg", "a.jpg"),
            (["Fu\u0308chse.jpg"], "F\u00fcchse.jpg", "F\u00fcchse.jpg"),
            (["my photo.jpg"], "https://x.org/my%20photo.jpg", "my photo.jpg"),
            (["1.jpg", "1.txt"], "1", "1.jpg"),
            (["1.jpg", "1.png"], "1", None),
            (["../1.jpg"], "", None),
        ],
    )
    def test_a_photo_is_found_only_if_it_is_sure(
        self, read: Read, labels: Labels, photos: list[str], cell: str, named: str | None
    ) -> None:
        found = read([*photos, "k1.jpg", "k2.jpg"], {"l.csv": f"k1.jpg,sky\nk2.jpg,sea\n{cell},ice"})
        assert [path for path, label in labels(found).items() if label == "ice"] == ([named] if named else [])

    def test_two_folders_of_a_table_are_never_one_folder_of_photos(self, read: Read) -> None:
        found = read(["dog/1.jpg", "dog/2.jpg"], {"l.csv": "cat/1.jpg,cat\nbird/2.jpg,bird"})
        assert found.best is None
        assert [notice.names for notice in found.notices] == [("no_files",)]

    def test_missing_photos_are_missing(self, read: Read, reasons: Reasons) -> None:
        found = read(CATS, {"l.csv": lines(lambda name, label, _: f"C:\\x\\{name},{label}", "path,label")})
        assert {path.rpartition("/")[2]: kind for path, (kind, _) in reasons(found).items()} == dict.fromkeys(
            DOGS, "missing"
        )

    def test_names_that_several_photos_share_label_none(self, read: Read) -> None:
        found = read(
            [f"{size}/{name}" for size in ("big", "small") for name in PHOTOS], {"l.csv": TEXTS["comma.csv"]}
        )
        assert found.best is None
        assert [notice.names for notice in found.notices] == [("ambiguous",)]


def test_notices_stay_with_the_files() -> None:
    files = [
        ImportedFile(("cat", "1.jpg"), lambda: b""),
        ImportedFile(("l.csv",), lambda: b"x.jpg,a\ny.jpg,b"),
    ]
    assert {notice.names for file in labelled_files(files) for notice in file.notices} == {("no_files",)}


def test_endings_are_lower_case() -> None:
    assert all(ending.startswith(".") and ending == ending.lower() for ending in TABLE_ENDINGS)
