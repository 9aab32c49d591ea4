# shellcheck shell=bash
# What the scripts beside this file share; sourced, never run. Sets ROOT and VENV.
# Progress goes to standard error, so that a command's own output stays clean.

ROOT=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd)
VENV=$ROOT/.venv
STAMP=$VENV/.loadgenctl-setup

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# die MESSAGE [HINT…]: what happened, then what to do about it.
die() {
  say "$1"
  shift
  [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
  exit 2
}

# What the environment was made from; it is current as long as this has not changed.
fingerprint() {
  {
    printf '%s\n' "$ROOT" "$(readlink -f -- "$VENV/bin/python")"
    cat -- "$ROOT/requirements/dev.txt" "$ROOT/pyproject.toml"
  } | sha256sum
}

environment_is_current() {
  [ -x "$VENV/bin/python" ] && [ -f "$STAMP" ] && [ "$(cat -- "$STAMP")" = "$(fingerprint)" ]
}

# An environment that another user made may use a Python that this user cannot reach.
require_usable_python() {
  local python=$VENV/bin/python target place
  # One's own is made again by bin/setup.
  { [ -L "$python" ] && ! [ -x "$python" ] && ! [ -w "$VENV" ]; } || return 0
  # As far as it can be followed: the folder on the way that this user may not enter.
  target=$(readlink -- "$python")
  case $target in /*) ;; *) target=$(readlink -f -- "$VENV/bin/$target" || readlink -- "$VENV/bin/$target") ;; esac
  place=$target
  while [ -n "$place" ] && [ "$place" != / ] && ! { [ -d "$place" ] && [ -x "$place" ]; }; do
    target=$place
    place=$(dirname -- "$place")
  done
  die "$(id -un) cannot run the Python of $VENV: $target cannot be entered" \
    "its owner, $(stat -c %U -- "$VENV"), set this checkout up with a Python of their own" \
    "use a checkout of your own, or have the owner set it up with a Python for all: PYTHON=/usr/bin/python3 bin/setup"
}

# For the commands that need nothing but the environment: quick when it is there.
ensure_environment() {
  environment_is_current && return
  require_usable_python
  "$ROOT/bin/setup"
}
