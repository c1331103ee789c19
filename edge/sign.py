"""`python -m edge.sign`: sign a bundle, so that boards can tell it from any other."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edge import command

EXAMPLES = """examples:
  python -m edge.sign --new-key fleet                     makes fleet.key (keep it secret) and fleet.pub
  python -m edge.sign my-bundle --key fleet.key           signs; a .zip as well
  python -m edge.sign my-bundle --verify fleet.pub        checks
  python -m edge.run my-bundle --require-signature fleet.pub --source ...
  python -m edge.deploy my-bundle pi@drone:~/bundles --require-signature fleet.pub

A key can also be made with: openssl ecparam -name prime256v1 -genkey -noout -out fleet.key
The password of a protected key is taken from the environment, DRACO_EDGE_KEY_PASSWORD.
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m edge.sign",
        description="Sign a bundle with an elliptic-curve key, by OpenSSF model-signing. Works offline.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("bundle", nargs="?", type=Path, metavar="BUNDLE", help="a bundle folder or .zip")
    what = p.add_mutually_exclusive_group(required=True)
    what.add_argument("--key", type=Path, metavar="KEY", help="the private key to sign with, a PEM file")
    what.add_argument("--verify", type=Path, metavar="PUBLIC_KEY", help="check the signature instead")
    what.add_argument("--new-key", type=Path, metavar="NAME", help="make NAME.key and NAME.pub instead")
    return p


def main(argv: list[str] | None = None) -> int:
    p = parser()
    args = p.parse_args(argv)
    if (args.bundle is None) != (args.new_key is not None):
        p.error("give a BUNDLE to sign or to verify" if args.bundle is None else "--new-key takes no BUNDLE")
    from edge import signing

    if args.new_key:
        private, public = signing.new_key(args.new_key)
        command.say(f"{private} signs and stays secret; {public} goes to the boards")
        print(public)
    elif args.verify:
        bundle = signing.require_signature(args.bundle, args.verify)
        command.say(f"{bundle.manifest.name}: signed by the owner of {args.verify}")
        print(args.bundle)
    else:
        print(signing.sign(args.bundle, args.key))
    return 0


if __name__ == "__main__":
    sys.exit(command.run(main))
