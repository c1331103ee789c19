"""Picture files come in upright and whole, and go out whole."""

import errno
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edge.errors import PictureError
from edge.pictures import Aside, picture_files, read_picture, write_picture


@pytest.fixture
def photo() -> np.ndarray:
    rows, columns = np.mgrid[0:37, 0:53]
    return np.stack([rows * 6, columns * 4, (rows + columns) * 2], axis=2).astype(np.uint8)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.TIFF", "a.Png"])
def test_lossless_formats_give_back_what_was_written(tmp_path, photo, name):
    write_picture(tmp_path / name, photo)
    picture, _ = read_picture(tmp_path / name)
    np.testing.assert_array_equal(picture, photo)
    assert picture.flags.writeable


@pytest.mark.parametrize("name", ["a.jpg", "a.jpeg", "a.webp"])
def test_lossy_formats_stay_near(tmp_path, photo, name):
    write_picture(tmp_path / name, photo)
    picture, _ = read_picture(tmp_path / name)
    assert np.abs(picture.astype(int) - photo).mean() < 2


def test_grey_stays_grey(tmp_path):
    Image.linear_gradient("L").save(tmp_path / "grey.png")
    picture, aside = read_picture(tmp_path / "grey.png")
    assert picture.shape == (256, 256, 3)
    write_picture(tmp_path / "out.png", picture, aside)
    with Image.open(tmp_path / "out.png") as out:
        assert out.mode == "L"
        np.testing.assert_array_equal(np.asarray(out), np.asarray(Image.linear_gradient("L")))


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_kept_where_the_format_can(tmp_path, photo, suffix, mode):
    source = Image.fromarray(photo).convert(mode)
    alpha = np.arange(37 * 53).reshape(37, 53).astype(np.uint8)
    source.putalpha(Image.fromarray(alpha))
    source.save(tmp_path / "in.png")
    picture, aside = read_picture(tmp_path / "in.png")
    write_picture(tmp_path / f"out.{suffix}", picture, aside)
    with Image.open(tmp_path / f"out.{suffix}") as out:
        np.testing.assert_array_equal(np.asarray(out.convert("RGBA"))[..., 3], alpha)


@pytest.mark.parametrize("suffix", ["jpg", "bmp"])
def test_alpha_is_left_out_where_the_format_cannot(tmp_path, photo, suffix):
    aside = Aside(alpha=np.zeros((37, 53), np.uint8))
    write_picture(tmp_path / f"out.{suffix}", photo, aside)
    assert read_picture(tmp_path / f"out.{suffix}")[0].shape == photo.shape


def test_palette_with_transparency(tmp_path):
    image = Image.new("P", (4, 2), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    image.putpixel((0, 0), 0)
    image.save(tmp_path / "p.png", transparency=0)
    picture, aside = read_picture(tmp_path / "p.png")
    assert picture[1, 1].tolist() == [10, 200, 30]
    assert aside.alpha is not None and aside.alpha[0, 0] == 0 and aside.alpha[1, 1] == 255


def test_sixteen_bits_are_rounded_to_eight(tmp_path):
    values = np.array([[0, 128, 129, 257, 32768, 65406, 65407, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    picture, aside = read_picture(tmp_path / "deep.png")
    assert picture[0, :, 0].tolist() == np.rint(values[0] / 257).astype(int).tolist()
    assert aside.grey


def test_sixteen_bit_colour_is_not_dimmed(tmp_path):
    cv2 = pytest.importorskip("cv2")
    values = np.zeros((3, 5, 3), np.uint16)
    values[..., 2] = 200 * 257  # OpenCV writes B, G, R
    for name in ("deep.png", "deep.tif"):
        cv2.imwrite(str(tmp_path / name), values)
        picture, _ = read_picture(tmp_path / name)
        assert picture[1, 1].tolist() == [200, 0, 0]


def test_float_pictures_from_0_to_1_are_read_and_others_refused(tmp_path):
    Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32)).save(tmp_path / "f.tif")
    assert read_picture(tmp_path / "f.tif")[0][0, :, 0].tolist() == [0, 128, 255]
    Image.fromarray(np.array([[0.0, 7.5]], np.float32)).save(tmp_path / "g.tif")
    with pytest.raises(PictureError, match="0 to 1"):
        read_picture(tmp_path / "g.tif")


def test_cmyk_looks_right(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "red.tif")
    red = read_picture(tmp_path / "red.tif")[0][4, 4]
    assert red[0] > 200 and red[1] < 60 and red[2] < 60
    Image.new("RGB", (8, 8), (200, 40, 40)).convert("CMYK").save(tmp_path / "red.jpg", quality=100)
    assert np.abs(read_picture(tmp_path / "red.jpg")[0][4, 4].astype(int) - [200, 40, 40]).max() < 8


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied_and_not_written_again(tmp_path, photo, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(photo).save(tmp_path / "in.png", exif=exif)
    turned = {  # TIFF 6.0: where row 0 and column 0 of the stored picture lie
        1: photo,
        2: photo[:, ::-1],
        3: photo[::-1, ::-1],
        4: photo[::-1],
        5: photo.transpose(1, 0, 2),
        6: photo.transpose(1, 0, 2)[:, ::-1],
        7: photo.transpose(1, 0, 2)[::-1, ::-1],
        8: photo.transpose(1, 0, 2)[::-1],
    }[orientation]
    picture, aside = read_picture(tmp_path / "in.png")
    np.testing.assert_array_equal(picture, turned)
    write_picture(tmp_path / "out.png", picture, aside)
    with Image.open(tmp_path / "out.png") as out:
        assert not out.getexif()


def test_a_colour_profile_is_kept(tmp_path, photo):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(photo).save(tmp_path / "in.jpg", icc_profile=profile)
    write_picture(tmp_path / "out.jpg", *read_picture(tmp_path / "in.jpg"))
    with Image.open(tmp_path / "out.jpg") as out:
        assert out.info["icc_profile"] == profile


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "bmp"])
@settings(max_examples=25, deadline=None)
@given(share=st.floats(0, 0.9))
def test_a_truncated_file_is_refused_by_name(tmp_path_factory, suffix, share):
    folder = tmp_path_factory.mktemp("truncated")
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    whole = write_picture(folder / f"whole.{suffix}", noise).read_bytes()
    (folder / f"cut.{suffix}").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(PictureError, match=f"cut.{suffix}"):
        read_picture(folder / f"cut.{suffix}")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_file_is_read_or_refused_but_never_crashes(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp()
    suffix = data.draw(st.sampled_from(["jpg", "png", "webp", "tif", "bmp"]))
    original = folder / f"sound.{suffix}"
    if not original.exists():
        write_picture(original, np.random.default_rng(1).integers(0, 256, (24, 32, 3), np.uint8))
    content = bytearray(original.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    damaged = folder / f"damaged.{suffix}"
    damaged.write_bytes(content)
    try:
        picture, _ = read_picture(damaged)
    except PictureError as error:
        assert "damaged" in str(error) and "\n" not in str(error)
    else:
        assert picture.dtype == np.uint8 and picture.ndim == 3


@pytest.mark.parametrize(
    "content, says", [(b"", "is empty"), (b"hello, I am a letter\n" * 9, "is not a picture"), (None, "does not exist")]
)
def test_what_is_not_a_picture_is_named(tmp_path, content, says):
    path = tmp_path / "x.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PictureError, match=says):
        read_picture(path)


def test_a_picture_that_claims_an_absurd_size_is_refused_before_it_is_decoded(tmp_path):
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    idat = zlib.compress(bytes(10**7))
    chunk += struct.pack(">I", len(idat)) + b"IDAT" + idat + struct.pack(">I", zlib.crc32(b"IDAT" + idat))
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    with pytest.raises(PictureError, match="megapixels"):
        read_picture(tmp_path / "bomb.png")


def test_a_file_of_several_pictures_is_refused(tmp_path, photo):
    image = Image.fromarray(photo)
    image.save(tmp_path / "pages.tif", save_all=True, append_images=[image])
    with pytest.raises(PictureError, match="holds 2 pictures"):
        read_picture(tmp_path / "pages.tif")


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1)])
def test_the_smallest_and_thinnest(tmp_path, size):
    picture = np.full((*size, 3), 77, np.uint8)
    for suffix in ("png", "jpg", "webp", "tif", "bmp"):
        back, _ = read_picture(write_picture(tmp_path / f"thin.{suffix}", picture))
        assert back.shape == picture.shape


def test_a_full_disk_is_told_with_its_cause_and_leaves_the_old_picture_and_nothing_else(tmp_path, photo, monkeypatch):
    path = write_picture(tmp_path / "kept.png", photo)
    old = path.read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PictureError, match=r"cannot write .*kept\.png: No space left on device$") as caught:
        write_picture(path, photo[::-1])
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert path.read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == ["kept.png"]


@pytest.mark.parametrize("name", [82 * "\u9727" + ".png", 251 * "a" + ".png"], ids=["of 250 bytes", "of 255 bytes"])
def test_a_name_may_be_as_long_as_the_file_system_takes(tmp_path, photo, name):
    write_picture(tmp_path / name, photo)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_picture_too_large_for_its_format_is_refused(tmp_path):
    with pytest.raises(PictureError, match="cannot write"):
        write_picture(tmp_path / "wide.webp", np.zeros((1, 20000, 3), np.uint8))
    assert not list(tmp_path.iterdir())


def test_a_folder_lists_pictures_by_name(tmp_path):
    for name in ("b.JPG", "a.png", ".hidden.png", "notes.txt", "c.webp"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub.png").mkdir()
    assert [p.name for p in picture_files(tmp_path)] == ["a.png", "b.JPG", "c.webp"]
    with pytest.raises(PictureError, match="holds no pictures"):
        picture_files(tmp_path / "sub")
    with pytest.raises(PictureError, match="cannot read"):
        picture_files(Path("/nowhere"))
