"""Where, when and how a picture was taken goes from file to file; what cannot go along is named."""

import struct
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edge.pictures import read_picture, write_picture


@pytest.fixture
def photo() -> np.ndarray:
    rows, columns = np.mgrid[0:37, 0:53]
    return np.stack([rows * 6, columns * 4, (rows + columns) * 2], axis=2).astype(np.uint8)


POSITION = {1: "N", 2: (47.0, 22.0, 1.5), 3: "E", 4: (8.0, 32.0, 0.25), 5: b"\0", 6: 431.25}
EXPOSURE = {0x9003: "2026:05:01 12:34:56", 0x829A: 1 / 320, 0x927C: b"a maker's note of its own kind"}


def drone_exif(orientation: int | None = None) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x8769], exif[0x8825] = "DJI", EXPOSURE, POSITION
    if orientation is not None:
        exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("target", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("source", ["jpg", "png", "webp", "tif"])
def test_where_and_when_a_picture_was_taken_is_kept(tmp_path, photo, source, target):
    Image.fromarray(photo).save(tmp_path / f"in.{source}", exif=drone_exif(6).tobytes())
    picture, aside = read_picture(tmp_path / f"in.{source}")
    assert picture.shape == (53, 37, 3)
    write_picture(tmp_path / f"out.{target}", picture, aside)
    with Image.open(tmp_path / f"out.{target}") as out:
        out.load()
        exif = out.getexif()
        assert exif[0x010F] == "DJI" and exif.get(0x0112, 1) == 1
        assert exif.get_ifd(0x8825) == POSITION
        assert exif.get_ifd(0x8769) == pytest.approx(EXPOSURE)
        assert out.size == (37, 53)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_exif_without_orientation_is_kept_byte_for_byte(tmp_path, photo, suffix):
    block = drone_exif().tobytes()
    Image.fromarray(photo).save(tmp_path / f"in.{suffix}", exif=block)
    write_picture(tmp_path / f"out.{suffix}", *read_picture(tmp_path / f"in.{suffix}"))
    with Image.open(tmp_path / f"out.{suffix}") as out:
        assert out.info["exif"].removeprefix(b"Exif\0\0") == block.removeprefix(b"Exif\0\0")


@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_and_the_preview_of_the_hazy_picture_are_taken_out_of_exif(tmp_path, photo, order):
    def entry(tag: int, kind: int, value: bytes) -> bytes:  # TIFF 6.0, section 2: tag, type, count, value
        return struct.pack(f"{order}HHI", tag, kind, len(value) if kind == 2 else 1) + value.ljust(4, b"\0")

    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    make, turned = entry(0x010F, 2, b"DJI\0"), entry(0x0112, 3, struct.pack(f"{order}H", 3))
    preview = struct.pack(f"{order}H", 1) + entry(0x0103, 3, struct.pack(f"{order}H", 6)) + bytes(4)
    block = head + struct.pack(f"{order}H", 2) + make + turned + struct.pack(f"{order}I", 38) + preview
    Image.fromarray(photo).save(tmp_path / "in.png", exif=block)
    picture, aside = read_picture(tmp_path / "in.png")
    np.testing.assert_array_equal(picture, photo[::-1, ::-1])
    assert aside.metadata.exif == head + struct.pack(f"{order}H", 1) + make + bytes(4) + bytes(12) + preview


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_exif_stops_no_picture(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp()
    block = bytearray(drone_exif(1).tobytes())
    for _ in range(data.draw(st.integers(1, 8))):
        block[data.draw(st.integers(6, len(block) - 1))] = data.draw(st.integers(0, 255))
    block = block[: data.draw(st.integers(6, len(block)))]
    source = f"exif.{data.draw(st.sampled_from(['jpg', 'png', 'webp']))}"
    Image.new("RGB", (5, 4), (9, 90, 200)).save(folder / source, exif=bytes(block))
    picture, aside = read_picture(folder / source)
    for suffix in ("jpg", "png", "webp", "tif"):
        again, _ = read_picture(write_picture(folder / f"again.{suffix}", picture, aside))
        assert again.shape == picture.shape


def copied(source, target) -> list[str]:
    """What is said when a picture file is read and written again."""
    told: list[str] = []
    write_picture(target, *read_picture(source), told.append)
    return told


def test_exif_that_is_too_long_for_jpeg_is_left_out_and_named(tmp_path, photo):
    exif = drone_exif()
    exif[0x8769] = {**EXPOSURE, 0x927C: bytes(70_000)}
    Image.fromarray(photo).save(tmp_path / "in.png", exif=exif.tobytes())
    (told,) = copied(tmp_path / "in.png", tmp_path / "out.jpg")
    assert told.startswith(f"{tmp_path}/out.jpg is without EXIF: 70") and "JPEG takes (65527)" in told
    with Image.open(tmp_path / "out.jpg") as out:
        assert not out.getexif()
    for suffix in ("png", "webp", "tif"):
        assert copied(tmp_path / "in.png", tmp_path / f"out.{suffix}") == []


@pytest.mark.parametrize("block", [b"II*\0\xff\xff\0\0", b"MM\0*\0\0\0\x08\0\x09", b"who knows what this is"])
@pytest.mark.parametrize("target", ["jpg", "png", "webp", "tif"])
def test_damaged_exif_is_left_out_and_named(tmp_path, photo, block, target):
    Image.fromarray(photo).save(tmp_path / "in.jpg", exif=b"Exif\0\0" + block)
    out = tmp_path / f"out.{target}"
    assert copied(tmp_path / "in.jpg", out) == [f"{out} is without EXIF: that of the original is damaged"]


def test_a_format_that_takes_nothing_is_named(tmp_path, photo):
    Image.fromarray(photo).save(tmp_path / "in.jpg", exif=drone_exif().tobytes(), xmp=DRONE_XMP)
    exif, xmp = copied(tmp_path / "in.jpg", tmp_path / "out.bmp")
    assert "out.bmp is without EXIF: BMP takes none" in exif and "out.bmp is without XMP: BMP takes none" in xmp


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tif", "bmp"])
def test_of_a_picture_that_says_nothing_nothing_is_missing(tmp_path, photo, kind):
    Image.fromarray(photo).save(tmp_path / f"in.{kind}")
    for target in ("jpg", "png", "webp", "tif", "bmp"):
        assert copied(tmp_path / f"in.{kind}", tmp_path / f"out.{target}") == []


# As a drone writes it: its angles and its height above the start as attributes, packed for editing in place.
DRONE_XMP = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="DJI Meta Data"
    xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
    xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/"
   tiff:Make="DJI"
   drone-dji:RelativeAltitude="+119.90"
   drone-dji:GimbalYawDegree="-21.30"
   drone-dji:GimbalPitchDegree="-89.90">
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


def save_with_xmp(photo: np.ndarray, path, packet: bytes) -> None:
    """Written by the library's own means, another for each format."""
    options: dict = {"xmp": packet}
    if path.suffix == ".png":
        from PIL.PngImagePlugin import PngInfo

        options = {"pnginfo": PngInfo()}
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", packet)
    if path.suffix == ".tif":
        options = {"tiffinfo": {700: packet}}
    Image.fromarray(photo).save(path, **options)


def xmp_of(path) -> bytes:
    with Image.open(path) as image:
        image.load()
        return image.info.get("xmp", b"")


@pytest.mark.parametrize("target", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("source", ["jpg", "png", "webp", "tif"])
def test_xmp_is_kept_byte_for_byte(tmp_path, photo, source, target):
    save_with_xmp(photo, tmp_path / f"in.{source}", DRONE_XMP)
    assert copied(tmp_path / f"in.{source}", tmp_path / f"out.{target}") == []
    assert xmp_of(tmp_path / f"out.{target}") == DRONE_XMP


def test_xmp_lies_where_others_look_for_it(tmp_path, photo):
    """The bytes before a packet, as the formats' own specifications have them."""
    save_with_xmp(photo, tmp_path / "in.webp", DRONE_XMP)
    size = len(DRONE_XMP)
    segment = b"\xff\xe1" + struct.pack(">H", 2 + 29 + size) + b"http://ns.adobe.com/xap/1.0/\0"
    chunk = struct.pack(">I", 22 + size) + b"iTXtXML:com.adobe.xmp\0\0\0\0\0"
    for suffix, before in (("jpg", segment), ("png", chunk), ("webp", b"XMP " + struct.pack("<I", size))):
        copied(tmp_path / "in.webp", tmp_path / f"out.{suffix}")
        assert before + DRONE_XMP in (tmp_path / f"out.{suffix}").read_bytes()


@pytest.mark.parametrize(
    ("says", "becomes"),
    [
        (b'tiff:Make="DJI" tiff:Orientation="6"', b'tiff:Make="DJI" tiff:Orientation="1"'),
        (b"tiff:Make='DJI' tiff:Orientation = '6'", b"tiff:Make='DJI' tiff:Orientation = '1'"),
        (b"><tiff:Orientation>6</tiff:Orientation", b"><tiff:Orientation>1</tiff:Orientation"),
        (
            b'xmlns:t="http://ns.adobe.com/tiff/1.0/" t:Orientation="8"',
            b'xmlns:t="http://ns.adobe.com/tiff/1.0/" t:Orientation="1"',
        ),
        (b'drone-dji:Orientation="6"', b'drone-dji:Orientation="6"'),  # something else
    ],
)
def test_xmp_says_that_the_picture_is_upright(tmp_path, photo, says, becomes):
    save_with_xmp(photo, tmp_path / "in.jpg", DRONE_XMP.replace(b'tiff:Make="DJI"', says))
    copied(tmp_path / "in.jpg", tmp_path / "out.jpg")
    assert xmp_of(tmp_path / "out.jpg") == DRONE_XMP.replace(b'tiff:Make="DJI"', becomes)


def test_a_picture_that_only_xmp_turns_is_turned_once(tmp_path, photo):
    save_with_xmp(photo, tmp_path / "in.png", DRONE_XMP.replace(b'tiff:Make="DJI"', b'tiff:Orientation="3"'))
    copied(tmp_path / "in.png", tmp_path / "once.png")
    copied(tmp_path / "once.png", tmp_path / "twice.png")
    for name in ("once.png", "twice.png"):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / name)), photo[::-1, ::-1])


@pytest.mark.parametrize("content", [b"/>", b"><rdf:Alt><rdf:li>/9j/4AA</rdf:li></rdf:Alt></xap:Thumbnails>"])
def test_previews_of_the_hazy_picture_are_taken_out_of_xmp(tmp_path, photo, content):
    inside = b"</rdf:Description>"
    with_preview = DRONE_XMP.replace(inside, b"<xap:Thumbnails " + content + inside)
    save_with_xmp(photo, tmp_path / "in.jpg", with_preview)
    assert copied(tmp_path / "in.jpg", tmp_path / "out.jpg") == []
    assert xmp_of(tmp_path / "out.jpg") == DRONE_XMP


@pytest.mark.parametrize("size", [65_502, 65_503])
def test_xmp_that_is_too_long_for_jpeg_is_left_out_and_named(tmp_path, photo, size):
    packet = DRONE_XMP.replace(b"<?xpacket end", b" " * (size - len(DRONE_XMP)) + b"<?xpacket end")
    save_with_xmp(photo, tmp_path / "in.png", packet)
    told = copied(tmp_path / "in.png", tmp_path / "out.jpg")
    if size == 65_502:
        assert told == [] and xmp_of(tmp_path / "out.jpg") == packet
    else:
        assert len(told) == 1 and "out.jpg is without XMP: 65503 bytes are more than JPEG takes (65502)" in told[0]
        assert xmp_of(tmp_path / "out.jpg") == b""
    for suffix in ("png", "webp", "tif"):
        assert copied(tmp_path / "in.png", tmp_path / f"out.{suffix}") == []
        assert xmp_of(tmp_path / f"out.{suffix}") == packet


@pytest.mark.parametrize(
    ("place", "note"),
    [
        (b' tiff:Make="DJI"', b' n:HasExtendedXMP="0F2A"'),
        (b' tiff:Make="DJI"', b" n:HasExtendedXMP = '0F2A'"),
        (b"</rdf:Description>", b"<n:HasExtendedXMP>0F2A</n:HasExtendedXMP></rdf:Description>"),
    ],
)
def test_xmp_does_not_point_to_a_continuation_that_is_not_there(tmp_path, photo, place, note):
    save_with_xmp(photo, tmp_path / "in.jpg", DRONE_XMP.replace(place, note))
    (told,) = copied(tmp_path / "in.jpg", tmp_path / "out.jpg")
    assert "out.jpg is without extended XMP" in told
    assert b"0F2A" not in xmp_of(tmp_path / "out.jpg") and b"GimbalYawDegree" in xmp_of(tmp_path / "out.jpg")


@pytest.mark.parametrize(
    ("packet", "says"),
    [
        (DRONE_XMP.decode().encode("utf-16"), "not in UTF-8"),
        (DRONE_XMP.replace(b"</rdf:Description>", b"<xap:Thumbnails>"), "damaged"),
    ],
)
def test_xmp_that_cannot_be_kept_is_named(tmp_path, photo, packet, says):
    save_with_xmp(photo, tmp_path / "in.jpg", packet)
    assert copied(tmp_path / "in.jpg", tmp_path / "out.png") == [
        f"{tmp_path}/out.png is without XMP: that of the original is {says}"
    ]
    assert xmp_of(tmp_path / "out.png") == b""


@pytest.mark.parametrize("hostile", [b"a", b"<a:Thumbnails ", b" a:Orientation ", b"xmlns:a ", b" a:HasExtendedXMP='"])
def test_hostile_xmp_takes_no_longer_than_it_is_long(tmp_path, hostile):
    Image.new("RGB", (5, 4)).save(tmp_path / "in.webp", xmp=hostile * (2_000_000 // len(hostile)))
    start = time.process_time()
    read_picture(tmp_path / "in.webp")
    assert time.process_time() - start < 2


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_damaged_xmp_stops_no_picture(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp()
    packet = bytearray(DRONE_XMP)
    for _ in range(data.draw(st.integers(1, 8))):
        packet[data.draw(st.integers(0, len(packet) - 1))] = data.draw(st.integers(0, 255))
    packet = packet[: data.draw(st.integers(1, len(packet)))]
    Image.new("RGB", (5, 4), (9, 90, 200)).save(folder / "xmp.webp", xmp=bytes(packet))
    for suffix in ("jpg", "png", "webp", "tif"):
        copied(folder / "xmp.webp", folder / f"xmp-again.{suffix}")
        again, _ = read_picture(folder / f"xmp-again.{suffix}")
        assert again.shape == (4, 5, 3)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
def test_tiff_is_compressed_whatever_it_says_of_the_picture(tmp_path, mode):
    image = Image.new(mode, (300, 200), 90 if mode == "L" else (90,) * len(mode))
    image.save(tmp_path / "in.png", exif=drone_exif().tobytes())
    copied(tmp_path / "in.png", tmp_path / "out.tif")
    assert (tmp_path / "out.tif").stat().st_size < 200 * 300 * len(mode) // 10
    with Image.open(tmp_path / "out.tif") as out:
        assert out.n_frames == 1 and out.tag_v2[0x0103] == 8  # deflate
        assert out.getexif().get_ifd(0x8825) == POSITION
        np.testing.assert_array_equal(np.asarray(out), np.asarray(image))


def test_tiff_with_tags_of_its_own_is_read_by_another_library(tmp_path, photo):
    cv2 = pytest.importorskip("cv2")
    Image.fromarray(photo).save(tmp_path / "in.jpg", exif=drone_exif().tobytes(), xmp=DRONE_XMP, quality=100)
    copied(tmp_path / "in.jpg", tmp_path / "out.tif")
    bgr = cv2.imread(str(tmp_path / "out.tif"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(bgr[..., ::-1], read_picture(tmp_path / "in.jpg")[0])


def test_the_directory_of_a_tiff_file_is_in_order(tmp_path, photo):
    """TIFF 6.0, section 2: entries rise by tag, directories begin on a word, and values lie inside of the file."""
    Image.fromarray(photo).save(tmp_path / "in.jpg", exif=drone_exif().tobytes(), xmp=DRONE_XMP)
    copied(tmp_path / "in.jpg", tmp_path / "out.tif")
    content = (tmp_path / "out.tif").read_bytes()
    order = {b"II": "<", b"MM": ">"}[content[:2]]
    sizes = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 10: 8, 12: 8}
    directories = [struct.unpack_from(f"{order}I", content, 4)[0]]
    for start in directories:
        assert start % 2 == 0
        (count,) = struct.unpack_from(f"{order}H", content, start)
        entries = [struct.unpack_from(f"{order}HHII", content, start + 2 + 12 * n) for n in range(count)]
        tags = [tag for tag, *_ in entries]
        assert tags == sorted(set(tags))
        for tag, kind, number, value in entries:
            assert sizes[kind] * number <= 4 or value + sizes[kind] * number <= len(content)
            if tag in (0x8769, 0x8825):
                directories.append(value)
    assert len(directories) == 3
