"""The mean of several checkpoints of one network: python scripts/average_weights.py OUT.ckpt IN.ckpt IN.ckpt ...

Weights of a run's last checkpoints scatter around what it converges to; their mean is often better than each (Izmailov
et al., Averaging Weights Leads to Wider Optima and Better Generalization, 2018). Batch statistics are averaged as well.
OUT says the iteration of the newest file.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from model_utils.entry import stop
from src.checkpoint import read_network, save_network
from src.errors import InputError


def average(out: Path, paths: list[Path]) -> None:
    """Raises InputError where the files are not of one network, OSError where `out` cannot be written."""
    if out.exists():
        raise InputError(f"{out} is there already; choose another name")
    arrays, newest, _ = read_network(paths[0])
    sums = {name: array.astype("float64") for name, array in arrays.items()}
    for path in paths[1:]:
        arrays, info, _ = read_network(path)
        same = replace(info, iteration=newest.iteration, batches_tracked=newest.batches_tracked) == newest
        if not same or arrays.keys() != sums.keys():
            raise InputError(
                f"{path} is of another network, or has other settings, than {paths[0]}; choose files of one"
            )
        newest = max(newest, info, key=lambda info: info.iteration)
        for name, array in arrays.items():
            sums[name] += array
    save_network(out, {name: (array / len(paths)).astype("float32") for name, array in sums.items()}, newest)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.error = lambda message: stop(f"error: {message}; --help says more", 2)
    parser.add_argument("out", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    args = parser.parse_args()
    try:
        average(args.out, args.files)
    except InputError as error:
        stop(f"error: {error}", 2)
    except OSError as error:
        stop(f"error: {error.filename}: {error.strerror}", 2)
    print(f"wrote {args.out}, the mean of {len(args.files)} files")


if __name__ == "__main__":
    main()
