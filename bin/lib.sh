# shellcheck shell=bash
# Shared functions of the scripts in this folder; sourced, never run. Sets ROOT and VENV. Progress
# goes to standard error, so that the output of a command is not mixed with it.

ROOT=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd)
VENV=$ROOT/.venv
STAMP=$VENV/.loadgenctl-setup

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# die MESSAGE [HINT…]: print what happened and what to do about it, and exit.
die() {
  say "$1"
  shift
  [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
  exit 2
}

# The inputs of an environment, which is current as long as they have not changed. A `program`
# environment has what the program needs, a `dev` environment also what tests and checks need.
fingerprint() {
  {
    printf '%s\n' "$ROOT" "$(readlink -f -- "$VENV/bin/python")"
    cat -- "$ROOT/requirements/checkout.txt" "$ROOT/pyproject.toml"
    [ "$1" = program ] || cat -- "$ROOT/requirements/dev.txt"
  } | sha256sum
}

# `program`, `dev`, or nothing if there is no complete environment.
environment_kind() {
  local kind=
  { [ ! -f "$STAMP" ] || read -r kind _ <"$STAMP"; } || true
  printf '%s\n' "$kind"
}

# An environment of another user may use a Python that this user cannot access.
require_usable_python() {
  local python=$VENV/bin/python target place
  # bin/setup recreates the user's own environment.
  { [ -L "$python" ] && ! [ -x "$python" ] && ! [ -w "$VENV" ]; } || return 0
  # The first folder in the path that this user cannot enter.
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

# environment_is_current KIND: also true for a `dev` environment if KIND is `program`.
environment_is_current() {
  local kind
  kind=$(environment_kind)
  [ -n "$kind" ] && { [ "$kind" = dev ] || [ "$kind" = "$1" ]; } && [ -x "$VENV/bin/python" ] &&
    [ "$(cat -- "$STAMP")" = "$kind $(fingerprint "$kind")" ]
}

# For commands that only need the program: fast if it is installed.
ensure_program() {
  environment_is_current program || "$ROOT/bin/setup" --program
}

# For commands that also need the development tools.
ensure_tools() {
  environment_is_current dev || "$ROOT/bin/setup"
}

# The name of this checkout's program in hints: in the form in which the user called this script.
program_as_typed() {
  local folder=.
  case $0 in */*) folder=${0%/*} ;; esac
  if [ "$(type -P loadgenctl)" = "$folder/loadgenctl" ]; then
    printf 'loadgenctl\n'
  else
    printf '%s/loadgenctl\n' "$folder"
  fi
}

# Replace this process with the program.
exec_loadgenctl() {
  LOADGENCTL_PROGRAM=$(program_as_typed)
  export LOADGENCTL_PROGRAM
  # The environment has all imported packages; folders of other projects are not searched.
  exec env -u PYTHONHOME -u PYTHONPATH "$VENV/bin/loadgenctl" "$@"
}
