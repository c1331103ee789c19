"""Bundles from hostile hands: the reader takes them or refuses them in one sentence, and writes nothing anywhere."""

import functools
import io
import json
import operator
import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.bundle import Bundle
from edge.errors import BundleError
from tests.edge.streams.standin import adding_bundle

EXAMPLES = int(os.environ.get("DRACO_EDGE_FUZZ_EXAMPLES", "60"))


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> bytes:
    return adding_bundle(tmp_path_factory.mktemp("sound") / "bundle.zip", 10).read_bytes()


def refused_or_read(path: Path) -> None:
    before = sorted(path.parent.rglob("*"))
    try:
        Bundle.read(path)
    except BundleError as error:
        assert "\n" not in str(error)
    assert sorted(path.parent.rglob("*")) == before


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_flipped_cut_and_spliced_zips(sound, tmp_path, data):
    content = bytearray(sound)
    for _ in range(data.draw(st.integers(0, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    start = data.draw(st.integers(0, len(content)))
    content[start : start + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=40))
    path = tmp_path / "bundle.zip"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    refused_or_read(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def places(value, way=()):
    """Where its values are, at any depth: the keys and numbers that lead there."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*way, key)
        if isinstance(inner, (dict, list)):
            yield from places(inner, (*way, key))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_manifests_that_are_sealed_but_absurd(sound, tmp_path, data):
    import hashlib

    with zipfile.ZipFile(io.BytesIO(sound)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(files["manifest.json"])
    for _ in range(data.draw(st.integers(0, 3))):
        *way, last = data.draw(st.sampled_from(list(places(manifest))))
        functools.reduce(operator.getitem, way, manifest)[last] = data.draw(JSON)
    files["manifest.json"] = json.dumps(manifest).encode()
    files["manifest.sha256"] = hashlib.sha256(files["manifest.json"]).hexdigest().encode()
    path = tmp_path / "bundle.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    refused_or_read(path)


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "a/../../evil", "a\\..\\evil", "x" * 300, "..", "golden/../../evil", "C:\\evil"]
)
def test_paths_that_lead_out_of_a_zip_are_refused(sound, tmp_path, name):
    path = tmp_path / "bundle.zip"
    path.write_bytes(sound)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"evil")
    with pytest.raises(BundleError):
        Bundle.read(path)
    refused_or_read(path)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(sound, tmp_path):
    path = tmp_path / "bundle.zip"
    path.write_bytes(sound)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("bomb.bin", "w") as bomb:
        for _ in range(600):
            bomb.write(bytes(2**20))
    assert path.stat().st_size < 2**21
    with pytest.raises(BundleError, match="larger than"):
        Bundle.read(path)


def test_links_pipes_and_devices_in_a_folder_are_refused(tmp_path):
    for make in (lambda p: p.symlink_to("/etc/passwd"), os.mkfifo):
        bundle = adding_bundle(tmp_path / f"bundle{make.__name__}", 1)
        make(bundle / "more.bin")
        with pytest.raises(BundleError, match=r"more\.bin"):
            Bundle.read(bundle)
