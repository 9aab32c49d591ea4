#!/bin/sh
# What the container runs below its init process: `loadgenctl run` by the mounts and variables that
# the original's users know (/out, /src, SDK_REVISION, SDK_REPO). Options are passed on; a first word
# that is none is another of loadgenctl's commands, such as `stats /out`.
set -eu

die() {
  printf 'loadgenctl: %s\n  %s\n' "$1" "$2" >&2
  exit 2
}

if [ "$(id -u)" = 0 ]; then
  owner=$(stat -c %u:%g /out)
  # The engine makes a folder that is mounted and missing; it is filled by the owner of the results.
  if [ -d "$SDK_SRC" ] && [ -z "$(ls -A -- "$SDK_SRC")" ]; then
    chown "$owner" "$SDK_SRC" || die "the empty $SDK_SRC cannot be given to $owner" \
      "mount it writable, or fill it beforehand"
  fi
elif [ ! -w /out ]; then
  die "user $(id -u) may not write to /out" "make it theirs, or choose another --user"
fi

case ${1:--} in
  -*) ;;
  *) exec loadgenctl "$@" ;;
esac
# What is there is used as it is, wherever it came from.
if [ -n "$(ls -A -- "$SDK_SRC" 2>/dev/null)" ] && [ ! -e "$SDK_SRC/.loadgenctl-unfinished" ]; then
  unset SDK_REPO
fi
exec loadgenctl run "$@"
