#!/usr/bin/env bash
# Run the tests, in .venv, which is made and filled from the requirements files when needed.
#
#   bash scripts/run_tests.sh [--with-torch] [--with-onnx] [--with-demo] [pytest's own options and files]
#
#   --with-torch  install PyTorch too, and reference implementations of metrics, for the tests that compare with them;
#                 without them they are skipped
#   --with-onnx   install the packages for ONNX files too, for the tests of them; without these they are skipped
#   --with-demo   install the packages of the demo page too, for the tests of it, which then fail where Chromium is
#                 missing (apt-get install chromium); without it they are skipped where something is missing
#
# Two processes share the tests; `-n 0` runs them in one. Tests marked slow are left out; `-m slow` runs those, `-m ""`
# runs all. The environment variable PYTHON names an interpreter to use instead, as it is. DRY_RUN=1 prints the command
# and does nothing.

# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if has_help "$@"; then
    show_help "$0"
    exit
fi

requirements=("${REQUIREMENTS[@]}" requirements-dev.txt)
while true; do
    case "${1:-}" in
    --with-torch) requirements+=(requirements-convert.txt requirements-references.txt) ;;
    --with-onnx) requirements+=(requirements-onnx.txt) ;;
    --with-demo) requirements+=(requirements-demo.txt requirements-demo-tests.txt) && export DEMO_TESTS=required ;;
    *) break ;;
    esac
    shift
done
if [ -z "${PYTHON:-}" ]; then
    make_venv "${requirements[@]}"
    PYTHON="$VENV/bin/python"
fi
cd "$ROOT"
# Each process gets a core of its own: threads that wait for work spin, and two such teams slow each other down.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
run_command "$PYTHON" -m pytest -m "not slow" -n 2 --dist loadfile "$@"
