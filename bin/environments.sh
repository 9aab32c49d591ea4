# shellcheck shell=bash
# How virtual environments are made; sourced behind lib.sh, never run.

# The installers' own output goes to a file and is shown only when something fails.
LOG=$ROOT/build/setup.log
OLDEST='(3, 11)' # Python that the program runs on

logged() {
  printf '\n$ %s\n' "$*" >>"$LOG"
  "$@" >>"$LOG" 2>&1 </dev/null
}

# die, with the end of the log as evidence (without an engine's chatter).
fail() {
  say "$1"
  { grep -v level=info -- "$LOG" || true; } | tail -n 20 | sed 's/^/  | /' >&2
  shift
  [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
  printf '  The whole log: %s\n' "$LOG" >&2
  exit 2
}

# `logged`, and every 10 s what the installer has just written: it may take minutes.
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
    # In the background, because a signal ends `wait` and would not end `sleep`; without this
    # script's outputs, which who reads them waits for.
    sleep 10 >/dev/null 2>&1 &
    pause=$!
    wait "$pause"
    line=$(tail -n 1 -- "$LOG" | tr -d '\r' | cut -c 1-50)
    say "  $((SECONDS - started)) s: ${line#"${line%%[![:space:]]*}"}"
  done
}

# True for a Python that is new enough and can make environments (Debian packages that part on its
# own).
python_serves() {
  "$1" -c "import ensurepip, sys, venv; sys.exit(sys.version_info < $OLDEST)" >/dev/null 2>&1
}

# False for one left half-made, and for one copied or moved here: its commands name its first place.
environment_is_whole() {
  grep -qsF -- "$1/bin/python" "$1/bin/pip" && "$1/bin/python" -m pip --version >/dev/null 2>&1
}

# install FOLDER LOCK: into an environment that is there, what is locked and this checkout.
install() {
  local pip=("$1/bin/python" -m pip --disable-pip-version-check --no-input install)
  logged_aloud "${pip[@]}" --progress-bar off --require-hashes -r "$ROOT/requirements/$2" ||
    fail "the dependencies could not be installed" \
      "pip must reach a package index; behind a proxy or a mirror, set it in pip's configuration"
  logged "${pip[@]}" --no-deps --no-build-isolation --editable "$ROOT" ||
    fail "this checkout could not be installed into ${1#"$ROOT/"}"
}
