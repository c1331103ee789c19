"""What this machine can run, seen by running it, and the command that installs what is missing.

python -m edge.doctor            every runtime on every device, every way to a camera
python -m edge.doctor BUNDLE     also: the bundle's golden frames on each device of its target
python -m edge.doctor --json     the same for programs
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from edge import command
from edge.diagnosis import Finding
from edge.diagnosis.machine import Machine, this_machine
from edge.errors import EdgeError

SCHEMA = 1
SECTIONS = {"bundle": "Bundles", "runtime": "Runtimes", "camera": "Cameras"}


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m edge.doctor",
        description="Tell what this machine can run and how to install what is missing. Each runtime is tried with a "
        "tiny model in a process of its own, so that a broken driver cannot take this command down.",
        epilog="examples:\n"
        "  python -m edge.doctor\n"
        "  python -m edge.doctor my-bundle        # are its answers here those of the machine that made it?\n"
        "  python -m edge.doctor --json | jq '.findings[] | select(.usable)'\n\n"
        "exit status: 0 looked; 1 a bundle that was named runs on no device of this machine",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("bundle", nargs="*", metavar="BUNDLE", help="also replay this bundle's golden frames")
    p.add_argument("--json", action="store_true", help="print JSON")
    return p


def main(argv: list[str] | None = None) -> int:
    options = parser().parse_args(argv)
    machine = this_machine()
    findings: list[Finding] = []
    for finding in command.progress(examine(machine, options.bundle), None, "looking"):
        findings.append(finding)
    if options.json:
        report = {"schema": SCHEMA, "machine": asdict(machine), "findings": [asdict(f) for f in findings]}
        print(json.dumps(report, indent=2))
    else:
        print(as_text(machine, findings, sys.stdout.isatty()))
    for path in options.bundle:
        mine = [f for f in findings if f.part == "bundle" and f.name == path]
        if not any(f.usable for f in mine):
            raise EdgeError(f"{path} does not run here: {mine[0].detail}")
    return 0


def examine(machine: Machine, bundles: list[str]) -> Iterator[Finding]:
    """Look at everything, one finding after the other, bundles first."""
    from edge.diagnosis.cameras import cameras
    from edge.diagnosis.runtimes import runtimes

    for path in bundles:
        yield from bundle_findings(path)
    yield from runtimes(machine)
    yield from cameras(machine)


def bundle_findings(path: str) -> Iterator[Finding]:
    """The bundle's golden frames on each device that its target has here.

    Raises:
        BundleError: it is missing or damaged.
    """
    import targets
    from edge.bundle import Bundle
    from edge.diagnosis.ask import ask

    manifest = Bundle.read(path).manifest
    check = targets.load(manifest.target).check()
    what = f"{manifest.target} {manifest.precision}"
    if not check.runs or not check.devices:
        detail = f"the runtime of its target {manifest.target} is not installed"
        yield Finding("bundle", path, "", False, False, what, detail, "; ".join(check.missing))
        return
    for device in check.devices:
        answer = ask("bundle", str(Path(path).absolute()), device.name)
        detail = answer.get("error") or answer["detail"]
        yield Finding("bundle", path, device.name, True, bool(answer.get("usable")), what, detail)


def as_text(machine: Machine, findings: list[Finding], colour: bool = False) -> str:
    """The findings for people: a line each, with what to do below those that are not usable."""
    marks = {"ready": "\033[32mready  \033[0m", "broken": "\033[31mbroken \033[0m", "absent": "absent "}
    board = f"{machine.board}, {machine.processor}" if machine.board != "unknown" else machine.processor
    lines = [f"{board}, {machine.architecture}; {machine.system}; Python {machine.python}"]
    for part, title in SECTIONS.items():
        here = [f for f in findings if f.part == part]
        if here:
            lines += ["", title]
        width = max((len(_label(f)) for f in here), default=0)
        for f in here:
            state = "ready" if f.usable else "broken" if f.found else "absent"
            mark = marks[state] if colour else f"{state:7}"
            lines.append(f"  {mark} {_label(f):{width}}  {f.detail}")
            if f.remedy:
                lines.append(f"          {'':{width}}  -> {f.remedy}")
    return "\n".join(lines)


def _label(finding: Finding) -> str:
    return " ".join(part for part in (finding.name, finding.version, finding.device) if part)


if __name__ == "__main__":
    sys.exit(command.run(main))
