"""What runs on the board, as POSIX shell: a board needs sh, coreutils, tar, and the project's own Python.

Every step can be cut: the live release is changed by one rename of a link, and only after all else is on the disk.
"""

# $1 folder, $2 the Python to use or nothing, $3 target. Prints the Python that has the project.
FIND_PYTHON = """
case $1 in "~"|"~/"*) set -- "$HOME${1#"~"}" "$2" "$3";; esac
for python in "$2" "$1/venv/bin/python" "$HOME/draco/bin/python" python3; do
    if test -n "$python" && (cd / && "$python" -c 'import edge.deployment') 2>/dev/null; then
        command -v "$python"
        exit 0
    fi
    if test -n "$python" && test "$python" = "$2"; then
        echo "$python cannot import the project there: $("$python" -c 'import edge.deployment' 2>&1 | tail -n 1)" >&2
        exit 1
    fi
done
echo "draco-edge is not installed there: bring the clone to ~/draco-edge (docs/choosing.md, Install), then there \
python3 -m venv --system-site-packages ~/draco && ~/draco/bin/pip install ~/draco-edge'[$3]'; or name its Python with \
--python" >&2
exit 1
"""

# $1 Python, $2 and further: arguments of edge.run. Ends well where the edge.run there takes them.
TAKES = """
cd /
python=$1
shift
said=$("$python" -c 'import sys; from edge.run import parser; parser().parse_args(sys.argv[1:])' BUNDLE "$@" 2>&1) || {
    echo "the draco-edge there does not take what --service says: $(printf '%s\\n' "$said" | tail -n 1)" >&2
    exit 1
}
"""

# $1 folder; a tar archive on standard input. Prints the folder that the bundle was unpacked to.
RECEIVE = """
case $1 in "~"|"~/"*) set -- "$HOME${1#"~"}";; esac
mkdir -p "$1/releases"
cd "$1"
# Left by calls that were cut; younger ones may be another call's that is still at work.
find . -maxdepth 1 '(' -name '.incoming.*' -o -name '.current.*' ')' -mmin +60 -exec rm -rf {} +
incoming=$(mktemp -d "$(pwd)/.incoming.XXXXXX")
trap 'test $? = 0 || rm -rf "$incoming"' EXIT
tar -xf - -C "$incoming"
test -f "$incoming/bundle/manifest.sha256" || { echo "the bundle did not arrive whole" >&2; exit 1; }
chmod 755 "$incoming"
echo "$incoming"
"""

# $1 incoming folder, $2 Python, $3 digest, $4 device, $5 "signed" or nothing.
CHECK = """
cd /
set -- "$@" ""
if test "$5" = signed; then
    exec "$2" -m edge.deployment.board "$1/bundle" "$3" "$4" "$1/public.pem"
fi
exec "$2" -m edge.deployment.board "$1/bundle" "$3" "$4"
"""

# $1 incoming folder: throw it away; out of sight first, should the step that makes it live still be running.
DISCARD = 'mv -T "$1" "$1.gone" && rm -rf "$1.gone"'

# $1 incoming folder, $2 digest, $3 how many releases to keep. Prints the new release's name.
ACTIVATE = """
folder=$(dirname "$1")
cd "$folder"
newest=$(ls releases | sed -n 's/^0*\\([0-9][0-9]*\\)-.*/\\1/p' | sort -n | tail -n 1)
name=$(printf '%06d-%.12s' "$((${newest:-0} + 1))" "$2")
sync
mv -T "$1/bundle" "releases/$name"
rmdir "$1" 2>/dev/null || rm -rf "$1"
sync
ln -sfn "releases/$name" ".current.$$"
mv -T ".current.$$" current
sync
live=$(readlink current)
ls -r releases | tail -n "+$(($3 + 1))" | while read -r old; do
    test "releases/$old" = "$live" && continue
    mv -T "releases/$old" ".incoming.old.$$" # out of sight at once, then gone
    rm -rf ".incoming.old.$$"
done
echo "$name"
"""

# $1 folder. Prints the release that is live now: the one before the live one.
ROLL_BACK = """
case $1 in "~"|"~/"*) set -- "$HOME${1#"~"}";; esac
test -L "$1/current" || { echo "$1 holds no release; deploy one first" >&2; exit 1; }
cd "$1"
live=$(basename "$(readlink current)")
before=$(ls releases | LC_ALL=C sort | awk -v live="$live" '$0 < live' | tail -n 1)
test -n "$before" || { echo "there is no release before $live to go back to" >&2; exit 1; }
ln -sfn "releases/$before" ".current.$$"
mv -T ".current.$$" current
sync
echo "$before"
"""

# $1 service. Lets the service open the new bundle, if it runs; says what it did.
RELOAD = """
command -v systemctl >/dev/null 2>&1 || exit 0
systemctl is-active --quiet "$1" 2>/dev/null || exit 0
if systemctl reload "$1" 2>/dev/null || sudo -n systemctl reload "$1" 2>/dev/null; then
    echo "the service $1 opened it"
else
    echo "the service $1 still runs the old one: sudo systemctl reload $1"
fi
"""

# $1 absolute folder, $2 service, $3 what root runs to install it; the unit on standard input. Prints what was done, or
# what root has to do.
INSTALL_SERVICE = """
cat >"$1/$2.service.part"
mv "$1/$2.service.part" "$1/$2.service"
if test "$(id -u)" = 0 && test -d /run/systemd/system; then
    sh -c "$3" >&2
    echo "the service $2 runs, and starts with the board"
elif test -d /run/systemd/system && sudo -n true 2>/dev/null; then
    sudo -n sh -c "$3" >&2
    echo "the service $2 runs, and starts with the board"
else
    echo "as root on the board: $3"
fi
"""

# $1 folder. Prints its absolute path, and the user's name.
ABSOLUTE = """
case $1 in "~"|"~/"*) set -- "$HOME${1#"~"}";; esac
mkdir -p "$1"
cd "$1"
pwd
id -un
"""
