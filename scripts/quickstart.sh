#!/usr/bin/env bash
# From nothing to completed pictures: set up, train a small CTSDG for about three minutes, score it, export it, use it.
#
#   bash scripts/quickstart.sh [FOLDER]
#
# Everything is written under FOLDER (default: outputs/quickstart). The training pictures are cut from the photos that
# scikit-image carries; nothing but packages is downloaded. scripts/quickstart.yaml holds the options that differ from
# the published training. DRY_RUN=1 prints the commands and does nothing.

# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if has_help "$@"; then
    show_help "$0"
    exit
fi
out="${1:-outputs/quickstart}"
choose_python requirements.txt

step() {
    echo
    echo "== $1"
    shift
    (run_command "$PYTHON" "$@")
}

[ -n "${DRY_RUN:-}" ] || mkdir -p "$out"
step "Pictures and masks" "$ROOT/scripts/make_sample_data.py" "$out/data"
step "Training" "$ROOT/train.py" --config_path "$ROOT/scripts/quickstart.yaml" --overwrite \
    --data_root "$out/data/train" --save_path "$out/run"
step "Evaluation beside two classical methods" "$ROOT/eval.py" --overwrite --baselines telea,ns \
    --checkpoint_path "$out/run/checkpoints/last" --data_root "$out/data/test" \
    --eval_masks_root "$out/data/test_masks" --output_path "$out/evaluation"
step "Export" "$ROOT/export.py" --overwrite --checkpoint_path "$out/run/checkpoints/last" \
    --output_path "$out/ctsdg.mindir"
step "Inference from the exported file" "$ROOT/infer.py" --overwrite --checkpoint_path "$out/ctsdg.mindir" \
    --image "$out/data/photo.png" --mask "$out/data/photo_mask.png" --output "$out/photo_completed.png"

cat <<END

Done. Look at
  $out/photo_completed.png          a photo, its holes filled by the exported network
  $out/evaluation/                  the table (metrics.md, metrics.json) and contact_sheet.png
  $out/run/samples/                 input, edges, output and truth during training
  $out/run/losses.png               the loss curves
END
