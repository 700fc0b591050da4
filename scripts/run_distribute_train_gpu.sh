#!/usr/bin/env bash
# Train on several GPUs of one or more hosts; --help says how.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
launch_distributed GPU "$@"
