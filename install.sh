#!/bin/sh
# Make .venv with a Python that fits, and install a requirements file and this project into it.
#
#   sh install.sh                                         requirements.txt, the first Python that fits
#   PYTHON=python3.12 sh install.sh requirements-test.txt another file, this Python
#
# Does nothing when that is installed already. A .venv that cannot be used is made again.
set -eu
cd "$(dirname "$0")"
LEVELS="requirements.txt requirements-test.txt requirements-benchmarks.txt" # each has those before it
file=${1:-requirements.txt}

fail() {
    echo "error: $*" >&2
    exit 2
}

version() { # of a Python; nothing when it does not run
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true
}

fits() {
    case $(version "$1") in 3.11 | 3.12 | 3.13) ;; *) return 1 ;; esac
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"; else set -- python3.13 python3.12 python3.11 python3; fi
    for name in "$@"; do
        fits "$name" || continue
        # Debian has these two in a package of their own
        "$name" -c 'import ensurepip, venv' 2>/dev/null && python=$name && return
        unable=$name
    done
    [ -z "${unable:-}" ] || fail "$unable has no venv module: install it" \
        "(Debian and Ubuntu: apt install python$(version "$unable")-venv)"
    have="no Python 3.11, 3.12 or 3.13 is here"
    [ -z "${PYTHON:-}" ] || have="$PYTHON is not Python 3.11, 3.12 or 3.13"
    fail "$have: install one (python.org, apt, brew), or name it (make PYTHON=python3.12 ...)"
}

usable() { # whether .venv works, was made here, and is of the Python that was asked for
    # without one of these, its python could be a link to the machine's own
    [ -e .venv/pyvenv.cfg ] || [ -d .venv/conda-meta ] || return 1
    fits .venv/bin/python && .venv/bin/python -c 'import pip' 2>/dev/null || return 1
    [ -z "${PYTHON:-}" ] || [ "$(version "$PYTHON")" = "$(version .venv/bin/python)" ] || return 1
    [ ! -e .venv/installed-requirements.txt ] ||
        [ "$(head -n 1 .venv/installed-requirements.txt)" = "$(pwd -P)" ]
}

state() { # what decides whether a requirements file has to be installed again
    pwd -P
    cat "$1" pyproject.toml packages/*/pyproject.toml
}

install() {
    python=.venv/bin/python
    $python -m pip install --quiet --disable-pip-version-check -r requirements-install.txt &&
        $python -m uv --quiet pip sync --python $python "$file" &&
        $python -m uv --quiet pip install --python $python --no-deps \
            --editable packages/hopsworks-local --editable .
}

with_dots() { # in the foreground, so that Ctrl-C stops it
    while kill -0 $$ 2>/dev/null; do
        printf .
        sleep 1
    done &
    "$@" && status=0 || status=$?
    { kill $! && wait $!; } 2>/dev/null || true
    echo
    return $status
}

if ! usable; then
    find_python
    if [ -e .venv ] || [ -L .venv ]; then
        echo "this .venv cannot be used: making it again"
        rm -rf .venv
    fi
    "$python" -m venv .venv || fail "$python could not make .venv (see above)"
fi
[ "$(state "$file")" != "$(cat ".venv/installed-$file" 2>/dev/null)" ] || exit 0

printf '%s' "installing $file into .venv, with Python $(version .venv/bin/python) "
rm -f .venv/installed-*
with_dots install || fail "the installation failed (see above): run the same again"
case " $LEVELS " in *" $file "*) ;; *) LEVELS=$file ;; esac
for level in $LEVELS; do
    state "$level" >".venv/installed-$level"
    [ "$level" != "$file" ] || break
done
