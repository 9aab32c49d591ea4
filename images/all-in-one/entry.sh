#!/bin/sh
# What the container runs below its init process: `loadgenctl run` with the mounts and variables of
# the original (/out, /src, SDK_REVISION, SDK_REPO). Options are passed on; if the first argument is
# not an option, it is another command of loadgenctl, such as `stats /out`.
set -eu

die() {
  printf 'loadgenctl: %s\n  %s\n' "$1" "$2" >&2
  exit 2
}

if [ "$(id -u)" = 0 ]; then
  owner=$(stat -c %u:%g /out)
  # The engine creates a missing mounted folder; the owner of the results fills it.
  if [ -d "$SDK_SRC" ] && [ -z "$(ls -A -- "$SDK_SRC")" ]; then
    chown "$owner" "$SDK_SRC" || die "the empty $SDK_SRC cannot be given to $owner" \
      "mount it writable, or fill it beforehand"
  fi
elif [ ! -w /out ]; then
  die "user $(id -u) may not write to /out" "change its owner, or choose another --user"
fi

case ${1:--} in
  -*) ;;
  *) exec loadgenctl "$@" ;;
esac
# An existing tree is used as it is, from whatever source.
if [ -n "$(ls -A -- "$SDK_SRC" 2>/dev/null)" ] && [ ! -e "$SDK_SRC/.loadgenctl-unfinished" ]; then
  unset SDK_REPO
fi
exec loadgenctl run "$@"
