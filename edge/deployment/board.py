"""Run on the board by `edge.deploy`, with the board's own Python: is this bundle whole, signed, and right here?

    python -m edge.deployment.board BUNDLE DIGEST DEVICE [PUBLIC_KEY]

Prints one line of JSON; exit status 1 with the reason on standard error.
"""

from __future__ import annotations

import json
import sys

from edge import __version__, command
from edge.bundle import Bundle
from edge.errors import BundleError


def main(argv: list[str] | None = None) -> int:
    path, digest, device, *public_key = sys.argv[1:] if argv is None else argv
    if public_key:
        from edge.signing import require_signature

        bundle = require_signature(path, public_key[0])
    else:
        bundle = Bundle.read(path)
    if bundle.digest != digest:
        raise BundleError(f"what arrived is not what was sent (digest {bundle.digest[:12]}, not {digest[:12]})")
    from edge.dehazer import Dehazer

    with Dehazer(bundle, device) as dehazer:
        difference = dehazer.verify()
        print(json.dumps({"version": __version__, "device": dehazer.device, "precision": dehazer.precision,
                          "largest_difference": difference, "golden_frames": len(bundle.manifest.golden)}))  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(command.run(main))
