#!/usr/bin/env bash
# From nothing to completed images: set up, fill a photo with the weights that ship, then train a small network for
# about three minutes, score it, export it, use it.
#
#   bash scripts/quickstart.sh [--model ctsdg|dgts] [FOLDER]
#
# The default is ctsdg; dgts trains a generator and then an upsampler. Everything is written under FOLDER (default:
# outputs/quickstart, for dgts outputs/quickstart_dgts). The training images are cut from the photos that scikit-image
# carries; nothing but packages is downloaded. scripts/quickstart.yaml and quickstart_dgts.yaml hold the options that
# differ from the published training. DRY_RUN=1 prints the commands and does nothing.

# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if has_help "$@"; then
    show_help "$0"
    exit
fi
model=ctsdg
if [ "${1:-}" = --model ]; then
    model="${2:-}"
    shift $(($# < 2 ? $# : 2))
fi
case "$model" in
ctsdg) name=quickstart ;;
dgts) name=quickstart_dgts ;;
*) die "--model '$model': choose ctsdg or dgts" ;;
esac
if [ $# -gt 1 ] || [[ "${1:-}" == --* ]]; then die "unexpected '$*'; see $(basename "$0") --help"; fi
out="${1:-outputs/$name}"
choose_python CPU

step() {
    echo
    echo "== $1"
    shift
    (run_command "$PYTHON" "$@")
}

[ -n "${DRY_RUN:-}" ] || mkdir -p "$out"
step "Images and masks" "$ROOT/scripts/make_sample_data.py" "$out/data"
photo=(--image "$out/data/photo.png" --mask "$out/data/photo_mask.png")
step "A photo filled with the weights that ship" "$ROOT/infer.py" --overwrite "${photo[@]}" --output "$out/photo_filled.png"
train() { # train MODEL FOLDER
    step "Training $1" "$ROOT/train.py" --config_path "$ROOT/scripts/$name.yaml" --overwrite --model "$1" \
        --data_root "$out/data/train" --save_path "$2"
}

train "$model" "$out/run"
network=(--checkpoint_path "$out/run/checkpoints/last")
if [ "$model" = dgts ]; then
    train upsampler "$out/run_upsampler"
    network+=(--upsampler_path "$out/run_upsampler/checkpoints/last")
fi
step "Evaluation beside two classical methods" "$ROOT/eval.py" --overwrite --baselines telea,ns "${network[@]}" \
    --data_root "$out/data/test" --eval_masks_root "$out/data/test_masks" --output_path "$out/evaluation"
step "Export" "$ROOT/export.py" --overwrite "${network[@]}" --output_path "$out/$model.mindir"
step "Inference from the exported file" "$ROOT/infer.py" --overwrite --checkpoint_path "$out/$model.mindir" \
    "${photo[@]}" --output "$out/photo_completed.png"

cat <<END

Done. Look at
  $out/photo_filled.png             a photo, its holes filled with the weights that ship
  $out/photo_completed.png          the same by the network that was just trained and exported
  $out/evaluation/                  the table (metrics.md, metrics.json) and contact_sheet.png
  $out/run/samples/                 input, output and truth during training
  $out/run/losses.png               the loss curves
END
