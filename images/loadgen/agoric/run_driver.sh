#!/bin/sh
# Start the driver: an `agoric deploy` script that speaks with the load service over LOADGEN_SOCKET.
# It works on a copy whose node_modules are the SDK's own workspaces, so that the script and the
# contracts are bundled with exactly the code under test and nothing is fetched.
set -eu
here=$(dirname "$0")
src=$1
work=$2
shift 2

rm -rf "$work.part"
mkdir -p "$work.part"
cp -R "$here/driver.js" "$here/lib" "$here/tasks" "$here/agents" "$here/contracts" "$work.part/"
ln -s "$src/node_modules" "$work.part/node_modules"
# The copy's modules are of the kind that this SDK's own command line tool is written in. Bundlers of
# modules take only packages that are named as dependencies.
if grep -q '"type": "module"' "$src/packages/agoric-cli/package.json"; then
  cat >"$work.part/package.json" <<'END'
{
  "name": "loadgenctl-load",
  "version": "0.0.0",
  "type": "module",
  "dependencies": {
    "@agoric/eventual-send": "*",
    "@agoric/marshal": "*"
  }
}
END
fi
# In 2022 these packages moved house, one after the other; the copy imports what Zoe imports.
for package in eventual-send marshal; do
  if grep -q "\"@endo/$package\"" "$src/packages/zoe/package.json"; then
    find "$work.part" -name '*.js*' -type f \
      -exec sed -i "s#\([\"']\)@agoric/$package\([\"']\)#\1@endo/$package\2#" {} +
  fi
done
rm -rf "$work"
mv "$work.part" "$work"

cd "$work"
exec agoric --sdk deploy "$@" "$work/driver.js"
