"""What Linux itself says under /sys and /proc: temperature, clock, throttling, energy counters, load.

Every function takes the root of the file system, so that recorded trees can be read, and gives None or nothing
where the kernel does not tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
# Sensors of the processor by the names that kernels give them; others (battery, disk, Wi-Fi) say nothing of it.
PROCESSOR_ZONES = ("x86_pkg_temp", "cpu", "soc", "tj", "gpu", "coretemp", "k10temp", "acpitz")
PROCESSOR_HWMON = ("coretemp", "k10temp", "zenpower", "cpu_thermal")


@dataclass(frozen=True)
class EnergyCounter:
    """A RAPL counter: microjoules, which start again from 0 after `wraps_at`."""

    name: str
    path: Path
    wraps_at: int


@dataclass(frozen=True)
class ProcessorTime:
    """Seconds of processor time since boot, of all processors together."""

    busy: float
    stolen: float


def temperature_c(root: Path = ROOT) -> float | None:
    """The hottest of the processor's sensors, degrees Celsius."""
    found = []
    for zone in root.glob("sys/class/thermal/thermal_zone*"):
        if text(zone / "type").lower().startswith(PROCESSOR_ZONES):
            found.append(_milli(zone / "temp"))
    for chip in root.glob("sys/class/hwmon/hwmon*"):
        if text(chip / "name") in PROCESSOR_HWMON:
            found += [_milli(path) for path in chip.glob("temp*_input")]
    return max((t for t in found if t is not None and -50 < t < 150), default=None)


def frequency_mhz(root: Path = ROOT) -> float | None:
    """The highest clock that any core has now."""
    clocks = [_integer(p) for p in root.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq")]
    return max((c / 1000 for c in clocks if c), default=None)


def governor(root: Path = ROOT) -> str | None:
    """Who chooses the clock: ``performance``, ``schedutil``, ..."""
    names = {text(p) for p in root.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor")} - {""}
    return ", ".join(sorted(names)) or None


def throttle_events(root: Path = ROOT) -> int | None:
    """How often heat or current has slowed the processor since boot; only its growth during a run counts."""
    patterns = (
        "sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/*_throttle_count",  # Intel
        "sys/class/hwmon/hwmon*/oc*_event_cnt",  # Jetson: over-current
    )
    counts = [_integer(path) for pattern in patterns for path in root.glob(pattern)]
    known = [c for c in counts if c is not None]
    return sum(known) if known else None


def energy_counters(root: Path = ROOT) -> list[EnergyCounter]:
    """RAPL's counters of whole processor packages (Linux kernel documentation, power/powercap)."""
    found = []
    for domain in sorted(root.glob("sys/class/powercap/intel-rapl:[0-9]*")):
        name, wraps_at = text(domain / "name"), _integer(domain / "max_energy_range_uj")
        if name.startswith("package") and wraps_at:
            found.append(EnergyCounter(name, domain / "energy_uj", wraps_at))
    return found


def read_counter(counter: EnergyCounter) -> int | None:
    """Microjoules; None where it may not be read (since 2020 kernels let only root read it)."""
    return _integer(counter.path)


def input_power_w(root: Path = ROOT) -> tuple[float, str] | None:
    """Watts at a Jetson's input by its INA3221, and the rail's name."""
    for chip in root.glob("sys/class/hwmon/hwmon*"):
        if text(chip / "name") != "ina3221":
            continue
        for label in chip.glob("in*_label"):
            number = label.name.removeprefix("in").removesuffix("_label")
            rail = text(label)
            volts, amperes = _milli(chip / f"in{number}_input"), _milli(chip / f"curr{number}_input")
            if rail in ("VDD_IN", "POM_5V_IN") and volts is not None and amperes is not None:
                return volts * amperes, rail
    return None


def processor_time(root: Path = ROOT, ticks_per_second: int = 100) -> ProcessorTime | None:
    """From the first line of /proc/stat: user nice system idle iowait irq softirq steal."""
    words = text(root / "proc/stat").partition("\n")[0].split()
    if len(words) < 9 or words[0] != "cpu":
        return None
    user, nice, system, _, _, irq, softirq, steal = (int(w) / ticks_per_second for w in words[1:9])
    return ProcessorTime(busy=user + nice + system + irq + softirq, stolen=steal)


def swapped_pages(root: Path = ROOT) -> int | None:
    """Pages swapped in and out since boot."""
    values = dict(line.split()[:2] for line in text(root / "proc/vmstat").splitlines() if len(line.split()) >= 2)
    if "pswpin" not in values:
        return None
    return int(values["pswpin"]) + int(values.get("pswpout", 0))


def resident_mb(root: Path = ROOT) -> float | None:
    """Memory that this process holds now."""
    return _status_mb("VmRSS", root)


def peak_resident_mb(root: Path = ROOT) -> float | None:
    """The most that this process has held since it started, or since `forget_peak`."""
    return _status_mb("VmHWM", root)


def forget_peak() -> bool:
    """Start the peak anew; False where the kernel does not offer that."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def text(path: Path) -> str:
    """A file's text without the line end; empty where it cannot be read."""
    try:
        return path.read_text(errors="replace").strip("\0\n ")
    except OSError:
        return ""


def _status_mb(field: str, root: Path) -> float | None:
    for line in text(root / "proc/self/status").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    return None


def _integer(path: Path) -> int | None:
    try:
        return int(text(path))
    except ValueError:
        return None


def _milli(path: Path) -> float | None:
    value = _integer(path)
    return None if value is None else value / 1000
