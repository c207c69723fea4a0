"""The meaning of folder names: parts of a split in nine languages, sessions, folders that only hold photos."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING

from transfer_core.data.sources.imported_file import clean_name

if TYPE_CHECKING:
    from transfer_core.data.records import Split


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORDS: dict[Split, frozenset[str]] = {
    "train": _words(
        "train training trainset trainval trn learn learning entrenamiento entrenar entraînement entrainement "
        "apprentissage lernen lern treino treinamento treinar 训练 訓練 学習 トレーニング обучение 훈련 학습"
    ),
    "validation": _words(
        "val valid validation validate validating dev devel development validación validacion validierung "
        "validação validacao 验证 驗證 検証 バリデーション валидация 검증"
    ),
    "test": _words(
        "test testing tests testset tst eval evaluation holdout heldout prueba pruebas évaluation essai prüf "
        "teste testes 测试 測試 テスト 評価 тест 테스트"
    ),
}
_SPLIT_OF_WORD: dict[str, Split] = {word: split for split, words in _WORDS.items() for word in words}
# Words around the name of a part that say nothing: `seg_train`, `test_set`, `train images`, `val2017`, `训练数据`.
_FILLERS = _words(
    "a b set sets seg data dataset datasets split splits part parts folder image images imgs img photo photos "
    "picture pictures jpg jpeg png x y the of and only small full all final new original raw resized sample "
    "samples de des du d la le les el jeu conjunto datos dados ensemble données donnees daten bilder fotos "
    "imagens imágenes v version ver"
)
_ASIAN_FILLERS = re.compile(
    "数据集?|數據集?|資料集?|データ(?:セット)?|图片|圖片|图像|画像|写真|照片|样本|樣本|サンプル|集$|用"
)
# German joins the words: `Trainingsbilder`, `Testmenge`.
_GERMAN_FILLERS = re.compile(r"(?<=\w{4})s?(?:daten|datensatz|satz|bilder|fotos|menge|set|ordner)$")
_SEPARATORS = re.compile(r"[\W\d_]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_EVALUATION = re.compile("eval|évaluation|評価")
_HOLD_OUT = re.compile(r"h[eo]ld[\W_]*out", re.IGNORECASE)

# Folders that only say that there are photos in them.
_PHOTO_FOLDERS = _words(
    "image images img imgs jpegimages jpg jpeg jpegs png photo photos picture pictures pics raw data rgb "
    "original originals bilder fotos imágenes imagenes imagens 图片 圖片 图像 照片 画像 写真"
)
_SESSION_WORDS = re.compile(
    r"(?:session|sesión|sesion|sessão|séance|sitzung|day|tag|jour|día|dia|date|take|batch|shoot|shooting|video|clip|"
    r"cam|camera|kamera|sequence|seq|series|serie|burst|scene|szene|round|visit|week|month|recording|aufnahme|"
    r"capture|run|roll|morning|afternoon|evening|night|indoor|indoors|outdoor|outdoors)s?",
    re.IGNORECASE,
)
_NUMBERS_AND_DATES = re.compile(
    r"[\d\s._\-:T年月日]*\d[\d\s._\-:T年月日]*(?:(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*|[a-z]?)"
    r"[\d\s._\-]*",
    re.IGNORECASE,
)
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?:[01]\d[0-3]\d)?(?!\d)")


def folded(name: str) -> str:
    """Return a folder name for comparison: composed, without case and white space around it."""
    return unicodedata.normalize("NFC", clean_name(name)).casefold()


def split_named(name: str) -> Split | None:
    """Return the part of a split that a folder or a cell of a table names; None if it names none.

    `Training`, `test_set`, `seg_train`, `val2017`, `dev`, `训练集` and `Entraînement` do. A name with any other word,
    such as `bullet train`, names none.
    """
    return _split_of(_telling_words(name))


def _telling_words(name: str) -> list[str]:
    """Return the words of a name that are more than `set` or `images`, in lower case."""
    text = _ASIAN_FILLERS.sub("", _HOLD_OUT.sub("holdout", _CAMEL.sub(" ", clean_name(name))))
    words = _SEPARATORS.split(unicodedata.normalize("NFC", text).casefold())
    return [word for word in words if word and word not in _FILLERS]


def _split_of(words: Iterable[str]) -> Split | None:
    found = {_SPLIT_OF_WORD.get(word) or _SPLIT_OF_WORD.get(_GERMAN_FILLERS.sub("", word)) for word in words}
    return found.pop() if len(found) == 1 else None


def is_evaluation(name: str) -> bool:
    """Return whether a part of a split is called an evaluation, which says neither validation nor test."""
    return bool(_EVALUATION.search(folded(name)))


def splits_named(names: Iterable[str]) -> dict[str, Split]:
    """Return the part of a split that each name stands for; a name that stands for none is left out.

    `eval` and `evaluation` are test photos beside `validation`, and validation photos beside `test`.
    """
    words = {name: _telling_words(name) for name in names}
    # The name of the dataset stands in all of them: `pets_train`, `pets_test`.
    shared = set.intersection(*map(set, words.values())) if len(words) > 1 else set()
    own = {name: _split_of(word for word in words[name] if word not in shared) for name in words}
    if not all(own.values()):
        own = {name: _split_of(words[name]) for name in words}
    found = {name: split for name, split in own.items() if split}
    evaluated = [name for name in found if is_evaluation(name)]
    if "validation" not in found.values() and any(
        split == "test" and name not in evaluated for name, split in found.items()
    ):
        found |= dict.fromkeys(evaluated, "validation")
    return found


def is_photo_folder(name: str) -> bool:
    """Return whether a folder name only says that there are photos in it, such as `images`."""
    return folded(name) in _PHOTO_FOLDERS


def is_photo_part(name: str) -> bool:
    """Return whether a folder name says that there are photos in it, or a part of them: `HAM10000_images_part_1`."""
    words = _SEPARATORS.split(folded(name))
    return any(word in _PHOTO_FOLDERS or word in ("part", "batch", "chunk", "folder") for word in words)


def is_number(name: str) -> bool:
    """Return whether a folder name is a plain number, as classes and sessions may have."""
    return folded(name).isdecimal()


def is_dated(name: str) -> bool:
    """Return whether a folder name is that of a session beyond doubt: a date with a year, or a word with a number."""
    if not is_session(name) or is_number(name):
        return False
    is_word = any(letter.isalpha() for letter in name) and any(letter.isdigit() for letter in name)
    words = re.sub(r"[\W\d_]+", " ", folded(name)).split()
    return bool(_YEAR.search(name)) or (is_word and bool(_SESSION_WORDS.fullmatch(words[0])))


def is_session(name: str) -> bool:
    """Return whether a folder name is that of a session: a number, a date, or a word such as `day 2`."""
    words = re.sub(r"[\W\d_]+", " ", folded(name)).split()
    if not words:
        return True
    return bool(_SESSION_WORDS.fullmatch(words[0])) or bool(_NUMBERS_AND_DATES.fullmatch(folded(name)))
