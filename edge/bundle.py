"""A bundle: one folder, or the same as a .zip, with all that a board needs to run one model.

    manifest.json      what it is, and the size and digest of every other file
    manifest.sha256    the digest of manifest.json
    model files        as the target's `build` made them
    golden/            small frames, with the answers that the exporting machine saw

A bundle is read into memory whole and checked there: what runs is what was checked, and nothing in a .zip is ever
extracted to disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, TypedDict

from edge import typed
from edge.errors import BundleError
from edge.files import sync_folder, whole_file

SCHEMA = 1
MANIFEST = "manifest.json"
SEAL = "manifest.sha256"
SIGNATURE = "signature.json"
LARGEST_BYTES = 512 * 2**20

Kind = Literal["grid", "frame"]
Side = Annotated[int, range(1, 16385)]  # of a picture, in pixels


class Model(TypedDict, total=False):
    """What a bundle was made from, as `targets.source.ModelCard` says it; macs are those of all looks at a frame."""

    name: str
    parameters: int
    macs: int
    checkpoint_sha256: str
    coefficients: str
    mirrored: bool


class _Size(TypedDict):
    width: Side
    height: Side


class Input(_Size, total=False):
    """What the network takes: size, colour (``RGB``), layout (``NHWC``), dtype (``uint8``) and range ([0, 255])."""

    colour: str
    layout: str
    dtype: str
    range: list[float]


class Accuracy(TypedDict, total=False):
    """What export measured against the float checkpoint: see `edge.exporting.fidelity`."""

    data: str
    pictures: int
    psnr_db: float
    ssim: float
    psnr_drop_db: float
    ssim_drop: float
    kept_psnr_db: float
    kept_psnr_drop_db: float
    agreement_db: float
    largest_error: int
    golden_agreement_db: float
    golden_largest_error: int
    computed_in: str


class Entry(TypedDict):
    """What a file of the bundle has to be."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Golden:
    """A frame with its expected answer, as names of PNG files in the bundle.

    Attributes:
        frame: uint8 RGB picture that goes in.
        clear: what the exporting machine's `Dehazer` gave for it.
        tolerance: the largest difference in grey levels that still counts as the same.
    """

    frame: str
    clear: str
    tolerance: int


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself.

    Attributes:
        name: for people, for example ``edge-m-openvino-int8``.
        kind: ``grid`` or ``frame``.
        target, precision: what it was built for, and in what arithmetic.
        outputs: a list of name, shape, dtype and range.
        files: by name, every file but the manifest, seal and signature.
        golden: frames with their expected answers.
        tools: tool name to version.
        calibration: None, or source, pictures and sha256 of what INT8 was calibrated on.
        accuracy: None where it was not measured.
        notes: the target's own facts; of INT8 artefacts ``kernels``, what the runtime says they compute in (precision
            to operator to count), and ``pace``, the time against float32 on the exporting machine (`edge.pace.Pace`).
    """

    name: str
    kind: Kind
    model: Model
    target: str
    precision: str
    input: Input
    outputs: tuple[Mapping[str, Any], ...]
    files: Mapping[str, Entry] = field(default_factory=dict)
    golden: tuple[Golden, ...] = ()
    tools: Mapping[str, str] = field(default_factory=dict)
    calibration: Mapping[str, Any] | None = None
    accuracy: Accuracy | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    def to_bytes(self) -> bytes:
        return (json.dumps(asdict(self), indent=2, sort_keys=True, allow_nan=False) + "\n").encode()

    @staticmethod
    def from_bytes(data: bytes, where: str) -> Manifest:
        """Read a manifest.

        Raises:
            BundleError: not JSON, a newer schema, or a field missing, unknown or of the wrong type.
        """
        try:
            raw = typed.parse(data)
        except (ValueError, RecursionError) as error:
            raise BundleError(f"{where}: {MANIFEST} is not readable ({error}); export the bundle again") from None
        if not isinstance(raw, dict) or not isinstance(raw.get("schema"), int):
            raise BundleError(f"{where}: {MANIFEST} does not say its schema version; it is not a bundle of this tool")
        if raw["schema"] > SCHEMA:
            raise BundleError(
                f"{where}: made by a newer version (schema {raw['schema']}, this one reads up to {SCHEMA}); "
                "update draco-edge on this machine"
            )
        known = {f.name for f in fields(Manifest)}
        if wrong := sorted(set(raw) ^ known):
            raise BundleError(f"{where}: {MANIFEST} lacks or does not know {', '.join(map(repr, wrong))}")
        try:
            manifest = typed.build(Manifest, raw, "")
            for name in manifest.files:
                _safe_name(name)
        except ValueError as error:
            raise _malformed(where, error) from None
        return manifest


@dataclass(frozen=True)
class Bundle:
    """A bundle in memory, every byte of it checked.

    Attributes:
        path: where it was read from.
        digest: SHA-256 of its manifest, which pins every other file; names this bundle in measurements and caches.
        files: file name to content, of every file that the manifest lists.
    """

    path: Path
    manifest: Manifest
    digest: str
    files: Mapping[str, bytes] = field(repr=False)  # megabytes, in a notebook or a log

    @staticmethod
    def assemble(manifest: Manifest, files: Mapping[str, bytes], path: str | Path = "(not yet written)") -> Bundle:
        """A bundle in memory from a manifest, whose `files` is filled in here, and the content of its files.

        Raises:
            BundleError: a file name that a bundle may not hold.
        """
        for name in files:
            try:
                _safe_name(name)
            except ValueError as error:
                raise BundleError(str(error)) from None
        listing: dict[str, Entry]
        listing = {n: {"bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in sorted(files.items())}
        manifest = replace(manifest, files=listing)
        return Bundle(Path(path), manifest, hashlib.sha256(manifest.to_bytes()).hexdigest(), dict(files))

    def note(self, name: str, kind: Any, default: Any) -> Any:
        """What the manifest's notes say under that name, as `kind` (see `edge.typed.build`); else the default.

        Raises:
            BundleError: they say something else there.
        """
        if name not in self.manifest.notes:
            return default
        try:
            return typed.build(kind, self.manifest.notes[name], f"notes.{name}")
        except ValueError as error:
            raise _malformed(str(self.path), error) from None

    @staticmethod
    def read(path: str | Path) -> Bundle:
        """Read and check a bundle folder or .zip.

        Raises:
            BundleError: it is not there, or a file is missing, added or altered; the message names the file.
        """
        path = Path(path)
        return Bundle.checked(path, read_contents(path))

    @staticmethod
    def checked(path: Path, contents: Mapping[str, bytes]) -> Bundle:
        """The bundle of these files, as `read_contents` gives them.

        Raises:
            BundleError: as for `read`.
        """
        manifest, digest = _sealed(path, contents)
        files = {n: c for n, c in contents.items() if n not in (MANIFEST, SEAL, SIGNATURE)}
        if missing := sorted(set(manifest.files) - set(files)):
            raise BundleError(f"{path}: {missing[0]} is missing; export or copy the bundle again")
        if added := sorted(set(files) - set(manifest.files)):
            raise BundleError(f"{path}: {added[0]} was added after export; remove it or export the bundle again")
        for name, content in files.items():
            entry = manifest.files[name]
            if len(content) != entry["bytes"] or hashlib.sha256(content).hexdigest() != entry["sha256"]:
                raise BundleError(f"{path}: {name} was altered after export; export or copy the bundle again")
        for golden in manifest.golden:
            for name in (golden.frame, golden.clear):
                if name not in files:
                    raise BundleError(f"{path}: {MANIFEST} names the golden frame {name}, which is not in the bundle")
        return Bundle(path, manifest, digest, files)


def _malformed(where: str, error: ValueError) -> BundleError:
    return BundleError(f"{where}: {MANIFEST} is malformed ({error}); export the bundle again")


def _sealed(path: Path, contents: Mapping[str, bytes]) -> tuple[Manifest, str]:
    """The manifest among these files, with its digest, where the seal is that of this manifest."""
    for name in (MANIFEST, SEAL):
        if name not in contents:
            raise BundleError(f"{path}: {name} is missing; a bundle is what edge.export made, whole")
    digest = hashlib.sha256(contents[MANIFEST]).hexdigest()
    if contents[SEAL].split() != [digest.encode()]:
        raise BundleError(f"{path}: {MANIFEST} or {SEAL} was altered after export; export the bundle again")
    return Manifest.from_bytes(contents[MANIFEST], str(path)), digest


def free_place(destination: str | Path, as_zip: bool = False) -> Path:
    """Where a bundle can be written: nothing is there yet, or an empty folder, or an older bundle of the same kind.

    Args:
        as_zip: add ``.zip`` to a name that does not end so.

    Raises:
        BundleError: something else is there, which is never replaced, or nothing can be written there.
    """
    place = Path(destination)
    if place.name in ("", ".."):  # such as "." and "/", which have no name to put another beside
        place = place.resolve()
    if as_zip and place.name and place.suffix != ".zip":
        place = place.with_name(place.name + ".zip")
    try:
        if os.path.lexists(place) and not _replaceable(place):
            raise BundleError(f"{place} exists and is not a bundle; choose another --out")
        folder = next(f for f in place.absolute().parents if os.path.lexists(f))
    except OSError as error:
        raise BundleError(f"cannot write {place}: {error.strerror or error}") from error
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        raise BundleError(f"cannot write {place}: {folder} is no folder to write in; choose another --out")
    return place


def _replaceable(place: Path) -> bool:
    """Whether nothing is lost with it but a bundle, be that damaged: its seal holds and no file is another's."""
    if place.is_file() != (place.suffix == ".zip"):
        return False
    if place.is_dir() and not any(place.iterdir()):
        return True
    try:
        if place.is_file():
            contents = _zip_contents(place)
            names = set(contents)
            manifest, _ = _sealed(place, contents)
        else:
            manifest, _ = _sealed(place, {n: (place / n).read_bytes() for n in (MANIFEST, SEAL)})
            names = {f.relative_to(place).as_posix() for f in place.rglob("*") if f.is_symlink() or not f.is_dir()}
    except (BundleError, FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False
    return names <= {*manifest.files, MANIFEST, SEAL, SIGNATURE}


def write_bundle(destination: str | Path, manifest: Manifest, files: Mapping[str, bytes]) -> Path:
    """Write a bundle folder, or a .zip where `destination` ends so; whole or not at all.

    `manifest.files` is filled in here. An older bundle at that place is replaced; anything else there is left alone.

    Raises:
        BundleError: as `free_place`, or it cannot be written.
    """
    destination = free_place(destination)
    bundle = Bundle.assemble(manifest, files, destination)
    contents = {**files, MANIFEST: bundle.manifest.to_bytes(), SEAL: bundle.digest.encode() + b"\n"}
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        if destination.suffix == ".zip":
            _write_zip(destination, contents)
        else:
            _write_folder(destination, contents)
        sync_folder(destination.parent)
    except OSError as error:
        raise BundleError(f"cannot write {destination}: {error.strerror or error}") from error
    return destination


def read_contents(path: str | Path) -> dict[str, bytes]:
    """Every file of a bundle folder or .zip by its name, manifest, seal and signature included; not checked yet.

    Raises:
        BundleError: it is not there, cannot be read, or holds what no bundle holds.
    """
    path = Path(path)
    return _zip_contents(path) if path.is_file() else _folder_contents(path)


def write_signature(path: Path, signature: bytes) -> None:
    """Put a signature into a bundle folder or .zip, in place of an older one; whole or not at all.

    Raises:
        BundleError: it cannot be written.
    """
    try:
        if path.is_file():
            _write_zip(path, {**_zip_contents(path), SIGNATURE: signature})
            sync_folder(path.parent)
        else:
            with whole_file(path / SIGNATURE, beside=path.parent) as file:  # in the folder it would be a stray file
                file.write(signature)
            sync_folder(path)
    except OSError as error:
        raise BundleError(f"cannot write the signature of {path}: {error.strerror or error}") from error


def _write_folder(destination: Path, contents: Mapping[str, bytes]) -> None:
    """Written beside its place and renamed; an older folder is moved out of the way just before."""
    beside = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", dir=destination.parent))
    try:
        whole = beside / "bundle"
        for name, content in contents.items():
            path = whole / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "wb") as file:
                file.write(content)
                os.fsync(file.fileno())
        whole.chmod(0o755)
        sync_folder(whole)
        if destination.exists():
            os.rename(destination, beside / "old")
        os.replace(whole, destination)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write_zip(destination: Path, contents: Mapping[str, bytes]) -> None:
    with whole_file(destination) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(name)  # the zip epoch for a time: same contents, same bytes
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, contents[name], zipfile.ZIP_DEFLATED)


def _folder_contents(path: Path) -> dict[str, bytes]:
    if not path.exists():
        raise BundleError(f"{path} does not exist; make a bundle with: python -m edge.export --target openvino")
    contents: dict[str, bytes] = {}
    total = 0
    try:
        for file in sorted(path.rglob("*")):
            if file.is_symlink():
                raise BundleError(f"{path}: {file.relative_to(path)} is a link; a bundle holds plain files only")
            if file.is_dir():
                continue
            if not file.is_file():
                raise BundleError(f"{path}: {file.relative_to(path)} is not a plain file")
            total += file.stat().st_size
            if total > LARGEST_BYTES:
                raise BundleError(f"{path}: larger than {LARGEST_BYTES >> 20} MiB; it is not a bundle of this tool")
            contents[file.relative_to(path).as_posix()] = file.read_bytes()
    except OSError as error:
        raise BundleError(f"cannot read {error.filename or path}: {error.strerror or error}") from error
    return contents


def _zip_contents(path: Path) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if sum(entry.file_size for entry in entries) > LARGEST_BYTES:
                raise BundleError(f"{path}: larger than {LARGEST_BYTES >> 20} MiB unpacked; not a bundle of this tool")
            for entry in entries:
                if entry.filename in contents:
                    raise BundleError(f"{path}: {entry.filename} is there twice")
                try:
                    _safe_name(entry.filename)
                except ValueError as error:
                    raise BundleError(f"{path}: {error}") from None
                with archive.open(entry) as file:  # read one byte more than declared: a lying header is caught
                    content = file.read(entry.file_size + 1)
                if len(content) != entry.file_size:
                    raise BundleError(f"{path}: {entry.filename} was altered after export; copy the bundle again")
                contents[entry.filename] = content
    except BundleError:
        raise
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError) as error:
        raise BundleError(f"{path} is not a readable bundle .zip ({error}); copy or export it again") from error
    except Exception as error:  # zlib.error and its kin have no common base
        raise BundleError(f"{path} is damaged ({error}); copy or export it again") from error
    return contents


def _safe_name(name: str) -> None:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or len(name) > 200:
        raise ValueError(f"file name {name!r} is not allowed in a bundle")
