"""Picture files: whole and upright in, whole out.

Reading gives 8-bit RGB whatever the file holds, and keeps aside what the model does not see (alpha, that it was
grey, its colour profile, its EXIF and XMP) for writing. A truncated file is refused, never half-decoded.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge import exif, metadata
from edge.errors import PictureError
from edge.files import whole_file
from edge.metadata import NO_METADATA, Metadata

if TYPE_CHECKING:
    from PIL import Image

FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
}
KEEPS_ALPHA = {"PNG", "WEBP", "TIFF"}
LARGEST_PIXELS = 200_000_000
_SAVE: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "PNG": {"compress_level": 3},
    "WEBP": {"quality": 95},
    "TIFF": {"compression": "tiff_adobe_deflate"},
    "BMP": {},
}


@dataclass(frozen=True)
class Aside:
    """What a picture file holds besides the 8-bit RGB that the model sees.

    Attributes:
        alpha: uint8 (H, W), 255 opaque; None where the file has no transparency.
        grey: the file is grey, so the result is written grey too.
        profile: ICC profile of its RGB or grey values; None where it has none.
        metadata: its EXIF and XMP.
    """

    alpha: np.ndarray | None = None
    grey: bool = False
    profile: bytes | None = None
    metadata: Metadata = NO_METADATA


NOTHING_ASIDE = Aside()


def picture_files(folder: Path) -> list[Path]:
    """The pictures of a folder, by name; not of its subfolders, and no hidden files.

    Raises:
        PictureError: the folder cannot be read or holds no picture.
    """
    try:
        named = (p for p in folder.iterdir() if p.suffix.lower() in FORMATS and not p.name.startswith("."))
        files = sorted(p for p in named if not p.is_dir())
    except OSError as error:
        raise PictureError(f"cannot read {folder}: {error.strerror or error}") from error
    if not files:
        raise PictureError(f"{folder} holds no pictures (looked for {', '.join(FORMATS)})")
    return files


def read_picture(path: str | Path) -> tuple[np.ndarray, Aside]:
    """Read a picture file.

    Returns:
        uint8 RGB (H, W, 3), turned upright by its EXIF orientation, and what was kept aside.

    Raises:
        PictureError: missing, empty, truncated, not a picture, larger than 200 megapixels, or of several pages.
    """
    from PIL import Image, UnidentifiedImageError

    path = Path(path)
    refuse_special(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its size we judge ourselves; of odd tags a user need not know
            with Image.open(path) as image:
                if image.width * image.height > LARGEST_PIXELS:
                    raise PictureError(
                        f"{path}: {image.width}x{image.height} is more than {LARGEST_PIXELS // 10**6} megapixels; "
                        "cut it into parts"
                    )
                pages = getattr(image, "n_frames", 1)
                if pages > 1 and image.format != "MPO":  # phones and drones put a preview behind the picture
                    raise PictureError(f"{path} holds {pages} pictures; split it into one file each")
                image.load()
                rgb, aside = _to_rgb(exif.upright(image))
                return rgb, replace(aside, metadata=metadata.read_metadata(image))
    except PictureError:
        raise
    except UnidentifiedImageError:
        what = "is empty" if path.stat().st_size == 0 else "is not a picture"
        raise PictureError(f"{path} {what}") from None
    except Image.DecompressionBombError:
        raise PictureError(f"{path}: more than {LARGEST_PIXELS // 10**6} megapixels; cut it into parts") from None
    except FileNotFoundError:
        raise PictureError(f"{path} does not exist") from None
    except MemoryError:
        raise PictureError(f"{path} does not fit into this machine's memory; cut it into parts") from None
    except OSError as error:
        if error.errno is not None:
            raise PictureError(f"cannot read {path}: {error.strerror}") from error
        raise PictureError(f"{path} is damaged ({_reason(error)})") from error
    except Exception as error:  # a hostile file makes decoders raise struct.error, ValueError, SyntaxError and more
        raise PictureError(f"{path} is damaged ({_reason(error)})") from error


def refuse_special(path: Path) -> None:
    """Keep from opening what is no plain file: a named pipe would be waited for until somebody writes to it.

    Raises:
        PictureError: it is a pipe, a device or a socket; what is not there at all is left to who opens it.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        kind = "a named pipe" if path.is_fifo() else "a device or socket"
        raise PictureError(f"{path} is {kind}, not a picture file")


def write_picture(
    path: str | Path, rgb: np.ndarray, aside: Aside = NOTHING_ASIDE, tell: Callable[[str], object] | None = None
) -> Path:
    """Write a picture file whole or not at all, in the format that its name asks for.

    Args:
        rgb: uint8 RGB (H, W, 3).
        aside: from `read_picture`; alpha is kept by PNG, WebP and TIFF, EXIF and XMP by these and JPEG.
        tell: called with a sentence for each part of its EXIF and XMP that is not in the file, once that is written.

    Raises:
        PictureError: a format that is not written, or the file cannot be written (full disk, no permission, ...);
            then its cause is the OSError.
    """
    from PIL import Image

    path = Path(path)
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise PictureError(f"cannot write {path.name}: a picture's name ends with one of {', '.join(FORMATS)}")
    image = Image.fromarray(rgb)
    if aside.grey:
        image = image.convert("L")
    if aside.alpha is not None and kind in KEEPS_ALPHA:
        if image.mode == "L" and kind == "WEBP":
            image = image.convert("RGB")
        image.putalpha(Image.fromarray(aside.alpha))
    options = dict(_SAVE[kind])
    if aside.profile is not None and kind != "BMP":
        options["icc_profile"] = aside.profile
    known = metadata.fitting(kind, aside.metadata)
    options |= metadata.options(kind, known)
    try:
        with whole_file(path) as file:
            image.save(file, kind, **options)
            metadata.complete(file, kind, known)
    except (OSError, ValueError, MemoryError) as error:
        told = error.strerror if isinstance(error, OSError) and error.errno is not None else _reason(error)
        raise PictureError(f"cannot write {path}: {told}") from error
    if tell is not None:
        for what in known.lost:
            tell(f"{path} is without {what}")
    return path


def _to_rgb(image: Image.Image) -> tuple[np.ndarray, Aside]:
    profile = image.info.get("icc_profile") or None
    mode = image.mode
    if mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif mode in ("PA", "La", "RGBa"):
        image = image.convert("RGBA")
    elif mode in ("L", "RGB") and "transparency" in image.info:
        image = image.convert("LA" if mode == "L" else "RGBA")
    elif mode == "CMYK":
        image, profile = _from_cmyk(image, profile), None
    elif mode not in ("1", "L", "LA", "RGB", "RGBA") and not mode.startswith("I") and mode != "F":
        image, profile = image.convert("RGB"), None  # YCbCr, LAB, HSV, RGBX
    if mode.startswith("I") or mode == "F":
        shallow = _deep_to_8_bits(np.asarray(image))
        return np.repeat(shallow[..., None], 3, axis=2), Aside(None, True, profile)
    grey = image.mode in ("1", "L", "LA")
    alpha = np.array(image.getchannel("A")) if image.mode in ("LA", "RGBA") else None
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    array = np.array(rgb, dtype=np.uint8)  # a writable copy: frames are worked on in place
    return array, Aside(alpha, grey, profile)


def _deep_to_8_bits(values: np.ndarray) -> np.ndarray:
    """16-bit integers by 257, 32-bit ones likewise where they hold 16 bits, floats from [0, 1]; rounded.

    Raises:
        ValueError: values outside of these ranges, whose meaning cannot be known.
    """
    if values.dtype.kind == "f":
        if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
            raise ValueError("float values outside of 0 to 1")
        return np.rint(255 * values).astype(np.uint8)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("32-bit values outside of 0 to 65535")
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _from_cmyk(image: Image.Image, profile: bytes | None) -> Image.Image:
    from PIL import ImageCms

    if profile:
        try:
            converted = ImageCms.profileToProfile(
                image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            return converted or image.convert("RGB")
        except (ImageCms.PyCMSError, OSError):
            pass  # a profile that does not fit its picture: convert as without one
    return image.convert("RGB")


def _reason(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
