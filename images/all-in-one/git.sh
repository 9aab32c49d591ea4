#!/bin/sh
# git has a fixed path to its commands, which differs here. Child processes inherit this.
export GIT_EXEC_PATH=/opt/loadgenctl/git/lib/git-core
export GIT_TEMPLATE_DIR=/opt/loadgenctl/git/share/templates
exec /opt/loadgenctl/git/bin/git "$@"
