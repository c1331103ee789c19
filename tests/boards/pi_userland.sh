#!/usr/bin/env bash
# pi_userland.sh DIR MIRROR PACKAGE...: an aarch64 Debian 12 userland of these packages in DIR, for qemu-user. No root
# file system and no chroot: packages are unpacked, nothing of them is configured or run.
set -eu
dir=$(cd "$1" && pwd)
mirror=$2
shift 2
mkdir -p "$dir"/apt/lists/partial "$dir"/apt/archives/partial "$dir"/debs "$dir"/sys/proc
: >"$dir/apt/status"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [arch=arm64 signed-by=$keys] $mirror bookworm main" >"$dir/apt/sources.list"
arm64=(apt-get -q -o Acquire::Retries=3 -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root
    -o Dir::Etc::SourceList="$dir/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::State="$dir/apt" -o Dir::State::Lists="$dir/apt/lists" -o Dir::State::status="$dir/apt/status"
    -o Dir::Cache="$dir/apt" -o Dir::Cache::archives="$dir/apt/archives")
"${arm64[@]}" update
(cd "$dir/debs" && "${arm64[@]}" download "$@")
for deb in "$dir"/debs/*.deb; do dpkg -x "$deb" "$dir/sys"; done
rm -rf "$dir/debs" "$dir/apt"
# LiteRT asks the processor what it is, and crashes where /proc/cpuinfo does not answer like an ARM's.
for core in 0 1 2 3; do
    printf 'processor\t: %d\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU implementer\t: 0x41\n' "$core"
    printf 'CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n\n'
done >"$dir/sys/proc/cpuinfo"
