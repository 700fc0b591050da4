#!/usr/bin/env bash
# Export to MINDIR on the CPU; --help says how.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
launch export.py CPU "$@"
