"""Draw the sample pictures that ship with Transfer Studio.

Every picture is one emoji of the Noto Color Emoji font on a softly coloured background. The font is in
Debian's package `fonts-noto-color-emoji`; `dpkg -L fonts-noto-color-emoji` names the file to pass.

Example:
    python tools/make_sample_pictures.py NotoColorEmoji.ttf
"""

import random
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import click
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SAMPLE_FOLDER = Path(__file__).resolve().parents[1] / "transfer_core" / "data" / "sample_pictures"
PICTURE_SIZE = 160
JPEG_QUALITY = 88
# The bitmaps of the font exist at this size only, in cells of 136 x 128 pixels.
FONT_SIZE = 109
GLYPH_CELL = (136, 128)

# Each category has 40 training pictures and uses each of the eight colours five times, so that
# the background does not identify the category.
PALETTE = ("#e8b4b8", "#ecc8a0", "#e6dc9c", "#b9d8a6", "#a5d6cf", "#a9c8e8", "#c3b8e6", "#c9c6c0")


@dataclass(frozen=True)
class Category:
    """The emoji of one category.

    Args:
        name: The folder name, and so the class name.
        pictures: Emoji to train on, one character each.
        new_pictures: Emoji to test a trained model with.
    """

    name: str
    pictures: str
    new_pictures: str


CATEGORIES = (
    Category(
        "animals",
        pictures="🐒🐶🐺🦊🐱🦁🐯🐆🐴🦓🦌🐮🐷🐑🐪🦒🐘🦏🦛🐭🐹🐰🐿🦔🐻🐼🦘🐔🐦🐧🦉🦜🐸🐢🐍🐳🐠🐌🦋🐞",
        new_pictures="🐨🦆🐊🐬🐝",
    ),
    Category(
        "clothing",
        pictures="👓🕶🥽🥼🦺👔👕👖🧣🧤🧥🧦👘🥻🩱🩳👚👛👜🩲🩴👞🥾🥿👠👡🩰👢👑👒🎩🎓🪖⛑💍⌚🥋⛸🥊🎀",
        new_pictures="👗👟🧢🎒🎽",
    ),
    Category(
        "food",
        pictures="🍇🍉🍊🍋🍌🍍🍎🍐🍒🍓🥝🍅🥑🍆🥕🌽🥦🧅🍞🥐🥨🧇🧀🍗🍔🍟🍕🌭🥪🌮🥗🍿🍣🍝🍦🍩🍪🎂🍫🍬",
        new_pictures="🥞🧁🫐🍜🥒",
    ),
    Category(
        "vehicles",
        pictures="🚂🚃🚆🚊🚋🚌🚍🚎🚐🚑🚓🚔🚕🚖🚗🚘🚙🛻🚚🚛🏎🏍🛺🚲🛴🛶🚤🛳⛴🛥🚢✈🛩🛫🛬🚠🚡🚀🛷🛸",
        new_pictures="🚒🚜🛵⛵🚁",
    ),
)


def draw_glyph(emoji: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    """Draw one emoji, cropped to its ink.

    Args:
        emoji: Single character.
        font: Colour bitmap font, loaded at `FONT_SIZE`.

    Returns:
        An RGBA picture on a transparent ground.

    Raises:
        click.ClickException: If the font has no picture for the character.
    """
    cell = Image.new("RGBA", GLYPH_CELL)
    ImageDraw.Draw(cell).text((0, 0), emoji, font=font, embedded_color=True, anchor="lt")
    ink = cell.getbbox()
    if ink is None:
        raise click.ClickException(f"The font has no picture for {picture_name(emoji)}. Use a newer font.")
    # Drawing on transparent black multiplies the colours by their alpha, which Pillow names RGBa.
    return Image.merge("RGBa", cell.split()).convert("RGBA").crop(ink)


def draw_background(color: str, rng: random.Random) -> Image.Image:
    """Draw a gradient from `color` to a paler shade of it, in a random direction."""
    size = (PICTURE_SIZE, PICTURE_SIZE)
    base = Image.new("RGB", size, color)
    paler = Image.blend(base, Image.new("RGB", size, "white"), rng.uniform(0.35, 0.6))
    gradient = Image.linear_gradient("L").rotate(rng.uniform(0, 360), Image.Resampling.BICUBIC)
    # Crop the middle, since rotating leaves black corners.
    margin = (gradient.width - PICTURE_SIZE) // 2
    ramp = gradient.crop((margin, margin, margin + PICTURE_SIZE, margin + PICTURE_SIZE))
    return Image.composite(paler, base, ramp)


def vary(glyph: Image.Image, rng: random.Random) -> Image.Image:
    """Scale and rotate a glyph slightly and place it near the middle of a transparent picture."""
    scale = rng.uniform(110, 134) / max(glyph.size)
    scaled = glyph.resize((round(glyph.width * scale), round(glyph.height * scale)), Image.Resampling.LANCZOS)
    turned = scaled.rotate(rng.uniform(-11, 11), Image.Resampling.BICUBIC, expand=True)
    left = round((PICTURE_SIZE - turned.width) * rng.uniform(0.3, 0.7))
    top = round((PICTURE_SIZE - turned.height) * rng.uniform(0.3, 0.7))
    layer = Image.new("RGBA", (PICTURE_SIZE, PICTURE_SIZE))
    layer.paste(turned, (left, top))
    return layer


def draw_picture(emoji: str, color: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    """Draw one sample picture. The result depends only on the arguments.

    Args:
        emoji: Single character.
        color: Colour of the background, such as `"#a9c8e8"`.
        font: Colour bitmap font, loaded at `FONT_SIZE`.

    Returns:
        An RGB picture of `PICTURE_SIZE` x `PICTURE_SIZE` pixels.
    """
    rng = random.Random(ord(emoji))
    picture = draw_background(color, rng)
    layer = vary(draw_glyph(emoji, font), rng)
    shadow = layer.getchannel("A").filter(ImageFilter.GaussianBlur(4)).point(lambda alpha: alpha * 0.3)
    picture.paste("black", (2, 4), shadow)
    picture.paste(layer, mask=layer)
    return picture


def picture_name(emoji: str) -> str:
    """Return the file name of an emoji without its extension, such as `dog-face-1f436`."""
    return f"{unicodedata.name(emoji).lower().replace(' ', '-')}-{ord(emoji):x}"


def write_pictures(emojis: str, folder: Path, font: ImageFont.FreeTypeFont) -> None:
    """Write one JPEG file for each character of `emojis` into a new folder.

    Raises:
        click.ClickException: If the folder exists, since it may hold pictures of an older list.
    """
    if folder.exists():
        raise click.ClickException(f"{folder} already exists. Delete it first, then run this again.")
    folder.mkdir(parents=True)
    for position, emoji in enumerate(emojis):
        picture = draw_picture(emoji, PALETTE[position % len(PALETTE)], font)
        picture.save(folder / f"{picture_name(emoji)}.jpg", quality=JPEG_QUALITY, optimize=True)


@click.command()
@click.argument("font_file", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--output", type=click.Path(file_okay=False), default=str(SAMPLE_FOLDER), help="Folder to fill."
)
def main(font_file: str, output: str) -> None:
    """Draw the sample pictures with the emoji of FONT_FILE (NotoColorEmoji.ttf)."""
    font = ImageFont.truetype(font_file, FONT_SIZE)
    for category in CATEGORIES:
        write_pictures(category.pictures, Path(output) / "pictures" / category.name, font)
        write_pictures(category.new_pictures, Path(output) / "new_pictures" / category.name, font)


if __name__ == "__main__":
    main()
