"""kill -9 at random moments, 20 times, then a comparison with a run that nobody killed: benchmarks/soak.py FOLDER

Tiny networks, real processes, a checkpoint each iteration, so that many kills hit a save; each comes within two
iterations of its process's first checkpoint. Takes some minutes, and ends with an error if weights, optimizers or
metrics differ by a bit.
"""

import csv
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from tests.command_line import words  # noqa: E402
from tests.training.conftest import SMALL, assert_same, rows, write_images  # noqa: E402
from tests.training.test_faults import SCRIPT, newest  # noqa: E402

KILLS, ITERATIONS = 20, 80  # a kill takes no more than four of them


def main(folder: Path, seed: int = 0) -> None:
    folder.mkdir()
    (folder / "pictures").mkdir()
    chance = random.Random(seed)
    options = SMALL | {"data_root": write_images(folder / "pictures", 3)}
    options |= {"train_iter": ITERATIONS // 2, "finetune_iter": ITERATIONS // 2}
    options |= {"save_checkpoint_steps": 1, "ema_decay": 0.9}

    def start(name: str, *flags: str) -> subprocess.Popen:
        command = [sys.executable, str(SCRIPT), *words(options | {"save_path": folder / name}), *flags]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    assert start("straight").wait() == 0
    with open(folder / "straight" / "metrics.csv", newline="", encoding="utf-8") as file:
        seconds = float(np.median([float(row["seconds_per_iteration"]) for row in csv.DictReader(file)]))
    run = folder / "killed"
    for kill in range(1, KILLS + 1):
        done = newest(run)
        process = start("killed", *(["--resume"] if done else []))
        while newest(run) <= done:
            assert process.poll() is None, f"it ended by itself, with {process.returncode}"
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 2 * seconds))
        process.kill()
        process.wait()
        left = ", ".join(path.name for path in (run / "checkpoints").glob(".*"))
        print(f"kill {kill}: {len(rows(run))} rows, checkpoint {newest(run)}, unfinished: {left or '-'}", flush=True)
    assert start("killed", "--resume").wait() == 0
    assert_same(folder / "straight", run, ITERATIONS)
    print(f"{KILLS} kills, {ITERATIONS} iterations: weights, optimizers and metrics are the same bit by bit")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
