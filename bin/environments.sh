# shellcheck shell=bash
# Functions that create virtual environments; sourced after lib.sh, never run.

# The installers' output goes to a file and is shown only on failure.
LOG=$ROOT/build/setup.log
OLDEST='(3, 11)' # oldest Python that the program supports

logged() {
  printf '\n$ %s\n' "$*" >>"$LOG"
  "$@" >>"$LOG" 2>&1 </dev/null
}

# die, with the end of the log (without the info lines of an engine).
fail() {
  say "$1"
  { grep -v level=info -- "$LOG" || true; } | tail -n 20 | sed 's/^/  | /' >&2
  shift
  [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
  printf '  The whole log: %s\n' "$LOG" >&2
  exit 2
}

# `logged`, and every 10 s the last line of the installer's output: it may take minutes.
logged_aloud() {
  local status=0 reporter
  report $$ "$SECONDS" &
  reporter=$!
  logged "$@" || status=$?
  kill "$reporter" 2>/dev/null || true
  wait "$reporter" 2>/dev/null || true
  return "$status"
}

report() {
  local script=$1 started=$2 pause='' line
  trap 'kill $pause 2>/dev/null; exit 0' TERM
  while kill -0 "$script" 2>/dev/null; do
    # In the background, because a signal interrupts `wait` but not `sleep`; without this script's
    # outputs, on which their reader would wait.
    sleep 10 >/dev/null 2>&1 &
    pause=$!
    wait "$pause"
    line=$(tail -n 1 -- "$LOG" | tr -d '\r' | cut -c 1-50)
    say "  $((SECONDS - started)) s: ${line#"${line%%[![:space:]]*}"}"
  done
}

# True for a Python that is recent enough and can create environments (a separate package in
# Debian).
python_serves() {
  "$1" -c "import ensurepip, sys, venv; sys.exit(sys.version_info < $OLDEST)" >/dev/null 2>&1
}

# False for an incomplete one, and for a copied or moved one: its commands contain the original
# path.
environment_is_whole() {
  grep -qsF -- "$1/bin/python" "$1/bin/pip" && "$1/bin/python" -m pip --version >/dev/null 2>&1
}

# install FOLDER LOCK: the locked packages and this checkout, into an existing environment.
install() {
  local pip=("$1/bin/python" -m pip --disable-pip-version-check --no-input install)
  logged_aloud "${pip[@]}" --progress-bar off --require-hashes -r "$ROOT/requirements/$2" ||
    fail "the dependencies could not be installed" \
      "pip must reach a package index; behind a proxy or a mirror, set it in pip's configuration"
  logged "${pip[@]}" --no-deps --no-build-isolation --editable "$ROOT" ||
    fail "this checkout could not be installed into ${1#"$ROOT/"}"
}
