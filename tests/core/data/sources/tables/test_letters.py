"""The encoding of a table is found from few words, or is in doubt; wrong letters never come without a word."""

from __future__ import annotations

import codecs
from collections.abc import Callable

import pytest

from transfer_core.data.checks.notices import sentence_of
from transfer_core.data.sources.tables.letters import decoded
from transfer_core.data.sources.tables.table import TablesFound

CLEAR = {
    "cp1251": ["яблоко небо", "кошка собака", "Кошка Собака", "здоровый больной", "да нет"],
    "cp932": ["リンゴ 空", "りんご そら", "猫 犬", "良品 不良品", "正常 異常", "トマト ソバ 表札"],
    "gb18030": ["苹果 天空", "猫 狗", "健康 病叶", "塑料瓶 纸张 玻璃", "良品 缺陷", "一级 二级"],
    "big5": ["蘋果 天空", "貓 狗", "健康 病葉", "塑膠 紙張 玻璃"],
    "cp949": ["사과 하늘", "고양이 강아지", "정상 불량", "까치 참새 비둘기"],
    "cp1252": [
        "Äpfel Größe",
        "Füchse",
        "Poubelle Été",
        "café thé",
        "naïve garçon",
        "maçã céu",
        "niño plátano",
    ],
    "cp1250": ["jabłko niebo", "žluťoučký kůň"],
    "cp1253": ["μήλο ουρανός"],
}
# Too few letters to be sure of.
HARD = {
    "cp1250": ["żółw łoś", "gyümölcs őz"],
    "cp1251": ["КОТ ПЁС"],  # noqa: RUF001
    "cp932": ["ﾘﾝｺﾞ ｿﾗ"],
    "cp1254": ["kuş ağaç"],
    "cp1255": ["תפוח שמיים", "חתול כלב"],
    "cp1256": ["تفاح سماء"],
    "cp874": ["แมว หมา"],
    "koi8_r": ["яблоко небо", "кошка собака"],
    "euc_jp": ["りんご 空", "良品 不良品"],
    "mac_roman": ["Äpfel Größe", "café thé"],
    "cp850": ["Äpfel Größe", "café thé"],
    "cp866": ["яблоко небо"],
}
WORDS = [(encoding, words) for encoding, texts in CLEAR.items() for words in texts]
HARD_WORDS = [(encoding, words) for encoding, texts in HARD.items() for words in texts]


def table(words: str) -> str:
    labels = words.split() * 6
    return "filename,class\r\n" + "".join(f"img/{n}.jpg,{label}\r\n" for n, label in enumerate(labels))


@pytest.mark.parametrize(("encoding", "words"), WORDS)
def test_two_words_are_enough(encoding: str, words: str) -> None:
    letters = decoded(table(words).encode(encoding))
    assert (letters.text, letters.is_in_doubt) == (table(words), False)


@pytest.mark.parametrize(("encoding", "words"), HARD_WORDS)
def test_wrong_letters_are_in_doubt(encoding: str, words: str) -> None:
    letters = decoded(table(words).encode(encoding))
    assert letters.text == table(words) or letters.is_in_doubt


@pytest.mark.parametrize(("encoding", "words"), HARD_WORDS)
def test_names_of_real_files_decide(encoding: str, words: str) -> None:
    letters = decoded(table(words).encode(encoding), words.split())
    assert (letters.text, letters.is_in_doubt) == (table(words), False)


@pytest.mark.parametrize("mark", [True, False])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("words", ["apple sky", *(words for _, words in WORDS)])
def test_unicode_with_and_without_mark(words: str, encoding: str, mark: bool) -> None:
    marks = {"utf-8": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    letters = decoded((marks[encoding] if mark else b"") + table(words).encode(encoding))
    assert (letters.text, letters.is_in_doubt) == (table(words), False)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"\xef\xbb\xbf", b"\xfe\xff", b"\xff\xfe\0\0", b"\xff" * 10**6, b"\0" * 9, b"\x81"],
)
def test_any_bytes_are_decoded(content: bytes) -> None:
    assert isinstance(decoded(content).text, str)


def test_the_person_hears_of_a_doubt(read: Callable[..., TablesFound]) -> None:
    photos = [f"{number}.jpg" for number in range(6)]
    content = "".join(f"{number}.jpg,{('żółw', 'łoś')[number % 2]}\n" for number in range(6))
    found = read(photos, {"l.csv": content.encode("cp1250")})
    assert [sentence_of(notice) for notice in found.notices] == [
        "The letters of l.csv may be wrong: żółw, łoś. Save it as UTF-8 and add it again."
    ]
