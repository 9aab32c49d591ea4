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

# For the commands that need nothing but the environment: quick when it is there.
ensure_environment() {
  environment_is_current || "$ROOT/bin/setup"
}
