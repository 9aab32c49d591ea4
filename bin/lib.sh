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

# What an environment was made from; it is current as long as this has not changed. A `program`
# environment has what the program needs, a `dev` environment also what tests and checks need.
fingerprint() {
  {
    printf '%s\n' "$ROOT" "$(readlink -f -- "$VENV/bin/python")"
    cat -- "$ROOT/requirements/checkout.txt" "$ROOT/pyproject.toml"
    [ "$1" = program ] || cat -- "$ROOT/requirements/dev.txt"
  } | sha256sum
}

# `program`, `dev`, or nothing where there is none that is finished.
environment_kind() {
  local kind=
  { [ ! -f "$STAMP" ] || read -r kind _ <"$STAMP"; } || true
  printf '%s\n' "$kind"
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

# environment_is_current KIND: true also for a `dev` environment where `program` is asked for.
environment_is_current() {
  local kind
  kind=$(environment_kind)
  [ -n "$kind" ] && { [ "$kind" = dev ] || [ "$kind" = "$1" ]; } && [ -x "$VENV/bin/python" ] &&
    [ "$(cat -- "$STAMP")" = "$kind $(fingerprint "$kind")" ]
}

# For the commands that need nothing but the program: quick when it is there.
ensure_program() {
  environment_is_current program || "$ROOT/bin/setup" --program
}

# For those that need the development tools, too.
ensure_tools() {
  environment_is_current dev || "$ROOT/bin/setup"
}

# How the program of this checkout is called, for the commands that its hints show: as the script
# beside it was typed.
program_as_typed() {
  local folder=.
  case $0 in */*) folder=${0%/*} ;; esac
  if [ "$(type -P loadgenctl)" = "$folder/loadgenctl" ]; then
    printf 'loadgenctl\n'
  else
    printf '%s/loadgenctl\n' "$folder"
  fi
}

# Becomes the program.
exec_loadgenctl() {
  LOADGENCTL_PROGRAM=$(program_as_typed)
  export LOADGENCTL_PROGRAM
  # The environment holds all that is imported; folders of other projects are not searched.
  exec env -u PYTHONHOME -u PYTHONPATH "$VENV/bin/loadgenctl" "$@"
}
