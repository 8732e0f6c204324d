"""Decoding: every kind of image file, against what Pillow or plain arithmetic says."""

import io

import numpy as np
import pytest
from PIL import Image

from ssljax.data import CorruptExample, Images


def picture(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encode(array, format="PNG", mode=None, **options):
    buffer = io.BytesIO()
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    (image if mode is None else image.convert(mode)).save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_rgb_and_grey_are_exact(wrap):
    rgb, grey = picture(9, 7, 3), picture(9, 7)
    np.testing.assert_array_equal(Images()(wrap(encode(rgb)), "x"), rgb)
    found = Images()(wrap(encode(grey)), "x")
    assert found.shape == (9, 7, 1) and found.dtype == np.uint8
    np.testing.assert_array_equal(found[..., 0], grey)


def test_channels_convert_as_itu_601_luma():
    rgb, grey = picture(8, 8, 3), picture(8, 8)
    luma = rgb @ np.array([0.299, 0.587, 0.114])
    found = Images(channels=1)(encode(rgb), "x")
    assert found.shape == (8, 8, 1)
    assert np.abs(found[..., 0] - luma).max() <= 1
    np.testing.assert_array_equal(Images(channels=1)(rgb, "x"), found)
    colour = Images(channels=3)(encode(grey), "x")
    np.testing.assert_array_equal(colour, np.repeat(grey[..., None], 3, -1))
    np.testing.assert_array_equal(Images(channels=3)(grey, "x"), colour)


def test_palette_becomes_its_colours():
    palette = np.array([[255, 0, 0], [0, 255, 0], [9, 8, 7]], np.uint8)
    index = picture(5, 6) % 3
    image = Image.fromarray(index, "P")
    image.putpalette(palette.reshape(-1).tolist())
    np.testing.assert_array_equal(Images()(encode(image), "x"), palette[index])
    np.testing.assert_array_equal(Images()(encode(image, "GIF"), "x"), palette[index])


def test_alpha_is_dropped_not_blended():
    rgba = picture(5, 6, 4)
    np.testing.assert_array_equal(Images()(encode(rgba), "x"), rgba[..., :3])
    np.testing.assert_array_equal(Images()(rgba, "x"), rgba[..., :3])
    la = np.stack([picture(5, 6), picture(5, 6, seed=1)], -1)
    found = Images()(encode(Image.fromarray(la, "LA")), "x")
    np.testing.assert_array_equal(found, la[..., :1])


def test_bilevel():
    bits = picture(5, 6) > 127
    found = Images()(encode(Image.fromarray(bits)), "x")
    np.testing.assert_array_equal(found[..., 0], bits * 255)


@pytest.mark.parametrize("top", [200, 4000, 65535])
def test_sixteen_bits_keep_their_scale(top):
    # A dark 16-bit image stays dark: the scale may not depend on what is in the image.
    wide = np.linspace(0, top, 30).reshape(5, 6).astype(np.uint16)
    for format in ("PNG", "TIFF"):
        found = Images()(encode(wide, format), "x")
        assert found.shape == (5, 6, 1) and found.dtype == np.uint8
        assert np.abs(found[..., 0] - wide / 257).max() <= 0.51


def test_sixteen_bit_arrays_too():
    wide = np.random.default_rng(0).integers(0, 65536, (5, 6, 3), dtype=np.uint16)
    assert np.abs(Images()(wide, "x") - wide / 257).max() <= 0.51


def test_floating_tiff_is_refused_by_name():
    data = encode(np.full((5, 6), 0.5, np.float32), "TIFF")
    with pytest.raises(CorruptExample, match=r"cat\.tif.*mode F"):
        Images()(data, "cat.tif")


def test_cmyk_jpeg():
    flat = np.full((16, 16, 3), (200, 40, 90), np.uint8)
    found = Images()(encode(flat, "JPEG", mode="CMYK", quality=95), "x")
    assert found.shape == (16, 16, 3)
    assert np.abs(found.astype(int) - flat).max() <= 6


def test_exif_orientation_is_not_applied():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(picture(8, 16, 3), "JPEG", exif=exif)
    assert Images()(data, "x").shape == (8, 16, 3)


@pytest.mark.parametrize("shape", [(40, 61, 3), (61, 40, 3), (33, 20), (8, 9, 3), (12, 12)])
@pytest.mark.parametrize("size", [12, 17])
def test_size_is_short_side_then_centre(shape, size):
    array = picture(*shape)
    h, w = shape[:2]
    short = min(h, w)
    # Independent: the box of the source that the centre crop covers, resampled whole, per axis.
    new = (max(size, round(w * size / short)), max(size, round(h * size / short)))
    whole = np.asarray(Image.fromarray(array).resize(new, Image.BICUBIC))
    y, x = (whole.shape[0] - size) // 2, (whole.shape[1] - size) // 2
    expected = whole[y : y + size, x : x + size].reshape(size, size, -1)
    for value in (array, encode(array)):
        found = Images(size=size)(value, "x")
        assert found.shape == (size, size, 1 if len(shape) == 2 else 3)
        np.testing.assert_array_equal(found, expected)


def test_size_against_arithmetic():
    # Halving a smooth ramp: away from the border the result is the ramp at the new pixel centres.
    ramp = np.repeat(np.arange(0, 240, 4, dtype=np.uint8)[None], 32, 0)  # 32 x 60
    found = Images(size=16)(ramp, "x")[..., 0].astype(float)
    centres = 2 * np.arange(30) + 0.5
    np.testing.assert_allclose(found[8], (centres * 4)[7:23], atol=1)


def test_large_jpeg_shrinks_to_nearly_the_same():
    # A photo-like image: decoding at reduced scale may be used, but must agree closely.
    y, x = np.mgrid[0:512, 0:640]
    smooth = np.stack([x * 255 // 640, y * 255 // 512, (x + y) * 255 // 1152], -1).astype(np.uint8)
    data = encode(smooth, "JPEG", quality=95)
    full = Image.open(io.BytesIO(data)).resize((80, 64), Image.BICUBIC).crop((8, 0, 72, 64))
    found = Images(size=64)(data, "x").astype(int)
    assert np.abs(found - np.asarray(full, int)).max() <= 4


def test_random_pixels_of_an_array_of_the_right_shape_are_untouched():
    array = picture(12, 12, 3)
    assert Images(size=12, channels=3)(array, "x").tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "value",
    [
        np.zeros((4, 4), np.float32),
        np.zeros(4, np.uint8),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        None,
        "text",
    ],
)
@pytest.mark.parametrize("images", [Images(), Images(size=4)])
def test_other_values_are_corrupt_by_name(value, images):
    with pytest.raises(CorruptExample, match="shelf/cat 7"):
        images(value, "shelf/cat 7")


@pytest.mark.parametrize(
    "data",
    [b"", b"no image", encode(picture(64, 64, 3), "JPEG")[:900], encode(picture(64, 64))[:700]],
    ids=["empty", "text", "truncated-jpeg", "truncated-png"],
)
def test_broken_files_are_corrupt_by_name(data):
    with pytest.raises(CorruptExample, match=r"cat\.jpg"):
        Images()(data, "cat.jpg")


def test_decompression_bomb_is_corrupt_and_not_decoded(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(CorruptExample, match=r"cat\.png: announces more than 2,000 pixels"):
        Images()(encode(picture(64, 64)), "cat.png")


def test_negative_size_is_refused():
    with pytest.raises(ValueError, match=r"size 0.*at least 1"):
        Images(size=0)
    with pytest.raises(ValueError, match="channels 2"):
        Images(channels=2)


def test_the_error_survives_the_way_between_processes():
    import pickle

    error = pickle.loads(pickle.dumps(CorruptExample("cat", "no")))
    assert str(error) == "cat: no" and error.name == "cat"


def test_of_several_pictures_in_a_file_the_first_is_read_and_that_is_said(caplog, monkeypatch):
    monkeypatch.setattr("ssljax.data.images._SAID", set())
    pages = [Image.new("L", (4, 4), v) for v in (10, 20, 30)]
    file = io.BytesIO()
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    for _ in range(2):
        assert (Images()(file.getvalue(), "a.tif") == 10).all()
    assert caplog.text.count("a.tif holds several pictures, of which the first alone is read") == 1


def test_a_picture_that_grows_by_its_shape_is_corrupt(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5000)
    with pytest.raises(CorruptExample, match=r"cat\.png: 1 x 1000 pixels, too narrow"):
        Images(size=4)(encode(picture(1000, 1)), "cat.png")


def test_a_program_is_no_picture():
    page = io.BytesIO()
    Image.new("RGB", (4, 4)).save(page, "EPS")
    with pytest.raises(CorruptExample, match=r"cat\.png: a program \(EPS\)"):
        Images()(page.getvalue(), "cat.png")


def test_one_image_is_not_taken_for_many():
    one = picture(32, 16, 3)
    with pytest.raises(ValueError, match=r"\(32, 16, 3\) is one image: give a list"):
        Images().rows(one)
    assert Images().rows(one[None])["image"].shape == (1, 32, 16, 3)
    assert Images().rows(picture(2, 32, 16))["image"].shape == (2, 32, 16, 1)
