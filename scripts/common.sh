# shellcheck shell=bash
# What the scripts of this folder share: finding a Python, filling it, starting an entry point. To be sourced.
#
# Environment:
#   PYTHON=/path/to/python  use this one, as it is
#   DRY_RUN=1               print the command instead of running it

set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="$ROOT/.venv"
REQUIREMENTS=(requirements.txt requirements-mindspore.txt) # of .venv
TRAIN_ARGUMENTS="config_path save_path pretrained_vgg data_root train_masks_root anno_path"

die() {
    echo "error: $*" >&2
    exit 2
}

# A script's --help is the comment at its top, without the "#!" line.
show_help() {
    awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$1"
}

# has_help ARGUMENTS...: is --help or -h among them?
has_help() {
    case " $* " in *" --help "* | *" -h "*) return 0 ;; esac
    return 1
}

# ask_python PYTHON CODE: is the expression true?
ask_python() {
    "$1" -c "import sys; from importlib.util import find_spec; sys.exit(not ($2))" >/dev/null 2>&1
}

# Python 3.10 to 3.12 of this machine, the usual one first.
find_system_python() {
    local python
    for python in python3 python3.12 python3.11 python3.10 python; do
        if ask_python "$python" '(3, 10) <= sys.version_info[:2] <= (3, 12)'; then
            echo "$python"
            return
        fi
    done
    die "no Python 3.10, 3.11 or 3.12 found; MindSpore needs one of them (PYTHON=/path/to/python names it)"
}

# make_venv REQUIREMENTS...: make .venv if there is none, and install the named files where they changed since last time.
make_venv() {
    local python file
    [ -z "${DRY_RUN:-}" ] || return 0
    if ! ask_python "$VENV/bin/python" 'find_spec("pip")'; then
        python="$(find_system_python)"
        ask_python "$python" 'find_spec("venv") and find_spec("ensurepip")' ||
            die "$python cannot make environments; on Debian and Ubuntu: apt-get install python3-venv"
        echo "Making $VENV with $python" >&2
        "$python" -m venv "$VENV" >&2 || die "could not make $VENV; if an old one is in the way, move it aside"
    fi
    for file in "$@"; do
        # The copy beside the packages says what they were installed from.
        if ! cmp -s "$ROOT/$file" "$VENV/installed-$file"; then
            echo "Installing $file" >&2
            "$VENV/bin/python" -m pip install --disable-pip-version-check -r "$ROOT/$file" >&2 ||
                die "could not install $file"
            cp "$ROOT/$file" "$VENV/installed-$file"
        fi
    done
}

# choose_python TARGET: set PYTHON to an interpreter that has what the project needs on that device.
#
# One that already has MindSpore (an activated environment, a container) is used as it is, if its MindSpore is of the
# right version and finds the device: on GPU and Ascend hosts it was fitted to the driver. Otherwise .venv serves, and is
# made if need be.
choose_python() {
    local python module
    if [ -n "${PYTHON:-}" ]; then
        ask_python "$PYTHON" True || die "PYTHON=$PYTHON does not run"
        return
    fi
    for python in python python3; do
        if [ "${VIRTUAL_ENV:-}" != "$VENV" ] && ask_python "$python" 'find_spec("mindspore")'; then
            for module in numpy cv2 skimage PIL yaml; do
                ask_python "$python" "find_spec('$module')" ||
                    die "$(command -v "$python") has MindSpore but not $module: $python -m pip install -r requirements.txt"
            done
            [ -n "${DRY_RUN:-}" ] || "$python" "$ROOT/scripts/check_mindspore.py" "$1" || exit 2
            PYTHON="$python"
            return
        fi
    done
    make_venv "${REQUIREMENTS[@]}"
    PYTHON="$VENV/bin/python"
}

# Become the command, or print it.
run_command() {
    if [ -n "${DRY_RUN:-}" ]; then
        local line
        printf -v line '%q ' "$@"
        echo "${line% }"
    else
        exec "$@"
    fi
}

# read_arguments TARGET NAMES ARGUMENTS...: set `options` to what an entry point gets.
#
# Arguments up to the first --option are, in the model zoo's order, the options of NAMES.
read_arguments() {
    local names="$2" name
    options=(--device_target "$1")
    shift 2
    for name in $names; do
        if [ $# -eq 0 ] || [[ "$1" == --* ]]; then break; fi
        [ -z "$1" ] || options+=("--$name" "$1")
        shift
    done
    if [ $# -gt 0 ] && [[ "$1" != --* ]]; then die "unexpected '$1'; see $(basename "$0") --help"; fi
    options+=("$@")
}

# launch ENTRY_POINT TARGET ARGUMENTS...: the body of run_standalone_train_*, run_eval_* and run_export_*.
launch() {
    local entry_point="$1" target="$2" names options
    shift 2
    case "$entry_point" in
    train.py) names="device_id $TRAIN_ARGUMENTS" ;;
    eval.py) names="device_id config_path checkpoint_path data_root eval_masks_root anno_path output_path" ;;
    export.py) names="device_id config_path checkpoint_path output_path" ;;
    esac
    if has_help "$@"; then
        launch_help "$entry_point" "$target" "$names"
        return
    fi
    read_arguments "$target" "$names" "$@"
    choose_python "$target"
    run_command "$PYTHON" "$ROOT/$entry_point" "${options[@]}"
}

# launch_distributed TARGET ARGUMENTS...: the body of run_distribute_train_*.
launch_distributed() {
    local target="$1" count options msrun log_dir
    shift
    if has_help "$@"; then
        launch_help train.py "$target" "device_num $TRAIN_ARGUMENTS"
        distributed_help
        return
    fi
    count="${1:-}"
    [[ "$count" =~ ^[1-9][0-9]*$ ]] || die "DEVICE_NUM '$count' is no number of devices; see $(basename "$0") --help"
    read_hosts "$count"
    [[ "$count" -gt 1 || "${NODE_NUM:-1}" -gt 1 ]] ||
        die "DEVICE_NUM 1: run_standalone_train_${target,,}.sh trains on one device"
    shift
    read_arguments "$target" "$TRAIN_ARGUMENTS" "$@"
    take_options_of_msrun
    choose_python "$target"
    # A folder for each start: the log of a run that died must outlive its --resume. And one for each host: they may
    # share the file system.
    log_dir="$(value_of save_path "${options[@]}")"
    log_dir="${log_dir:-outputs}/logs/$(date +%Y%m%d-%H%M%S)"
    [ "${NODE_NUM:-1}" -eq 1 ] || log_dir="$log_dir-host$NODE_RANK"
    run_command "$PYTHON" "$ROOT/scripts/msrun.py" "${msrun[@]}" "--log_dir=$log_dir" "$ROOT/train.py" "${options[@]}"
}

# read_hosts DEVICE_NUM: set `msrun` to its options for this host's part of the job, as the environment has it.
read_hosts() {
    local count="$1" nodes="${NODE_NUM:-1}" rank="${NODE_RANK:-}" port="${MASTER_PORT:-8118}" ranks
    local number='^(0|[1-9][0-9]{0,4})$'
    [[ "$nodes" =~ $number && "$nodes" != 0 ]] || die "NODE_NUM '$nodes' is no number of hosts"
    ranks=$((nodes * count))
    # msrun's own display of the logs is off (no rank has that number): msrun.py shows one rank's.
    msrun=("--worker_num=$ranks" "--local_worker_num=$count" --join=True "--tail_worker_log=$ranks")
    [ "$nodes" -gt 1 ] || return 0
    [[ "$rank" =~ $number && "$rank" -lt "$nodes" ]] ||
        die "NODE_RANK '$rank': each of the NODE_NUM=$nodes hosts has its own number, from 0 to $((nodes - 1))"
    [[ "${MASTER_ADDR:-}" =~ ^[A-Za-z0-9.:_-]+$ ]] ||
        die "MASTER_ADDR '${MASTER_ADDR:-}': every host needs the address of host 0, a name or an IP address"
    [[ "$port" =~ $number && "$port" -ge 1024 && "$port" -lt 65535 ]] ||
        die "MASTER_PORT '$port': a number from 1024 to 65534; the port after it is used as well"
    msrun+=("--node_rank=$rank" "--master_addr=$MASTER_ADDR" "--master_port=$port")
}

# Move what msrun takes of `options` to `msrun`: which cores or memory each rank is bound to.
take_options_of_msrun() {
    local others=()
    set -- "${options[@]}"
    while [ $# -gt 0 ]; do
        case "$1" in
        --bind_core | --bind_numa)
            [ $# -gt 1 ] || die "$1 needs a value: True, or what msrun's --help says"
            msrun+=("$1=$2")
            shift
            ;;
        --bind_core=* | --bind_numa=*) msrun+=("$1") ;;
        *) others+=("$1") ;;
        esac
        shift
    done
    options=("${others[@]}")
}

# value_of NAME OPTIONS...: the value of the last --NAME among them.
value_of() {
    local name="$1" value=""
    shift
    while [ $# -gt 0 ]; do
        case "$1" in
        "--$name") value="${2:-}" ;;
        "--$name="*) value="${1#*=}" ;;
        esac
        shift
    done
    echo "$value"
}

launch_help() {
    local usage
    usage="$(for name in $3; do printf ' [%s]' "$name"; done | tr '[:lower:]' '[:upper:]')"
    cat <<END
usage: bash scripts/$(basename "$0")${usage/\[DEVICE_NUM\]/DEVICE_NUM} [--option value ...]

Runs $1 with --device_target $2. The arguments in capitals are the options of that name, in this order:
'' leaves one at its default, and the last ones may be left out. The options that follow are passed on, and win.
python $1 --help explains every option.

It stays in the foreground, and its exit code is that of $1. Nothing is ever deleted.

Which Python: the one of the environment variable PYTHON; else that of the activated environment (or of the machine) if
MindSpore is installed there, as it usually is on GPU and Ascend hosts, and it must then be of the right version and find
the device; else .venv in the project's folder, which is made and filled from ${REQUIREMENTS[*]}
when needed. DRY_RUN=1 prints the command and does nothing.
END
}

distributed_help() {
    cat <<END

DEVICE_NUM processes (ranks) of this host train together, started by msrun, each with its own card: 0, 1, … of those
that CUDA_VISIBLE_DEVICES or ASCEND_RT_VISIBLE_DEVICES leave. --batch_size is for each rank: docs/training.md (Recipes)
has learning rates and iterations for eight. Rank 0 is shown here and
writes --save_path; every rank's log is under SAVE_PATH/logs (outputs/logs if only the yaml file says where to save).
When a rank fails, all end, and its last lines and exit code are shown; --resume then goes on from the newest
checkpoint. Ctrl-C and SIGTERM go to all ranks. --bind_core True, and --bind_numa, go to msrun: each rank then keeps to
its own processor cores, or to a memory node and its cores.

Several hosts: start the script on each with the same arguments (DEVICE_NUM, the ranks of each host, may then be 1) and
these environment variables:
  NODE_NUM     number of hosts; with 1, the default, the others are ignored
  NODE_RANK    number of this host, from 0
  MASTER_ADDR  IP address or name of host 0, as the other hosts reach it
  MASTER_PORT  port on host 0, default 8118; the next port is used as well
Host 0 runs and shows rank 0; every other host shows its own first rank. The logs of a host are then under
SAVE_PATH/logs/TIME-hostNODE_RANK. If a host fails or is gone, the job ends on all, with one line that names it.
docs/devices.md has examples.
END
}
