# Sourced by scripts/run, scripts/test and scripts/bench: makes .venv once and installs the pinned set into it.
# Quick when nothing changed: a stamp holds the digest of pyproject.toml, constraints.txt and the Python version.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="${FLYWHEEL_VENV:-$ROOT/.venv}"
PYTHONS="${FLYWHEEL_PYTHON:-python3.11 python3.12 python3.13 python3 python}"
SHOW_VERSION='import sys; print("%d.%d" % sys.version_info[:2])'
NEEDED_MIB="${FLYWHEEL_NEEDED_MIB:-4096}" # measured: 2.1 GB installed, as much again while pip unpacks

fail() {
    printf 'error: %s\n' "$1" >&2
    [ -n "${2:-}" ] && printf '  what to do: %s\n' "$2" >&2
    exit 1
}

find_python() {
    local candidate
    for candidate in $PYTHONS; do
        command -v "$candidate" >/dev/null 2>&1 || continue
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

free_mib() {
    df -Pm "$1" 2>/dev/null | awk 'NR == 2 { print $4 }'
}

explain_pip_failure() {
    local log="$1"
    tail -n 12 "$log" >&2
    if grep -qiE 'No space left on device|Errno 28|Disk quota exceeded' "$log"; then
        fail "the disk is full: the installation did not fit" \
            "free about $NEEDED_MIB MiB under $ROOT (or set FLYWHEEL_VENV to another disk) and run this again"
    fi
    if grep -qiE 'Connection (refused|reset|timed out)|NewConnectionError|Temporary failure in name resolution|Name or service not known|Max retries exceeded|ConnectTimeout|ProxyError|Network is unreachable|No matching distribution found|Could not find a version' "$log"; then
        fail "the Python package index is out of reach or lacks a pinned version" \
            "check the network, proxy and pip configuration (pip config list), then run this again"
    fi
    fail "installation failed; the whole log is in $log" "read its last lines above"
}

# What the environment depends on: this folder (the package is installed in place), the declared set, the Python version.
wanted_stamp() {
    printf '%s-%s' "$({ echo "$ROOT"; cat "$ROOT/pyproject.toml" "$ROOT/setup.py" "$ROOT/constraints.txt"; } | cksum | tr -d ' \n')" \
        "$("$1" -c "$SHOW_VERSION")"
}

prepare_environment() {
    local python stamp want log
    python="$(find_python)" || fail \
        "no Python 3.11, 3.12 or 3.13 among: $PYTHONS" \
        "install Python 3.11 or newer, or set FLYWHEEL_PYTHON to its path"
    stamp="$VENV/.installed"
    want="$(wanted_stamp "$python")"
    if [ -x "$VENV/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]; then
        return 0
    fi
    mkdir -p "$VENV" || fail "cannot write to $VENV" "check the permissions and the free space of that disk"
    exec 9>"$VENV.lock" || fail "cannot write beside $VENV" "check the permissions and the free space of that disk"
    if command -v flock >/dev/null 2>&1; then
        flock 9 # two commands started together: the second waits, then finds the stamp
        [ "$(cat "$stamp" 2>/dev/null)" = "$want" ] && { exec 9>&-; return 0; }
    fi
    if [ ! -d "$VENV/lib" ] && [ "$(free_mib "$VENV")" -lt "$NEEDED_MIB" ]; then
        fail "only $(free_mib "$VENV") MiB are free where $VENV would be; about $NEEDED_MIB MiB are needed" \
            "free some space, or set FLYWHEEL_VENV to a folder on another disk"
    fi
    echo "Setting up $VENV (once; about two minutes) ..." >&2
    rm -f "$stamp"
    # a virtual environment of another Python cannot be repaired in place
    local again=""
    [ -x "$VENV/bin/python" ] && [ "$("$VENV/bin/python" -c "$SHOW_VERSION" 2>/dev/null)" != "$("$python" -c "$SHOW_VERSION")" ] && again=--clear
    "$python" -m venv $again "$VENV" >&2 || fail "python -m venv failed" "install the venv module (Debian: apt-get install python3-venv)"
    log="$VENV/install.log"
    "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input --retries 2 \
        -c "$ROOT/constraints.txt" -e "$ROOT[test]" >"$log" 2>&1 || explain_pip_failure "$log"
    printf '%s' "$want" >"$stamp"
    exec 9>&-
}
