#!/usr/bin/env bash
# Train and score all that docs/study.md compares, on faces.
#
#   bash scripts/study.sh FACES MASKS OUT [NAME...]
#
#   FACES  img_align_celeba/ and list_eval_partition.txt
#   MASKS  test masks, white where the hole is
#   OUT    gets a folder for each run: run/ as train.py writes it, scores/ as eval.py does, and the table study.md
#   NAME   runs to do, in this order; all of them without one
#
# A run that was stopped goes on where it was; one that was scored is not done again. Short runs take one half to one
# hour each on two CPU cores, `long` and `dgts` as long as they are given: SIGTERM ends a run after its iteration.
# DRY_RUN=1 prints the commands. Options of all trainings: OPTIONS in the environment.
# shellcheck source-path=SCRIPTDIR source=common.sh

source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

NAMES=(base published_edges no_bigff no_cfa one_stream psnr seamless)

if has_help "$@"; then
    show_help "$0"
    echo "Names: ${NAMES[*]}"
    exit
fi
[ $# -ge 3 ] || die "give FACES, MASKS and OUT; see $(basename "$0") --help"
faces="$1" masks="$2" out="$3"
shift 3
names=("$@")
[ $# -gt 0 ] || names=("${NAMES[@]}")
read -ra more <<<"${OPTIONS:-}"
choose_python requirements.txt

data=(--data_root "$faces/img_align_celeba" --anno_path "$faces/list_eval_partition.txt" --center_crop 89)
short=(--image_size 128 --width 0.125 --batch_size 8 --train_iter 2000 --finetune_iter 0 --edge_mode clean
    --perceptual_loss_w 0 --style_loss_w 0 --ema_decay 0.999 --save_checkpoint_steps 250)

# train NAME PART OPTIONS...: one run, to its end
train() {
    local folder="$out/$1/run" part="$2"
    shift 2
    [ ! -d "$folder/checkpoints" ] || set -- "$@" --resume
    (run_command "$PYTHON" "$ROOT/benchmarks/ablation.py" "$part" train.py "${data[@]}" --save_path "$folder" "$@" "${more[@]}")
}
