"""Signatures of bundles, by OpenSSF model-signing with an elliptic-curve key; nothing here goes to the network.

The signature covers every file of the bundle but itself. It lies in the bundle as `signature.json`, in the Sigstore
bundle format, so that `model_signing verify key` of that project checks it as well.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from edge import command
from edge.bundle import SIGNATURE, Bundle, read_contents, write_signature
from edge.errors import BundleError, EdgeError

PASSWORD_VARIABLE = "DRACO_EDGE_KEY_PASSWORD"


class SignatureError(BundleError):
    """A bundle that is not signed, not by this key, or not as it was when it was signed."""


def sign(path: str | Path, private_key: str | Path) -> Path:
    """Sign a bundle folder or .zip; an older signature is replaced.

    Args:
        private_key: a PEM file with a key on P-256, P-384 or P-521; its password, if it has one, comes from the
            environment.

    Returns:
        The bundle's path.

    Raises:
        BundleError: the bundle is damaged or cannot be written.
        EdgeError: the key cannot be used.
        MissingPackage: model-signing is not installed.
    """
    signing = _library("signing")
    path = Path(path)
    contents = read_contents(path)
    Bundle.checked(path, contents)
    contents.pop(SIGNATURE, None)
    password = os.environ.get(PASSWORD_VARIABLE)
    try:
        signer = signing.Config().use_elliptic_key_signer(
            private_key=str(private_key), password=password.encode() if password else None
        )
    except FileNotFoundError:
        raise EdgeError(f"there is no key {private_key}; make one with: python -m edge.sign --new-key NAME") from None
    except Exception as error:  # the cryptography library has no common base for what may be wrong with a key
        raise EdgeError(
            f"{private_key} is not a private key that can sign ({_reason(error)}): an EC key on P-256, P-384 or P-521 "
            f"is needed, its password in {PASSWORD_VARIABLE}"
        ) from error
    with tempfile.TemporaryDirectory() as folder:
        laid_out = _lay_out(contents, Path(folder))
        signer.sign(laid_out, Path(folder, SIGNATURE))
        write_signature(path, Path(folder, SIGNATURE).read_bytes())
    return path


def require_signature(path: str | Path, public_key: str | Path) -> Bundle:
    """Read a bundle and accept it only if the owner of `public_key` signed exactly this.

    The bundle is read once; what is checked here is what the returned object holds.

    Raises:
        SignatureError: it is not signed, signed with another key, or altered after it was signed; the message says
            which.
        BundleError: it is damaged.
        EdgeError: the key cannot be read.
        MissingPackage: model-signing is not installed.
    """
    path = Path(path)
    contents = read_contents(path)
    bundle = Bundle.checked(path, contents)
    signature = contents.pop(SIGNATURE, None)
    if signature is None:
        raise SignatureError(f"{path} is not signed: python -m edge.sign {path} --key KEY signs it")
    verifying = _library("verifying")
    try:
        verifier = verifying.Config().use_elliptic_key_verifier(public_key=str(public_key))
    except FileNotFoundError:
        raise EdgeError(f"there is no public key {public_key}") from None
    except Exception as error:  # as above
        raise EdgeError(f"{public_key} is not an EC public key in PEM form ({_reason(error)})") from error
    with tempfile.TemporaryDirectory() as folder:
        laid_out = _lay_out(contents, Path(folder))
        place = Path(folder, SIGNATURE)
        place.write_bytes(signature)
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # it warns there of signatures by old versions
                verifier.verify(laid_out, place)
        except Exception as error:  # what it raises depends on where in the signature the fault lies
            raise SignatureError(_explained(path, public_key, error)) from error
    return bundle


def new_key(name: str | Path) -> tuple[Path, Path]:
    """Make a key pair on P-256: NAME.key, readable by its owner only, and NAME.pub.

    Raises:
        EdgeError: one of the two exists, or cannot be written.
    """
    _library("signing")  # brings cryptography
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private, public = Path(f"{name}.key"), Path(f"{name}.pub")
    if taken := [place for place in (private, public) if place.exists()]:
        raise EdgeError(f"{taken[0]} exists; choose another name")
    key = ec.generate_private_key(ec.SECP256R1())
    password = os.environ.get(PASSWORD_VARIABLE)
    protection = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, protection)
    shown = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    try:
        for place, content, mode in ((private, secret, 0o600), (public, shown, 0o644)):
            with open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(content)
    except OSError as error:
        raise EdgeError(f"cannot write {error.filename}: {error.strerror}") from error
    return private, public


def _library(module: str) -> Any:
    return command.require(f"model_signing.{module}", "sign")


def _lay_out(contents: dict[str, bytes], folder: Path) -> Path:
    """The bundle's files as a folder: the library hashes folders, and reads them after we did."""
    place = folder / "bundle"
    for name, content in contents.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    return place


def _explained(path: Path, public_key: str | Path, error: Exception) -> str:
    reason = _reason(error)
    if reason.startswith("Signature mismatch"):
        named = re.findall(r"Hash mismatch for '([^']+)'", reason)
        named += re.findall(r"(?:Extra|Missing) files (?:found )?in model '[^']*': ([^\"\]]+)", reason)
        return f"{path} was altered after it was signed: {', '.join(sorted(named))}"
    if reason.startswith("Key mismatch") or type(error).__name__ == "InvalidSignature":
        return f"{path} is not signed by the owner of {public_key}: take a bundle from a source that you trust"
    return f"{path}: its {SIGNATURE} cannot be read as a signature ({reason[:200]}); sign the bundle again"


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
