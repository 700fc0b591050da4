#!/usr/bin/env bash
# Train on the CPU, in several processes, on one or more hosts; --help says how.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
launch_distributed CPU "$@"
