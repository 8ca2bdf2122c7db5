"""Kinds of pictures beside the common ones: HEIC, AVIF, those that move; what crops keep; what is shown meanwhile."""

import io
from typing import Any

import pillow_heif
import pytest
from PIL import Image

from streams.media.errors import BadMedia
from streams.media.recipe import AVIF, WEBP, Plan
from streams.media.rendering import Gallery, Picture, render
from tests.pictures import CORNERS, encoded, four_corners, photo

PLAN = Plan(25_000_000)


def heic(image: Image.Image, **options: object) -> bytes:
    """As a phone writes it."""
    file = io.BytesIO()
    pillow_heif.from_pillow(image).save(file, quality=80, **options)
    return file.getvalue()


def moving(kind: str, count: int = 6, size: tuple[int, int] = (200, 150), **options: Any) -> bytes:
    """A bar that runs across four corners."""
    frames = [four_corners(*size) for _ in range(count)]
    for number, frame in enumerate(frames):
        frame.paste((255, 255, 255), (number * 20, 0, number * 20 + 20, size[1]))
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=80, **options)


def by_name(gallery: Gallery) -> dict[str, Picture]:
    return {picture.variant: picture for picture in gallery.pictures}


def opened(picture: Picture) -> Image.Image:
    return Image.open(io.BytesIO(picture.content))


def near(image: Image.Image, at: tuple[int, int], colour: tuple[int, int, int]) -> bool:
    found = image.convert("RGB").getpixel(at)
    assert isinstance(found, tuple)
    return max(abs(a - b) for a, b in zip(found, colour, strict=True)) < 60


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_pictures_of_phones_become_renditions(kind: str) -> None:
    image = four_corners(640, 480)
    content = heic(image) if kind == "HEIF" else encoded(image, "AVIF")

    gallery = render(content, PLAN)

    assert (gallery.kind, gallery.size) == (kind, (640, 480))
    found = opened(by_name(gallery)["w320"])
    assert found.size == (320, 240)
    assert near(found, (20, 20), CORNERS["top left"]) and near(found, (300, 220), CORNERS["bottom right"])


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_pictures_of_phones_are_upright_once(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = four_corners(400, 300).transpose(Image.Transpose.ROTATE_90)
    content = heic(stored, exif=exif.tobytes()) if kind == "HEIF" else encoded(stored, "AVIF", exif=exif)

    gallery = render(content, PLAN)

    assert gallery.size == (400, 300)
    assert near(opened(by_name(gallery)["w320"]), (20, 20), CORNERS["top left"])


@pytest.mark.parametrize("part", [0.3, 0.8])
@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_a_truncated_picture_of_a_phone_is_refused(kind: str, part: float) -> None:
    whole = heic(photo()) if kind == "HEIF" else encoded(photo(), "AVIF")

    with pytest.raises(BadMedia, match=f"the {kind} cannot be"):
        render(whole[: int(len(whole) * part)], PLAN)


def test_renditions_are_made_in_avif_too_where_that_is_asked_for() -> None:
    gallery = render(encoded(photo()), Plan(25_000_000, (WEBP, AVIF)))

    found = by_name(gallery)
    assert [name for name in found if name.endswith("-avif")] == [
        *("w1080-avif", "w640-avif", "w320-avif", "thumb150-avif")
    ]
    for name, picture in found.items():
        assert opened(picture).format == ("AVIF" if name.endswith("-avif") else "WEBP")
        assert opened(picture).size == (picture.width, picture.height)
    again = render(encoded(photo()), Plan(25_000_000, (WEBP, AVIF)))
    assert again == gallery


@pytest.mark.parametrize(("kind", "loop", "plays"), [("GIF", 0, 0), ("GIF", 2, 3), ("GIF", None, 1), ("WEBP", 0, 0)])
def test_what_moves_goes_on_moving(kind: str, loop: int | None, plays: int) -> None:
    options: dict[str, Any] = {} if loop is None else {"loop": loop}

    gallery = render(moving(kind, **options), PLAN)

    found = by_name(gallery)
    assert gallery.frames == 6
    for name, frames in (("w1080", 6), ("w320", 6), ("thumb150", 1)):
        image = opened(found[name])
        assert getattr(image, "n_frames", 1) == frames, name
    image = opened(found["w320"])
    assert (image.info["loop"], image.size) == (plays, (200, 150))
    image.seek(5)
    image.load()
    assert image.info["duration"] == 80
    assert near(image, (110, 20), (255, 255, 255)) and near(image, (10, 20), CORNERS["top left"])


@pytest.mark.parametrize(
    "plan",
    [Plan(25_000_000, max_frames=5), Plan(25_000_000, max_moving_pixels=200 * 150 * 5)],
    ids=["frames", "pixels"],
)
@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_what_moves_too_much_stands_still(kind: str, plan: Plan) -> None:
    gallery = render(moving(kind), plan)

    assert gallery.frames == 1
    assert all(getattr(opened(picture), "n_frames", 1) == 1 for picture in gallery.pictures)


def test_a_crop_keeps_the_centre_or_the_point_that_is_asked_for() -> None:
    content = encoded(four_corners(1200, 300))

    crops = {
        focus: opened(by_name(render(content, Plan(25_000_000, focus=focus)))["thumb150"])
        for focus in (None, (0.0, 0.5), (1.0, 0.5), (0.9, 0.1))
    }

    assert near(crops[None], (10, 10), CORNERS["top left"]) and near(crops[None], (140, 10), CORNERS["top right"])
    assert near(crops[(0.0, 0.5)], (140, 10), CORNERS["top left"])
    assert near(crops[(1.0, 0.5)], (10, 10), CORNERS["top right"])
    assert near(crops[(0.9, 0.1)], (140, 140), CORNERS["bottom right"])


def test_a_placeholder_is_the_blurhash_that_the_reference_makes_and_the_commonest_colour() -> None:
    """The hash is from the package ``blurhash`` 1.1.5, of the same 20 x 15 pixels."""
    image = Image.new("RGB", (640, 480), (20, 40, 200))
    image.paste((240, 220, 10), (0, 0, 200, 480))

    found = render(encoded(image, "PNG"), PLAN).placeholder

    assert found.colour == "#1428c8"
    assert found.blurhash == "L]GR.6~H?O$|s;obobj@fQfQfQfQ"


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2)])
def test_the_smallest_pictures_have_a_placeholder(size: tuple[int, int]) -> None:
    found = render(encoded(Image.new("RGBA", size, (0, 0, 0, 0)), "PNG"), PLAN).placeholder

    assert found.colour == "#ffffff" and len(found.blurhash) == 28
