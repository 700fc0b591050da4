#!/usr/bin/env bash
# Train and score what docs/study.md compares; --help says how. What was interrupted goes on, what is done is not redone.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
choose_python requirements.txt
run_command "$PYTHON" "$ROOT/benchmarks/study.py" "$@"
