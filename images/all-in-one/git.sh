#!/bin/sh
# git knows its other half by a fixed path, which is not where it is here. Children inherit this.
export GIT_EXEC_PATH=/opt/loadgenctl/git/lib/git-core
export GIT_TEMPLATE_DIR=/opt/loadgenctl/git/share/templates
exec /opt/loadgenctl/git/bin/git "$@"
