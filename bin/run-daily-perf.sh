#!/usr/bin/env bash
# Measures the newest revision of the SDK's default branch for a day, then the next newest, until
# stopped; with the name, stages and pace of the original. Results are in daily-perf-REVISION below
# the working directory. Options are passed to `loadgenctl daily` and override those here. SDK_REPO
# names another repository.
set -euo pipefail
. "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/lib.sh"

ensure_program
exec_loadgenctl daily --poll 1 --stages=12 --stage.duration=120 "$@"
