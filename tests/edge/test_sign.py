"""Signatures: what is not signed, signed by someone else, or altered since is refused, and told apart."""

import hashlib
import json
import shutil
import stat
import subprocess
import sys
import zipfile

import pytest

from edge import command, sign
from edge.bundle import MANIFEST, SEAL, SIGNATURE, Bundle, Manifest, write_bundle
from edge.errors import BundleError, EdgeError
from edge.signing import SignatureError, require_signature

pytest.importorskip("model_signing")


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Folder with the pairs mine and other."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("mine", "other"):
        assert command.run(sign.main, ["--new-key", str(folder / name)]) == 0
    return folder


@pytest.fixture(params=["folder", "zip"])
def bundle(request, tmp_path):
    """A small bundle, which need not run to be signed."""
    manifest = Manifest("tiny", "grid", {"name": "t"}, "onnx", "fp32", {"width": 4, "height": 3}, ())
    return write_bundle(tmp_path / ("b.zip" if request.param == "zip" else "b"), manifest, {
        "model.onnx": b"weights", "golden/0.png": b"png"})  # fmt: skip


def signed(bundle, keys, name="mine"):
    assert command.run(sign.main, [str(bundle), "--key", str(keys / f"{name}.key")]) == 0
    return bundle


def replace_file(bundle, name, content):
    """Write one file of a bundle anew, as someone with access to it could."""
    if bundle.suffix != ".zip":
        (bundle / name).write_bytes(content)
        return
    with zipfile.ZipFile(bundle) as archive:
        contents = {n: archive.read(n) for n in archive.namelist()}
    with zipfile.ZipFile(bundle, "w") as archive:
        for n, c in {**contents, name: content}.items():
            archive.writestr(n, c)


def test_a_signed_bundle_is_accepted_and_still_a_bundle(bundle, keys):
    before = Bundle.read(bundle)
    signed(bundle, keys)
    accepted = require_signature(bundle, keys / "mine.pub")
    assert (accepted.digest, accepted.files) == (before.digest, before.files)
    assert Bundle.read(bundle).digest == before.digest


def test_signing_again_with_another_key_replaces_the_signature(bundle, keys):
    signed(signed(bundle, keys, "other"), keys)
    require_signature(bundle, keys / "mine.pub")


def test_an_unsigned_bundle_is_refused_as_unsigned(bundle, keys):
    with pytest.raises(SignatureError, match=r"is not signed: python -m edge\.sign"):
        require_signature(bundle, keys / "mine.pub")


def test_a_bundle_signed_by_someone_else_is_refused_as_that(bundle, keys):
    with pytest.raises(SignatureError, match=r"not signed by the owner of .*mine\.pub"):
        require_signature(signed(bundle, keys, "other"), keys / "mine.pub")


def test_a_bundle_that_was_altered_and_sealed_again_is_refused_as_altered(bundle, keys):
    """Someone who knows the format can make the digests fit again; only the signature gives it away."""
    signed(bundle, keys)
    original = Bundle.read(bundle)
    forged = Bundle.assemble(original.manifest, {**original.files, "model.onnx": b"w3ights"})
    replace_file(bundle, "model.onnx", b"w3ights")
    replace_file(bundle, MANIFEST, forged.manifest.to_bytes())
    replace_file(bundle, SEAL, forged.digest.encode() + b"\n")
    assert Bundle.read(bundle).files["model.onnx"] == b"w3ights"
    with pytest.raises(SignatureError, match="altered after it was signed") as caught:
        require_signature(bundle, keys / "mine.pub")
    assert "model.onnx" in str(caught.value)


def test_a_plainly_altered_file_is_named_before_the_signature_is_looked_at(bundle, keys):
    signed(bundle, keys)
    replace_file(bundle, "model.onnx", b"w3ights")
    with pytest.raises(BundleError, match=r"model\.onnx was altered"):
        require_signature(bundle, keys / "mine.pub")


@pytest.mark.parametrize("content", [b"", b"not json", b"{}", b"[]", b'{"mediaType": "x", "verificationMaterial": {}}'])
def test_a_signature_file_that_is_none_is_refused(bundle, keys, content):
    replace_file(signed(bundle, keys), SIGNATURE, content)
    with pytest.raises(SignatureError, match="cannot be read as a signature"):
        require_signature(bundle, keys / "mine.pub")


def test_a_signature_whose_statement_was_changed_is_refused(bundle, keys):
    signed(bundle, keys)
    contents = bundle.read_bytes() if bundle.suffix == ".zip" else None
    raw = zipfile.ZipFile(bundle).read(SIGNATURE) if contents else (bundle / SIGNATURE).read_bytes()
    statement = json.loads(raw)
    payload = statement["dsseEnvelope"]["payload"]
    statement["dsseEnvelope"]["payload"] = payload[:-8] + ("A" if payload[-8] != "A" else "B") + payload[-7:]
    replace_file(bundle, SIGNATURE, json.dumps(statement).encode())
    with pytest.raises(SignatureError):
        require_signature(bundle, keys / "mine.pub")


def test_the_signature_of_another_bundle_does_not_do(bundle, keys, tmp_path):
    manifest = Manifest("other", "grid", {}, "onnx", "fp32", {"width": 4, "height": 3}, ())
    other = signed(write_bundle(tmp_path / "o", manifest, {"model.onnx": b"else"}), keys)
    replace_file(bundle, SIGNATURE, (other / SIGNATURE).read_bytes())
    with pytest.raises(SignatureError, match="altered after it was signed"):
        require_signature(bundle, keys / "mine.pub")


def test_the_secret_key_is_the_owners_alone_and_never_overwritten(keys, capsys):
    assert stat.S_IMODE((keys / "mine.key").stat().st_mode) == 0o600
    digest = hashlib.sha256((keys / "mine.key").read_bytes()).digest()
    assert command.run(sign.main, ["--new-key", str(keys / "mine")]) == 1
    assert "exists" in capsys.readouterr().err
    assert hashlib.sha256((keys / "mine.key").read_bytes()).digest() == digest


def test_a_key_with_a_password_needs_it(bundle, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DRACO_EDGE_KEY_PASSWORD", "correct horse")
    assert command.run(sign.main, ["--new-key", str(tmp_path / "locked")]) == 0
    assert command.run(sign.main, [str(bundle), "--key", str(tmp_path / "locked.key")]) == 0
    require_signature(bundle, tmp_path / "locked.pub")
    monkeypatch.delenv("DRACO_EDGE_KEY_PASSWORD")
    capsys.readouterr()
    assert command.run(sign.main, [str(bundle), "--key", str(tmp_path / "locked.key")]) == 1
    assert "DRACO_EDGE_KEY_PASSWORD" in capsys.readouterr().err


def test_keys_that_are_none_are_told_in_one_line(bundle, keys, tmp_path, capsys):
    (tmp_path / "text.pem").write_text("not a key")
    for arguments in (["--key", "missing.key"], ["--key", str(tmp_path / "text.pem")]):
        assert command.run(sign.main, [str(bundle), *arguments]) == 1
        assert capsys.readouterr().err.count("\n") == 1
    signed(bundle, keys)
    for key in ("missing.pub", str(tmp_path / "text.pem")):
        with pytest.raises(EdgeError, match=r"no public key|not an EC public key"):
            require_signature(bundle, key)


def test_an_openssl_key_signs_and_the_projects_own_tool_verifies(bundle, tmp_path):
    """model_signing's command line, not ours, checks a bundle that openssl's key signed."""
    if bundle.suffix == ".zip" or not shutil.which("openssl"):
        pytest.skip("needs a folder and the openssl program")
    key, public = tmp_path / "k.pem", tmp_path / "k.pub"
    run = lambda *words: subprocess.run(list(map(str, words)), check=True, capture_output=True)  # noqa: E731
    run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    run("openssl", "ec", "-in", key, "-pubout", "-out", public)
    assert command.run(sign.main, [str(bundle), "--key", str(key)]) == 0
    where = [bundle, "--signature", bundle / SIGNATURE, "--public_key", public, "--ignore-paths", bundle / SIGNATURE]
    run(sys.executable, "-m", "model_signing", "verify", "key", *where)


def test_verify_says_whose_it_is(bundle, keys, capsys):
    signed(bundle, keys)
    capsys.readouterr()
    assert command.run(sign.main, [str(bundle), "--verify", str(keys / "mine.pub")]) == 0
    out = capsys.readouterr()
    assert out.out.strip() == str(bundle) and "mine.pub" in out.err


def test_run_takes_only_a_bundle_that_the_key_signed(grid_bundle, keys, tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    import numpy as np

    from edge import run
    from edge.pictures import write_picture

    mine = tmp_path / "mine"
    shutil.copytree(grid_bundle, mine)
    write_picture(tmp_path / "hazy.png", np.full((20, 30, 3), 120, np.uint8))
    call = [str(mine), "--source", str(tmp_path / "hazy.png"), "--sink", str(tmp_path / "clear"),
            "--require-signature", str(keys / "mine.pub")]  # fmt: skip
    assert command.run(run.main, call) == 1
    assert "is not signed" in capsys.readouterr().err and not (tmp_path / "clear" / "hazy.png").exists()
    signed(mine, keys)
    assert command.run(run.main, call) == 0
    assert (tmp_path / "clear" / "hazy.png").exists()
