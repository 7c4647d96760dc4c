#!/bin/sh
# Makes the virtual environment: setup.sh VENV LOCK. Every package comes with a hash; the project itself is built without isolation.
set -eu
venv=$1
lock=$2
python=${PYTHON:-python3}

fail() {
  echo "setup: $*" >&2
  exit 1
}

command -v "$python" >/dev/null || fail "no $python on PATH; install Python 3.11 or newer, or call make PYTHON=/path/to/python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "$("$python" --version) is too old; touchstream needs Python 3.11 or newer (make PYTHON=/path/to/python3)"

if [ ! -x "$venv/bin/pip" ]; then
  if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    # Debian and Ubuntu keep venv in a package of its own.
    as_root=""
    [ "$(id -u)" = 0 ] || as_root="sudo -n"
    echo "setup: installing the Debian package python3-venv"
    $as_root apt-get install -y -qq --no-install-recommends python3-venv >/dev/null ||
      fail "this Python cannot make virtual environments; install the package python3-venv"
  fi
  echo "setup: making the virtual environment $venv"
  "$python" -m venv "$venv"
fi

echo "setup: installing the locked packages of $lock (about a minute the first time)"
"$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r "$lock"
"$venv/bin/python" -c 'import setuptools, sys; sys.exit(int(setuptools.__version__.split(".")[0]) < 77)' 2>/dev/null ||
  "$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r deploy/build.lock
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
