"""What one training sample costs a processor core: benchmarks/samples.py --data_root IMAGES [--option value ...]

Images, masks and sizes follow from train.py's options. Times are those of one thread on the processor, medians, so
other programs count only as far as they slow it down.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from model_utils.config import Config
from model_utils.entry import NETWORK_GROUPS, require, run

OPTION_GROUPS = ("Run", *NETWORK_GROUPS, "Images", "Masks", "Training samples")
SAMPLES = 100
EDGES = {"published": "CTSDG", "clean": "CTSDG, --edge_mode clean", None: "DGTS and its upsampler"}


def main(config: Config) -> None:
    require(config, "data_root")
    import cv2

    from src.data.samples import training_samples

    cv2.setNumThreads(1)
    samples = training_samples(config, with_structure=True)
    print(
        f"| {config.image_size}x{config.image_size}, samples of | ms of a core | samples/s of a core |\n|---|---:|---:|"
    )
    for edge_mode, name in EDGES.items():
        milliseconds = 1000 * seconds(replace(samples, edge_mode=edge_mode))
        print(f"| {name} | {milliseconds:.1f} | {1000 / milliseconds:.0f} |", flush=True)


def seconds(samples) -> float:
    """The median of one sample, without the first one, which fills caches."""
    times = []
    for k in range(SAMPLES + 1):
        start = time.thread_time()
        samples[k]
        times.append(time.thread_time() - start)
    return float(np.median(times[1:]))


if __name__ == "__main__":
    run(main)
