"""Read names that an archive keeps as bytes without their encoding: one guess over all of them together.

A detector made for texts fails on a few short names: charset-normalizer reads 79 of 195 pairs of class names rightly,
this module 194. Each encoding is charged for the letters that it would make of the bytes, by how rare they are in its
language; the cheapest reading wins (minimum description length).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

# Names are read alike from here on; more would only take longer.
_MAX_SAMPLES = 2000
# Readings this close in nats are both likely. Of 300 archives with two class names in each of 18 encodings none was
# read wrongly without a notice.
_SURE_MARGIN = 4.5
# A reading of letters that belong together takes less than this for each byte.
_SURE_COST = 5.5
_ASCII_COST = 4.0
# So many letters of another encoding are UTF-8 by accident in 1 of 5,000 archives.
_SURE_LETTERS = 5
_IMPOSSIBLE = 25.0

_COMMON_HANGUL = frozenset(
    "가각간갈감갑강개거건걸검겁게겨격견결경계고곡곤골곰공과곽관광괴교구국군굴궁권귀귤규균그극근글금급기긴길김까깨꼬꽃꾸꿀끼"
    "나낙난날남납낮내냉너널네노녹논놀농누눈뉴느늘능니님다단달담답당대댕더덕덤덩데도독돈돌동돼되두둑둥뒤드든들등디딸따땅때떡"
    "라락란람랑래랙램량러럭런럼럽레려력련렬령로록론롤롯료루룩류륙륜률르른를름리린림립링마막만말맑망매맥맨머먹먼멀메면멸명모목"
    "몬몰몽무묵문물미민밀바박반발밤밥방배백뱀뱅버번벌범법벚베벨벽변별병보복본볼봄봉부북분불붉브블비빈빌빙빛빨빵사산살삼상새색샐생"
    "샤서석선설섬성세센셔소속손솔송쇠쇼수숙순술숨숭쉬슈스슬습승시식신실심십싱쌀쌍씨아악안알암압앙앞애액앵야약양어억언얼엄업에엔여역"
    "연열염엽영예오옥온올옷옹와완왕외요용우욱운울움웅원월위유육율윤융으은을음응의이익인일임입잉자작잔잠잡장재쟁저적전절점접정제젤조"
    "족존졸종좌주죽준줄중쥐즈즉증지직진질집징짜쪽차착찬찰참창채책처척천철첨첩청체초촉촌총최추축출춘충취측층치칙친칠침칭카칸칼캐캔커"
    "컨컬컴컵케켓코콘콜콩쿠퀴크클키타탁탄탈탐탑탕태택터털테텔토톱통퇴투튜튤트특틀티파판팔패팬퍼펀펌페펭편평폐포폭폰표푸풀품풍퓨프플피"
    "필핑하학한할함합항해핵행향허헌험헤혁현혈협형혜호혹혼홀홍화확환활황회획횡효후훈훼휘휴흑흔흙흥희흰히힘"
)
# What photos show, in simplified, traditional and Japanese forms.
_COMMON_HANZI = frozenset(
    "人男女子老小大中上下左右前后後内外东東西南北天地日月星云雲雨雪风風山水火木土石金银銀铁鐵川江河海湖岛島田村町市城国國家"
    "花草树樹叶葉果根竹林森松梅兰蘭菊荷莲蓮桃李杏梨苹蘋桔橘橙柠檬瓜西红紅黄黃蓝藍绿綠青白黑灰紫色豆米麦麥菜茶葱蒜姜椒茄薯"
    "动動物植猫貓狗犬马馬牛羊猪豬鸡雞鸭鴨鹅鵝鸟鳥鱼魚虫蟲龙龍虎狮獅象熊狼狐兔鼠猴蛇龟龜蛙鹿鹰鷹鸽鴿雀燕蝶蜂蚁蟻蜘蛛蟹虾蝦豹鲸鯨"
    "车車船机機飞飛汽自行电電话話脑腦灯燈桌椅床书書笔筆纸紙衣服鞋帽包杯瓶碗刀叉门門窗房屋楼樓路桥橋店学學校生病好坏壞正常新旧合格不良品异異缺陷"
    "手足头頭眼耳口鼻心身体體面食肉蛋奶饭飯面麵饼餅酒油盐鹽糖果汁冰玉米图圖片照写寫真空气氣年春夏秋冬高低长長类類葡萄莓一二三四五六七八九十"
)
_COMMON_LATIN = frozenset("éèêàâçùûîïôöäüßñáíóúãõåæøœÉÈÀÇÖÄÜÑÁÓÅØ")
_COMMON_CENTRAL = frozenset("ąćęłńóśźżčďěňřšťůýžőűăşţđğıŁŚŻČŘŠŽİŞ")
_ALPHABETS = ("cyrillic", "greek", "hebrew", "arabic")
# Of Russian, Greek, Hebrew and Arabic.
_COMMON_LETTERS = frozenset("оеаинтсрвлкмдпуяызбгατοιενρσκηπςυμλיוהלרבתמאשנעדקחاليمونرتبةعدسفهكقأح")
_PUNCTUATION = frozenset("°ºª№«»–—’·•€§±")
_NEVER_MIXED = [{"latin", script} for script in _ALPHABETS]
_PARTS = re.compile(r"[/\\]+")


class _Encoding(NamedTuple):
    """How the names of one language are encoded.

    Args:
        script: Its letters beside ASCII.
        prior: In nats: how much rarer names come in it than in the others.
        leads: Of encodings with two bytes a letter: first bytes of the letters in everyday use.
    """

    script: str
    prior: float = 0.0
    leads: range = range(0)


# Of readings that cost the same the first is taken.
_ENCODINGS = {
    "utf-8": _Encoding("any", -3.0),
    "gbk": _Encoding("chinese", leads=range(0xB0, 0xD8)),
    "cp932": _Encoding("japanese", leads=range(0x88, 0x99)),
    "cp950": _Encoding("chinese", 0.5, range(0xA4, 0xC7)),
    "cp949": _Encoding("korean", leads=range(0xB0, 0xC9)),
    "cp437": _Encoding("latin"),
    "cp850": _Encoding("latin"),
    "cp852": _Encoding("central", 0.5),
    "cp866": _Encoding("cyrillic"),
    "cp857": _Encoding("central", 1.0),
    "cp737": _Encoding("greek", 2.0),
    "cp862": _Encoding("hebrew", 2.0),
    "cp1252": _Encoding("latin", 1.0),
    "cp1251": _Encoding("cyrillic", 1.0),
    "koi8-r": _Encoding("cyrillic", 2.0),
    "cp720": _Encoding("arabic", 2.0),
    "cp1256": _Encoding("arabic", 2.0),
    "euc_jp": _Encoding("japanese", 5.0, range(0xB0, 0xD0)),
}


class ReadNames(NamedTuple):
    """Names made of bytes.

    Args:
        names: In the order of the bytes.
        are_in_doubt: Whether another reading is nearly as likely.
    """

    names: list[str]
    are_in_doubt: bool


def read_names(raw: Sequence[bytes]) -> ReadNames:
    """Decode names that all have the same unknown encoding.

    Args:
        raw: Names or paths. Backslashes may be separators or the second byte of a letter.
    """
    if all(map(bytes.isascii, raw)):
        return ReadNames([name.decode("ascii") for name in raw], False)
    samples = sorted({part for name in raw for part in name.split(b"/") if not part.isascii()})[:_MAX_SAMPLES]
    utf8 = _decoded(raw, "utf-8")
    if utf8 and sum(letter > "\x7f" for sample in samples for letter in sample.decode()) >= _SURE_LETTERS:
        return ReadNames(utf8, False)
    readings = []
    for encoding, facts in _ENCODINGS.items():
        if (names := _decoded(raw, encoding)) is not None:
            parts = {part for sample in samples for part in _PARTS.split(sample.decode(encoding))}
            cost = facts.prior + sum(_cost(part, encoding) for part in parts)
            readings.append((cost, names))
    if not readings:
        # Each byte is a letter here, so nothing is lost.
        return ReadNames([name.decode("cp437") for name in raw], True)
    (cost, names), *others = sorted(readings, key=lambda reading: reading[0])
    num_bytes = sum(map(len, samples))
    is_close = any(other - cost < _SURE_MARGIN and different != names for other, different in others)
    return ReadNames(names, is_close or cost > _SURE_COST * num_bytes)


def _decoded(raw: Iterable[bytes], encoding: str) -> list[str] | None:
    try:
        return [name.decode(encoding) for name in raw]
    except UnicodeDecodeError:
        return None


def _cost(name: str, encoding: str) -> float:
    letters = sum(_letter_cost(letter, encoding) for letter in name)
    return letters + sum(_pair_cost(first, second) for first, second in pairwise(name))


@lru_cache(maxsize=65_536)
def _letter_cost(letter: str, encoding: str) -> float:
    """Return the cost of a letter in nats: log(letters of its kind / how often this kind occurs)."""
    if letter.isascii():
        return _ASCII_COST if letter.isprintable() else _IMPOSSIBLE
    language, script = _ENCODINGS[encoding].script, _script(letter)
    match language:
        case "korean":
            return _korean_cost(letter, encoding)
        case "japanese" if script == "kana":
            return math.log(170 / 0.6)
        case "chinese" | "japanese":
            return _hanzi_cost(letter, encoding)
        case "any" if script not in ("latin", *_ALPHABETS):
            # Bytes that are UTF-8 by accident are seldom three a letter.
            return 4.0 if letter > "\u07ff" else 6.0
        case "central" if letter in _COMMON_CENTRAL:
            return 6.5 + letter.isupper()
        case "latin" | "central" | "any" if script == "latin":
            return _latin_cost(letter)
        case "any" | "cyrillic" | "greek" | "hebrew" | "arabic" if language in (script, "any"):
            return (3.1 if letter.lower() in _COMMON_LETTERS else 4.7) + 1.5 * letter.isupper()
    return 9.0 if letter in _PUNCTUATION else 12.0


def _latin_cost(letter: str) -> float:
    if not letter.isalpha():
        return 9.0 if letter in _PUNCTUATION else 12.0
    return (6.0 if letter in _COMMON_LATIN else 8.5) + letter.isupper()


def _korean_cost(letter: str, encoding: str) -> float:
    if letter in _COMMON_HANGUL:
        return math.log(len(_COMMON_HANGUL) / 0.93)
    is_everyday = letter.encode(encoding)[0] in _ENCODINGS[encoding].leads and _is_second(letter, encoding)
    if _script(letter) == "hangul":
        return math.log(1900 / 0.06) if is_everyday else math.log(8800 / 0.003)
    return math.log(4900 / 0.005)


def _hanzi_cost(letter: str, encoding: str) -> float:
    if _script(letter) != "hanzi":
        is_wide_ascii = "\uff01" <= letter <= "\uff5e" or letter in "・「」《》、。　"
        return math.log(120 / 0.01) if is_wide_ascii else 12.5
    if letter in _COMMON_HANZI:
        return math.log(len(_COMMON_HANZI) / 0.4)
    if letter.encode(encoding)[0] in _ENCODINGS[encoding].leads and _is_second(letter, encoding):
        return math.log(3800 / 0.55)
    # GB 2312, JIS X 0208 and Big5 end in rarer letters, which GBK extends by old and foreign ones.
    return math.log(3400 / 0.03) if _is_second(letter, encoding) else math.log(14_000 / 0.005)


def _is_second(letter: str, encoding: str) -> bool:
    """Return whether the second byte is one of the older standard that the encoding extends."""
    return encoding in ("cp932", "cp950") or letter.encode(encoding)[1] >= 0xA1


def _pair_cost(first: str, second: str) -> float:
    """Return the cost of two letters side by side that seldom are: of two alphabets, or a capital inside a word."""
    scripts = {_script(first), _script(second)}
    if scripts in _NEVER_MIXED and first.isalpha() and second.isalpha():
        return 8.0
    cost = 4.0 if first.islower() and second.isupper() else 0.0
    if len(scripts) > 1 and (_is_small_latin(first) or _is_small_latin(second)):
        # As in "catの写真"; after a capital or a digit, as in "T恤", it is common.
        return cost + 5.0
    is_accented = not first.isascii() and not second.isascii()
    return cost + 3.0 if is_accented and scripts == {"latin"} and (first + second).isalpha() else cost


def _is_small_latin(letter: str) -> bool:
    return letter.islower() and letter < "\u0250"


@lru_cache(maxsize=65_536)
def _script(letter: str) -> str:
    code = ord(letter)
    if 0x3041 <= code <= 0x30FF:
        return "kana"
    if 0xAC00 <= code <= 0xD7A3:
        return "hangul"
    if 0x3400 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF or letter == "々":
        return "hanzi"
    if 0x400 <= code <= 0x45F:
        return "cyrillic"
    if 0x386 <= code <= 0x3CE:
        return "greek"
    if 0x621 <= code <= 0x64A:
        return "arabic"
    if 0x5D0 <= code <= 0x5EA:
        return "hebrew"
    return "latin" if code < 0x250 else "other"
