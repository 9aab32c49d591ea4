#!/bin/sh
# For the entry, and for `docker exec CONTAINER loadgenctl …`, which starts as root: both run as the
# owner of the results, who owns everything in the container.
set -eu

if [ "$(id -u)" = 0 ]; then
  owner=$(stat -c %u:%g /out)
  uid=${owner%:*}
  if [ "$uid" != 0 ]; then
    exec setpriv --reuid "$uid" --regid "${owner#*:}" --clear-groups --inh-caps=-all \
      --no-new-privs "$0" "$@"
  fi
fi
exec /opt/loadgenctl/venv/bin/python -P -m loadgenctl "$@"
