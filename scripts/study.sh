#!/usr/bin/env bash
# Train and score what the study of docs/study.md compares; --help says how.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
choose_python CPU
run_command "$PYTHON" "$ROOT/benchmarks/study.py" "$@"
