"""Recorded outputs of boards that are not here. Each names where it was published; what is made up says so."""

import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.measure import energy, raspberry, sysfs, tegrastats

# github.com/leukipp/touchkio, issue 35: `sudo vcgencmd pmic_read_adc` of a Raspberry Pi 5, 2025-05-11.
PMIC = """\
 3V7_WL_SW_A current(0)=0.12199130A
   3V3_SYS_A current(1)=0.15224510A
   1V8_SYS_A current(2)=0.17273960A
  DDR_VDD2_A current(3)=0.11613570A
  DDR_VDDQ_A current(4)=0.02941200A
   1V1_SYS_A current(5)=0.21763240A
    0V8_SW_A current(6)=0.50748360A
  VDD_CORE_A current(7)=1.54489000A
   3V3_DAC_A current(17)=0.00000000A
   3V3_ADC_A current(18)=0.00018315A
   0V8_AON_A current(16)=0.00390720A
      HDMI_A current(22)=0.01709400A
 3V7_WL_SW_V volt(8)=3.60605200V
   3V3_SYS_V volt(9)=3.31931300V
   1V8_SYS_V volt(10)=1.79682400V
  DDR_VDD2_V volt(11)=1.10842400V
  DDR_VDDQ_V volt(12)=0.60549390V
   1V1_SYS_V volt(13)=1.10219700V
    0V8_SW_V volt(14)=0.80146440V
  VDD_CORE_V volt(15)=0.88725180V
   3V3_DAC_V volt(20)=3.31501500V
   3V3_ADC_V volt(21)=3.31684600V
   0V8_AON_V volt(19)=0.79882700V
      HDMI_V volt(23)=4.90440000V
     EXT5V_V volt(24)=4.87894000V
      BATT_V volt(25)=2.50512600V
"""

# github.com/henrygd/beszel, internal/agent/gpu_test.go: Jetson Orin Nano, 2025-06-18 and 2024-11-15.
ORIN_NANO = (
    "06-18-2025 11:25:24 RAM 3452/7620MB (lfb 25x4MB) SWAP 1518/16384MB (cached 174MB) CPU [1%@1420,2%@1420,0%@1420,"
    "2%@1420,2%@729,1%@729] GR3D_FREQ 0% cpu@50.031C soc2@49.031C soc0@50C gpu@49.031C tj@50.25C soc1@50.25C "
    "VDD_IN 4824mW/4824mW VDD_CPU_GPU_CV 518mW/518mW VDD_SOC 1475mW/1475mW"
)
ORIN_NANO_BUSY = (
    "11-15-2024 08:38:09 RAM 6185/7620MB (lfb 8x2MB) SWAP 851/3810MB (cached 1MB) CPU [15%@729,11%@729,14%@729,"
    "13%@729,11%@729,8%@729] EMC_FREQ 43%@2133 GR3D_FREQ 63%@[621] NVDEC off NVJPG off NVJPG1 off VIC off OFA off "
    "APE 200 cpu@53.968C soc2@52.437C soc0@50.75C gpu@53.343C tj@53.968C soc1@51.656C VDD_IN 12479mW/12479mW "
    "VDD_CPU_GPU_CV 4667mW/4667mW VDD_SOC 2817mW/2817mW"
)
# A Go exporter of tegrastats, TestParseTegraStatsXavierNXJetPack411 and TestParseTegraStatsXavierNanoJetPack461:
# older releases, which write no unit.
XAVIER_NX_OLD = (
    "RAM 5246/7771MB (lfb 7x4MB) SWAP 983/20269MB (cached 280MB) CPU [47%@1420,23%@1420,32%@1420,22%@1420,31%@1420,"
    "96%@1420] EMC_FREQ 2%@1600 GR3D_FREQ 0%@1109 APE 150 MTS fg 1% bg 9% AO@29C GPU@31.5C PMIC@100C AUX@30C "
    "CPU@33.5C thermal@31.35C VDD_IN 6140/5510 VDD_CPU_GPU_CV 2706/2119 VDD_SOC 1074/1051"
)
NANO_OLD = (
    "RAM 1923/3964MB (lfb 2x2MB) SWAP 191/1982MB (cached 6MB) IRAM 0/252kB(lfb 252kB) CPU [5%@1224,4%@1224,3%@1224,"
    "6%@1224] EMC_FREQ 0%@1600 GR3D_FREQ 0%@76 APE 25 PLL@37C CPU@40C PMIC@50C GPU@40C AO@45C thermal@40C "
    "POM_5V_IN 1750/1628 POM_5V_GPU 0/0 POM_5V_CPU 366/406"
)


def test_pi_5_power_is_the_sum_of_its_metered_rails():
    # by hand: amperes times volts of the twelve rails that have both; EXT5V and BATT have no current
    expected = (
        0.12199130 * 3.60605200 + 0.15224510 * 3.31931300 + 0.17273960 * 1.79682400 + 0.11613570 * 1.10842400
        + 0.02941200 * 0.60549390 + 0.21763240 * 1.10219700 + 0.50748360 * 0.80146440 + 1.54489000 * 0.88725180
        + 0.00018315 * 3.31684600 + 0.00390720 * 0.79882700 + 0.01709400 * 4.90440000
    )  # fmt: skip
    assert raspberry.parse_power(PMIC) == pytest.approx(expected, rel=1e-6)
    assert 3.4 < expected < 3.6


@pytest.mark.parametrize("text", ["", 'error=1 error_msg="Command not registered"', "EXT5V_V volt(24)=5.1V"])
def test_a_pi_without_metered_rails_has_no_power_rather_than_none(text):
    assert raspberry.parse_power(text) is None


@pytest.mark.parametrize(
    ("text", "now", "since_boot"),
    [
        # pastebin.com/xRpwmYYs: a Pi on a weak supply
        ("throttled=0x50005\n", ("under-voltage", "throttled"), ("under-voltage", "throttled")),
        ("throttled=0x0\n", (), ()),
        ("throttled=0xe0008", ("soft temperature limit",), ("frequency capped", "throttled", "soft temperature limit")),
    ],
)
def test_throttling_bits(text, now, since_boot):
    assert raspberry.parse_throttled(text) == raspberry.Throttled(now, since_boot)


@given(st.text(max_size=40))
def test_other_text_is_no_throttling(text):
    assert raspberry.parse_throttled("x" + text) is None


@pytest.mark.parametrize(
    ("line", "watts", "rail"),
    [
        (ORIN_NANO, 4.824, "VDD_IN"),
        (ORIN_NANO_BUSY, 12.479, "VDD_IN"),
        (XAVIER_NX_OLD, 6.140, "VDD_IN"),
        (NANO_OLD, 1.750, "POM_5V_IN"),
    ],
)
def test_jetson_lines(line, watts, rail):
    reading = tegrastats.parse(line)
    assert (reading.watts, reading.rail) == (watts, rail)
    assert not {"RAM", "SWAP", "IRAM"} & set(reading.rails_mw)


def test_jetson_without_an_input_rail_sums_its_rails():
    reading = tegrastats.parse("VDD_GPU_SOC 2171mW/2171mW VDD_CPU_CV 1240mW/1300mW VIN_SYS_5V0 3925mW/3925mW")
    assert reading.watts == pytest.approx(2.171 + 1.240 + 3.925)
    assert reading.rail.startswith("sum of VDD_GPU_SOC")


def test_a_line_that_says_nothing_has_no_power():
    assert tegrastats.parse("Cannot open /dev/nvhost").watts is None


# The layout is that of the Linux kernel documentation, power/powercap/powercap.rst: packages, and cores in them;
# the values are made up.
def rapl_tree(root, energies):
    for package, microjoules in enumerate(energies):
        domain = root / f"sys/class/powercap/intel-rapl:{package}"
        domain.mkdir(parents=True, exist_ok=True)
        (domain / "name").write_text(f"package-{package}\n")
        (domain / "max_energy_range_uj").write_text("262143328850\n")
        (domain / "energy_uj").write_text(f"{microjoules}\n")
        core = root / f"sys/class/powercap/intel-rapl:{package}:0"
        core.mkdir(parents=True, exist_ok=True)
        (core / "name").write_text("core\n")
        (core / "max_energy_range_uj").write_text("262143328850\n")
        (core / "energy_uj").write_text("18446744073\n")


def test_rapl_counts_packages_once_and_survives_the_counter_starting_again(tmp_path):
    rapl_tree(tmp_path, [262143328850 - 3_000_000, 5_000_000])
    meter, missing = energy.find_meter(tmp_path)
    assert meter is not None and missing == ""
    assert meter.source == "RAPL, package-0, package-1"
    meter.sample()
    assert meter.joules() is None, "one reading says nothing yet"
    rapl_tree(tmp_path, [4_000_000, 5_500_000])
    meter.sample()
    assert meter.joules() == pytest.approx(7.5, rel=1e-6)


def test_rapl_that_may_not_be_read_says_who_may(tmp_path, monkeypatch):
    rapl_tree(tmp_path, [1])
    monkeypatch.setattr(sysfs, "read_counter", lambda counter: None)
    meter, missing = energy.find_meter(tmp_path)
    assert meter is None
    assert "only root" in missing and "chmod" in missing


def test_ina3221_is_read_as_volts_times_amperes(tmp_path):
    # layout: NVIDIA Jetson Linux Developer Guide, Orin Nano: in1 is VDD_IN, millivolts and milliamperes; values made up
    chip = tmp_path / "sys/class/hwmon/hwmon3"
    chip.mkdir(parents=True)
    for name, value in {
        "name": "ina3221", "in1_label": "VDD_IN", "in1_input": "4992", "curr1_input": "984",
        "in2_label": "VDD_CPU_GPU_CV", "in2_input": "4984", "curr2_input": "104",
    }.items():  # fmt: skip
        (chip / name).write_text(value + "\n")
    watts, rail = sysfs.input_power_w(tmp_path)
    assert (watts, rail) == (pytest.approx(4.992 * 0.984), "VDD_IN")
    meter, _ = energy.find_meter(tmp_path)
    assert meter is not None and meter.source == "INA3221, VDD_IN"


def test_power_is_integrated_over_time():
    meter = energy.PowerMeter("test", lambda: None)
    for at_s, watts in [(0, 4.0), (1, 6.0), (1.5, None), (3, 6.0)]:
        meter.add(at_s, watts)
    assert meter.joules() == pytest.approx(5 + 12)


def test_tegrastats_beside_is_listened_to(tmp_path, monkeypatch):
    program = tmp_path / "tegrastats"
    program.write_text(f"#!/bin/sh\nfor i in 1 2 3; do echo '{ORIN_NANO}'; sleep 0.1; done; sleep 30\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    meter, _ = energy.find_meter(tmp_path)
    try:
        for _ in range(100):
            if (meter.joules() or 0) > 0.5:
                break
            subprocess.run(["sleep", "0.05"], check=True)
        assert meter.source == "tegrastats, VDD_IN"
        assert meter.joules() == pytest.approx(4.824 * 0.2, rel=0.5)
    finally:
        meter.close()


def test_a_machine_without_meters_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    meter, missing = energy.find_meter(tmp_path)
    assert meter is None and "no meter on this machine" in missing


def test_what_linux_says_of_a_raspberry_pi(tmp_path):
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    core = tmp_path / "sys/devices/system/cpu/cpu0/cpufreq"
    for folder in (zone, core):
        folder.mkdir(parents=True)
    (zone / "type").write_text("cpu-thermal\n")
    (zone / "temp").write_text("61350\n")
    (core / "scaling_cur_freq").write_text("2400000\n")
    (core / "scaling_governor").write_text("ondemand\n")
    assert sysfs.temperature_c(tmp_path) == 61.35
    assert sysfs.frequency_mhz(tmp_path) == 2400
    assert sysfs.governor(tmp_path) == "ondemand"
    assert sysfs.throttle_events(tmp_path) is None


def test_a_battery_is_not_the_processor(tmp_path):
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("BAT0\n")
    (zone / "temp").write_text("31000\n")
    assert sysfs.temperature_c(tmp_path) is None


def test_processor_time_of_others_and_of_the_host(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/stat").write_text("cpu  1000 20 300 90000 40 5 6 70 0 0\ncpu0 1 2 3\n")
    assert sysfs.processor_time(tmp_path) == sysfs.ProcessorTime(busy=13.31, stolen=0.7)
    (tmp_path / "proc/vmstat").write_text("nr_free_pages 5\npswpin 12\npswpout 30\n")
    assert sysfs.swapped_pages(tmp_path) == 42
