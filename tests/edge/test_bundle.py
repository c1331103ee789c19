"""A bundle is whole or refused: nothing that was cut, added, altered or forged gets through."""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.bundle import LARGEST_BYTES, MANIFEST, SEAL, SIGNATURE, Bundle, Manifest, free_place, write_bundle
from edge.errors import BundleError

FILES = {"model.bin": bytes(range(256)) * 8, "model.xml": b"<net/>", "golden/0-frame.png": b"\x89PNG not really"}


def manifest(**changes) -> Manifest:
    values = {
        "name": "test",
        "kind": "grid",
        "model": {"name": "test", "coefficients": "x"},
        "target": "onnx",
        "precision": "fp32",
        "input": {"width": 160, "height": 120},
        "outputs": (),
    }
    return Manifest(**(values | changes))


@pytest.fixture(params=["folder", "zip"])
def written(request, tmp_path) -> Path:
    return write_bundle(tmp_path / ("b.zip" if request.param == "zip" else "b"), manifest(), FILES)


def test_what_was_written_is_what_is_read(written):
    bundle = Bundle.read(written)
    assert bundle.files == FILES
    assert bundle.manifest.name == "test" and bundle.manifest.input == {"width": 160, "height": 120}
    assert {n: e["bytes"] for n, e in bundle.manifest.files.items()} == {n: len(c) for n, c in FILES.items()}
    assert all(e["sha256"] == hashlib.sha256(FILES[n]).hexdigest() for n, e in bundle.manifest.files.items())


def test_a_folder_and_a_zip_of_the_same_bundle_have_the_same_digest(tmp_path):
    folder = Bundle.read(write_bundle(tmp_path / "b", manifest(), FILES))
    packed = Bundle.read(write_bundle(tmp_path / "b.zip", manifest(), FILES))
    assert folder.digest == packed.digest == hashlib.sha256((tmp_path / "b" / MANIFEST).read_bytes()).hexdigest()


def test_the_same_bundle_gives_the_same_zip_bytes(tmp_path):
    one, other = (write_bundle(tmp_path / name, manifest(), FILES).read_bytes() for name in ("a.zip", "b.zip"))
    assert one == other


@pytest.mark.parametrize("name", [*FILES, MANIFEST, SEAL])
def test_every_byte_of_every_file_counts(tmp_path, name):
    path = write_bundle(tmp_path / "b", manifest(), FILES)
    content = (path / name).read_bytes()
    for place in sorted({0, len(content) // 3, len(content) // 2, len(content) - 2}):
        altered = bytearray(content)
        altered[place] ^= 0x01
        (path / name).write_bytes(altered)
        with pytest.raises(BundleError, match=name.rsplit(".", 1)[0].replace("manifest", "manifest\\.")):
            Bundle.read(path)
    (path / name).write_bytes(content)
    Bundle.read(path)


@pytest.mark.parametrize("name", [*FILES, MANIFEST, SEAL])
def test_a_missing_file_is_named(tmp_path, name):
    path = write_bundle(tmp_path / "b", manifest(), FILES)
    (path / name).unlink()
    with pytest.raises(BundleError, match=name):
        Bundle.read(path)


@pytest.mark.parametrize("name", ["extra.txt", "golden/extra.png", ".hidden"])
def test_an_added_file_is_named(tmp_path, name):
    path = write_bundle(tmp_path / "b", manifest(), FILES)
    (path / name).write_bytes(b"")
    with pytest.raises(BundleError, match=name):
        Bundle.read(path)


def test_a_signature_may_lie_beside_the_rest(tmp_path):
    path = write_bundle(tmp_path / "b", manifest(), FILES)
    digest = Bundle.read(path).digest
    (path / SIGNATURE).write_text("{}")
    assert Bundle.read(path).digest == digest


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_zip_with_any_bit_flipped_is_refused_or_still_the_same(tmp_path, data):
    """Some bits of a zip mean nothing (times, system); all others must be noticed, and never as a traceback."""
    path = tmp_path / "b.zip"
    if not path.exists():
        write_bundle(path, manifest(), FILES)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    broken = tmp_path / "broken.zip"
    broken.write_bytes(content)
    try:
        assert Bundle.read(broken).files == FILES
    except BundleError as error:
        assert "\n" not in str(error)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.integers(0, 4000))
def test_a_zip_that_was_cut_or_is_anything_else_is_refused(tmp_path, junk, cut):
    path = write_bundle(tmp_path / "b.zip", manifest(), FILES)
    content = path.read_bytes()
    path.write_bytes(content[: min(cut, len(content) - 1)] + junk)
    try:
        assert Bundle.read(path).files == FILES
    except BundleError as error:
        assert "\n" not in str(error)
    path.unlink()


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b", "a\\b"])
def test_names_that_lead_outside_are_refused(tmp_path, name):
    with pytest.raises(BundleError, match="not allowed"):
        write_bundle(tmp_path / "b", manifest(), {name: b""})
    path = write_bundle(tmp_path / "b.zip", manifest(), FILES)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"gotcha")
    with pytest.raises(BundleError, match=r"not allowed|added"):
        Bundle.read(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.zip"]


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = write_bundle(tmp_path / "b.zip", manifest(), FILES)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("bomb", "w") as bomb:
        for _ in range(LARGEST_BYTES // 2**24 + 1):
            bomb.write(bytes(2**24))
    start = time.perf_counter()
    with pytest.raises(BundleError, match="MiB"):
        Bundle.read(path)
    assert time.perf_counter() - start < 2


def test_a_file_that_is_there_twice_is_refused(tmp_path):
    path = write_bundle(tmp_path / "b.zip", manifest(), FILES)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("model.bin", FILES["model.bin"])
    with pytest.raises(BundleError, match="twice"):
        Bundle.read(path)


def test_links_are_refused(tmp_path):
    path = write_bundle(tmp_path / "b", manifest(), FILES)
    shutil.move(path / "model.xml", tmp_path / "elsewhere.xml")
    (path / "model.xml").symlink_to(tmp_path / "elsewhere.xml")
    with pytest.raises(BundleError, match=r"model\.xml is a link"):
        Bundle.read(path)


def test_a_place_without_a_bundle_says_how_to_make_one(tmp_path):
    with pytest.raises(BundleError, match=r"edge\.export"):
        Bundle.read(tmp_path / "nothing")


def sealed(tmp_path: Path, content: bytes) -> Path:
    """A forged bundle whose seal is right."""
    path = tmp_path / "forged"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    (path / MANIFEST).write_bytes(content)
    (path / SEAL).write_text(hashlib.sha256(content).hexdigest())
    return path


def test_a_manifest_of_a_newer_version_says_to_update(tmp_path):
    raw = json.loads(manifest().to_bytes()) | {"schema": 99}
    with pytest.raises(BundleError, match="newer version"):
        Bundle.read(sealed(tmp_path, json.dumps(raw).encode()))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(asdict(manifest()))), JSON)
def test_a_forged_manifest_never_ends_in_a_traceback(tmp_path, field, value):
    raw = json.loads(manifest().to_bytes()) | {field: value}
    path = sealed(tmp_path, json.dumps(raw).encode())
    try:
        Bundle.read(path)
    except BundleError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("kind", "blob", "kind is 'blob', not grid or frame"),
        ("input", {"width": "160", "height": 120}, "input.width is '160', not a whole number"),
        ("input", {"width": 160, "height": 0}, "input.height is 0, not 1 to 16384"),
        ("input", {"width": 160}, "input.height is missing"),
        ("model", {"coefficients": ["x"]}, "model.coefficients is ['x'], not text"),
        ("model", {"mirrored": "yes"}, "model.mirrored is 'yes', not true or false"),
        ("outputs", ["cell"], "outputs[0] is 'cell', not an object with keys"),
        ("golden", [{"frame": "a", "clear": "b", "tolerance": "x"}], "golden[0].tolerance is 'x', not a whole number"),
        ("golden", [{"frame": ["a"], "clear": "b", "tolerance": 1}], "golden[0].frame is ['a'], not text"),
        ("golden", [{"frame": "a", "clear": "b"}], "golden[0].tolerance is missing"),
        ("files", {"model.bin": {"bytes": 1}}, "files['model.bin'].sha256 is missing"),
        ("tools", {"numpy": [2, 0]}, "tools['numpy'] is [2, 0], not text"),
        ("accuracy", {"psnr_drop_db": "little"}, "accuracy.psnr_drop_db is 'little', not a number"),
    ],
)
def test_a_manifest_with_a_value_of_another_type_names_the_file_and_the_key(tmp_path, field, value, told):
    raw = json.loads(manifest().to_bytes()) | {field: value}
    path = sealed(tmp_path, json.dumps(raw).encode())

    with pytest.raises(BundleError) as error:
        Bundle.read(path)

    assert str(error.value) == f"{path}: {MANIFEST} is malformed ({told}); export the bundle again"


@pytest.mark.parametrize("value", ["NaN", "1e999", r'"\ud800"'])
def test_a_manifest_with_what_cannot_be_written_again_is_refused(tmp_path, value):
    content = manifest(notes={"share": 0.5}).to_bytes().replace(b"0.5", value.encode())
    with pytest.raises(BundleError, match=r"manifest\.json is not readable"):
        Bundle.read(sealed(tmp_path, content))


def test_a_note_of_another_type_names_the_file_and_the_key():
    bundle = Bundle.assemble(manifest(notes={"compiled": {"NPU.4000": ["npu.blob"]}}), FILES, "b")

    assert bundle.note("scales", tuple[float, ...], ()) == ()
    with pytest.raises(BundleError, match=r"^b: manifest\.json is malformed \(notes\.compiled\['NPU\.4000'\] is"):
        bundle.note("compiled", Mapping[str, str], {})


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"[" * 100_000, b"\xff\xfe", b'{"schema": "1"}'])
def test_a_manifest_that_is_not_json_is_refused(tmp_path, content):
    with pytest.raises(BundleError):
        Bundle.read(sealed(tmp_path, content))


def test_an_older_bundle_is_replaced_and_anything_else_left_alone(tmp_path):
    path = write_bundle(tmp_path / "b", manifest(), FILES)
    write_bundle(path, manifest(name="second"), {"model.xml": b"other"})
    assert Bundle.read(path).manifest.name == "second" and Bundle.read(path).files == {"model.xml": b"other"}

    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine.jpg").write_bytes(b"dear to me")
    with pytest.raises(BundleError, match="not a bundle"):
        write_bundle(tmp_path / "photos", manifest(), FILES)
    assert (tmp_path / "photos" / "mine.jpg").read_bytes() == b"dear to me"


def web_app(place):
    """A folder of the user's that happens to hold a manifest.json."""
    place.mkdir()
    (place / MANIFEST).write_text('{"name": "my web app"}')
    return place / MANIFEST


def bundle_with_notes(place):
    write_bundle(place, manifest(), FILES)
    (place / "golden" / "notes.txt").write_text("dear to me")
    return place / "golden" / "notes.txt"


def bundle_of_another_seal(place):
    write_bundle(place, manifest(), FILES)
    (place / SEAL).write_text("0" * 64)
    return place / SEAL


def plain_file(place):
    place.write_bytes(b"dear to me")
    return place


def photo_archive(place):
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("mine.jpg", b"dear to me")
    return place


def bundle_archive_with_notes(place):
    write_bundle(place, manifest(), FILES)
    with zipfile.ZipFile(place, "a") as archive:
        archive.writestr("notes.txt", b"dear to me")
    return place


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("b", web_app),
        ("b", bundle_with_notes),
        ("b", bundle_of_another_seal),
        ("b", plain_file),
        ("b.zip", plain_file),
        ("b.zip", photo_archive),
        ("b.zip", bundle_archive_with_notes),
        ("b.zip", web_app),
    ],
)
def test_what_is_not_a_bundle_alone_is_never_replaced(tmp_path, name, make):
    dear = make(tmp_path / name)
    before = dear.read_bytes()
    with pytest.raises(BundleError, match="exists and is not a bundle; choose another --out"):
        write_bundle(tmp_path / name, manifest(), FILES)
    assert dear.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_zip_is_replaced_by_another(tmp_path):
    path = write_bundle(tmp_path / "b.zip", manifest(), FILES)
    write_bundle(path, manifest(name="second"), FILES)
    assert Bundle.read(path).manifest.name == "second"


def test_a_damaged_bundle_is_replaced_as_its_message_asks_for(tmp_path):
    path = write_bundle(tmp_path / "b", manifest(), FILES)
    (path / "model.bin").write_bytes(b"cut")
    (path / "model.xml").unlink()
    (path / SIGNATURE).write_text("{}")
    write_bundle(path, manifest(), FILES)
    assert Bundle.read(path).files == FILES


@pytest.mark.parametrize(
    ("given", "as_zip", "place"), [(".", True, "up/here.zip"), ("..", True, "up.zip"), (".", False, "up/here")]
)
def test_a_place_given_by_dots_is_the_folder_they_mean(tmp_path, monkeypatch, given, as_zip, place):
    here = tmp_path / "up" / "here"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    assert free_place(given, as_zip) == tmp_path / place


def test_the_root_is_no_place_for_a_bundle():
    with pytest.raises(BundleError, match="not a bundle"):
        free_place("/", as_zip=True)


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BundleError, match="cannot write"):
        write_bundle(tmp_path / "file" / "b", manifest(), FILES)


WRITER = """
import sys
from edge.bundle import Manifest, free_place, write_bundle
m = Manifest("test", "grid", {}, "onnx", "fp32", {"width": 160, "height": 120}, ())
files = {f"part{i}.bin": bytes([i]) * 200_000 for i in range(20)}
print("ready", flush=True)
while True:
    write_bundle(sys.argv[1], m, files)
    print("written", flush=True)
"""


@pytest.mark.parametrize("name", ["b", "b.zip"])
def test_killed_at_any_moment_there_is_no_bundle_or_a_whole_one(tmp_path, name):
    rng, path, seen = random.Random(1), tmp_path / name, set()
    for number in range(12):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"ready\n"
        if number % 2:  # while an older bundle is being replaced
            assert process.stdout.readline() == b"written\n"
        time.sleep(rng.uniform(0, 0.25))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        seen.add(path.exists())
        if path.exists():
            assert len(Bundle.read(path).files) == 20
    assert True in seen
