"""What can be proved of the targets without the boards: `make test-targets`, or `python -m tests.boards --help`.

Prints a line for each thing that was proved: compiler or runtime, its version, the model, the result. A proof that
cannot be set up has failed; only one that was named with --skip is left out.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Iterator

from tests.boards.ground import Bundles, ProofFailed, cache

PROOFS = {
    "pi": ("pi", "aarch64 userland of a Raspberry Pi under qemu: the bytes of x86"),
    "tensorrt": ("tensorrt", "TensorRT-RTX parses and builds the Jetson's ONNX files"),
    "npu": ("npu", "Intel's NPU compiler takes the OpenVINO model, for three generations"),
    "programs": ("programs", "edge.deploy against an SSH server, the unit before systemd, a GStreamer pipeline"),
    "camera": ("camera", "picamera2 and libcamera's virtual camera through edge.run"),
}


def main(argv: list[str] | None = None) -> int:
    p = argparse.ArgumentParser(
        prog="python -m tests.boards",
        description="Prove the targets against real compilers, userlands and camera libraries. Needs Debian 12 or what "
        f"apt-get calls the same there, and as root installs what is missing. Downloads are kept in {cache()}.",
        epilog="proofs:\n" + "\n".join(f"  {name:10} {about}" for name, (_, about) in PROOFS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("proofs", nargs="*", metavar="PROOF", help="only these (default: all)")
    p.add_argument("--skip", action="append", default=[], metavar="PROOF", help="leave one out; may be given again")
    p.add_argument("--model", default="edge", help="as --model of edge.export (default: edge)")
    p.add_argument("--setup-only", action="store_true", help="download and build what proofs stand on, prove nothing")
    options = p.parse_args(argv)
    if unknown := sorted({*options.proofs, *options.skip} - set(PROOFS)):
        p.error(f"there is no proof {unknown[0]!r}: choose from {', '.join(PROOFS)}")
    bundles = Bundles(options.model)
    failed, begin = 0, time.monotonic()
    try:
        for name in options.proofs or PROOFS:
            if name in options.skip:
                print(f"skip  {name}: left out by --skip", flush=True)
                continue
            start = time.monotonic()
            try:
                for line in _lines(name, bundles, options.setup_only):
                    print(f"ok    {name}: {line}", flush=True)
            except ProofFailed as error:
                failed += 1
                print(f"FAIL  {name}: {error}", flush=True)
            except Exception as error:  # the other proofs go on
                failed += 1
                print(f"FAIL  {name}: {type(error).__name__}: {error}", flush=True)
            print(f"      {name} took {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
        print(f"      all of it took {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
    finally:
        bundles.close()
    return 1 if failed else 0


def _lines(name: str, bundles: Bundles, setup_only: bool) -> Iterator[str]:
    module = importlib.import_module(f"tests.boards.{PROOFS[name][0]}")
    place = module.set_up()
    if not setup_only:
        yield from module.prove(place, bundles)


if __name__ == "__main__":
    sys.exit(main())
