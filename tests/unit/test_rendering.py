"""Renditions of good pictures, and the reasons for having none of bad ones."""

import io
import time

import pytest
from PIL import Image, ImageChops, ImageCms, ImageStat

from streams.media.errors import BadMedia
from streams.media.recipe import Plan
from streams.media.rendering import Picture, render
from tests.pictures import CORNERS, bomb, encoded, four_corners, photo, with_metadata

MAX_PIXELS = 25_000_000


def rendered(content: bytes) -> dict[str, Picture]:
    return {picture.variant: picture for picture in render(content, Plan(MAX_PIXELS)).pictures}


def decoded(picture: Picture) -> Image.Image:
    return Image.open(io.BytesIO(picture.content))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_each_accepted_kind_becomes_four_renditions(kind: str) -> None:
    found = rendered(encoded(photo(2000, 1000), kind))

    sizes = {name: (picture.width, picture.height) for name, picture in found.items()}
    assert sizes == {"w1080": (1080, 540), "w640": (640, 320), "w320": (320, 160), "thumb150": (150, 150)}
    assert all(decoded(picture).size == (picture.width, picture.height) for picture in found.values())
    assert all(decoded(picture).format == "WEBP" for picture in found.values())


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_each_mode_of_png_can_be_rendered(mode: str) -> None:
    grey = photo().convert("L")
    image = grey.point(lambda v: v * 257, "I").convert("I;16") if mode == "I;16" else photo(mode=mode)

    found = decoded(rendered(encoded(image, "PNG"))["w320"]).convert("L")

    # Small, so that the dots of mode 1 average out.
    difference = ImageChops.difference(found.resize((16, 12)), grey.resize((16, 12)))
    assert ImageStat.Stat(difference).mean[0] < 6


def test_a_cmyk_jpeg_keeps_its_colours() -> None:
    red = Image.new("RGB", (300, 300), (220, 30, 30)).convert("CMYK")

    found = decoded(rendered(encoded(red))["w320"]).convert("RGB").getpixel((150, 150))
    assert isinstance(found, tuple)
    assert found[0] > 180 and found[1] < 90 and found[2] < 90


def test_a_small_picture_is_never_enlarged() -> None:
    found = rendered(encoded(photo(500, 250), "PNG"))

    assert [(p.width, p.height) for p in found.values()] == [(500, 250), (500, 250), (320, 160), (150, 150)]


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3000, 20), (20, 3000), (5000, 500)])
def test_an_extreme_shape_has_all_its_renditions(width: int, height: int) -> None:
    found = rendered(encoded(photo(width, height)))

    assert found["w1080"].width == min(1080, width)
    assert (found["thumb150"].width, found["thumb150"].height) == (150, 150)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_upright_whatever_its_orientation(orientation: int) -> None:
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = four_corners(1600, 1200)
    if orientation in undo:
        stored = stored.transpose(Image.Transpose(undo[orientation]))

    gallery = render(with_metadata(orientation, stored), Plan(MAX_PIXELS))

    assert gallery.size == (1600, 1200)
    for picture in gallery.pictures:
        image = decoded(picture).convert("RGB")
        assert picture.variant == "thumb150" or image.width > image.height
        for place, colour in CORNERS.items():
            x = image.width // 8 if "left" in place else image.width * 7 // 8
            y = image.height // 8 if "top" in place else image.height * 7 // 8
            found = image.getpixel((x, y))
            assert isinstance(found, tuple)
            assert max(abs(a - b) for a, b in zip(found, colour, strict=True)) < 40, (place, picture.variant)


def test_no_metadata_is_left() -> None:
    source = with_metadata()
    assert b"SecretCam" in source and b"SecretComment" in source and b"ICC_PROFILE" in source

    for picture in rendered(source).values():
        assert not any(word in picture.content for word in (b"Secret", b"EXIF", b"ICCP", b"XMP ", b"VP8X"))
        assert decoded(picture).info.keys() <= {"loop", "background", "timestamp", "duration"}


def test_colours_of_another_profile_are_brought_to_srgb() -> None:
    grey = Image.new("L", (200, 200), 128)
    linear = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ"))
    plain = Image.new("RGB", (200, 200), (120, 60, 200))
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))

    same = decoded(rendered(encoded(plain, "PNG", icc_profile=lab.tobytes()))["w320"]).convert("RGB")
    wrong_kind = decoded(rendered(encoded(grey, "PNG", icc_profile=linear.tobytes()))["w320"]).convert("RGB")
    broken = decoded(rendered(encoded(plain, "PNG", icc_profile=b"no profile"))["w320"]).convert("RGB")

    for image, expected in ((same, (120, 60, 200)), (wrong_kind, (128, 128, 128)), (broken, (120, 60, 200))):
        found = image.getpixel((100, 100))
        assert isinstance(found, tuple)
        assert max(abs(a - b) for a, b in zip(found, expected, strict=True)) <= 6


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_transparency_is_kept(kind: str) -> None:
    image = photo(mode="RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 200, 300))

    found = decoded(rendered(encoded(image, kind))["w320"])

    assert found.mode == "RGBA"
    alpha = found.getchannel("A")
    assert alpha.getpixel((20, 100)) == 0 and alpha.getpixel((300, 100)) == 255


def test_the_same_content_gives_the_same_bytes() -> None:
    source = encoded(photo(1500, 1100))

    assert rendered(source) == rendered(source)


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    started = time.process_time()

    with pytest.raises(BadMedia, match=r"60000 x 60000 = 3,600,000,000 pixels; at most 25,000,000"):
        rendered(bomb())

    assert time.process_time() - started < 0.2


def test_a_huge_webp_is_refused_by_its_head() -> None:
    head = b"VP8X" + (10).to_bytes(4, "little") + bytes(4) + (16_000).to_bytes(3, "little") * 2
    content = b"RIFF" + (22).to_bytes(4, "little") + b"WEBP" + head

    with pytest.raises(BadMedia, match="16001 x 16001"):
        rendered(content)


def test_a_picture_too_long_for_its_width_is_refused() -> None:
    with pytest.raises(BadMedia, match="too long for its width"):
        rendered(encoded(Image.new("1", (10, 20_000)), "PNG"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
@pytest.mark.parametrize("part", [0.05, 0.5, 0.9])
def test_a_truncated_picture_is_refused(kind: str, part: float) -> None:
    whole = encoded(photo(), kind)

    with pytest.raises(BadMedia, match=f"the {kind} cannot be"):
        rendered(whole[: int(len(whole) * part)])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b'\xef\xbb\xbf <?xml version="1.0"?><svg/>', "SVG"),
        (b"%PDF-1.7 ...", "no JPEG, PNG, GIF, WebP, AVIF or HEIC"),
        (encoded(photo(), "TIFF"), "no JPEG, PNG, GIF, WebP, AVIF or HEIC"),
        (b"just words", "no JPEG, PNG, GIF, WebP, AVIF or HEIC"),
        (b"\xff\xd8\xff" + bytes(500), "the JPEG cannot be"),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "the PNG cannot be"),
        (b"GIF89a" + bytes(500), "0 x 0 pixels|the GIF cannot be"),
        (b"RIFF\x00\x00\x00\x00WEBP", "the WEBP cannot be"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_reason(content: bytes, reason: str) -> None:
    with pytest.raises(BadMedia, match=reason):
        rendered(content)


def test_a_picture_with_broken_exif_is_rendered_as_it_lies() -> None:
    source = with_metadata(6).replace(b"MM\x00*", b"ZZ\x00*").replace(b"II*\x00", b"ZZ*\x00")

    assert rendered(source)["w320"].width == 320


def test_the_fast_way_looks_like_the_usual_one() -> None:
    """By 36 dB at least, file against file: each size from the full picture, in WebP of the same quality."""
    shapes = Image.effect_noise((32, 24), 90).resize((2400, 1800), Image.Resampling.BICUBIC)
    source = encoded(Image.merge("RGB", (shapes, shapes.transpose(Image.Transpose.ROTATE_180), shapes)), quality=92)
    full = Image.open(io.BytesIO(source)).convert("RGB")

    for name, picture in rendered(source).items():
        if name != "thumb150":
            small = full.resize((picture.width, picture.height), Image.Resampling.LANCZOS)
            usual = Image.open(io.BytesIO(encoded(small, "WEBP", quality=80, method=2))).convert("RGB")
            difference = ImageStat.Stat(ImageChops.difference(decoded(picture).convert("RGB"), usual))
            assert sum(value**2 for value in difference.rms) / 3 < 255**2 / 10**3.6, name
