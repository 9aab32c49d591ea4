#!/usr/bin/env bash
# Measures an SDK revision, with the variables of the original; all arguments are passed to
# `loadgenctl run` and override the variables.
#   SDK_SRC       the SDK's folder: used as it is; if it is empty or missing, the revision is
#                 checked out and built in it, and kept. Not set: a build in the cache
#   SDK_REVISION  commit, tag or branch; the repository's HEAD if not set
#   SDK_REPO      another repository
#   OUTPUT_DIR    the results folder; results/run-<posix time> if not set
set -euo pipefail
. "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib.sh"

ensure_program
if [ -n "${SDK_SRC:-}" ]; then
  mkdir -p -- "$SDK_SRC"
  # An existing tree is used as it is, from whatever source.
  [ -z "$(ls -A -- "$SDK_SRC")" ] || [ -e "$SDK_SRC/.loadgenctl-unfinished" ] || unset SDK_REPO
fi
exec_loadgenctl run "$@"
