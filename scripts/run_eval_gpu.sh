#!/usr/bin/env bash
# Evaluate on one GPU; --help says how.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
launch eval.py GPU "$@"
