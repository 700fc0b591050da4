"""The fresh process in which an exported file proves itself.

python -m src.export.run_file FILE.mindir INPUTS.npz OUTPUTS.npz BATCH_SIZE TARGET DEVICE_ID
python -m src.export.run_file FILE.onnx INPUTS.npz OUTPUTS.npz BATCH_SIZE RUNTIME
"""

import sys
from pathlib import Path

import numpy as np

from ..inference.batches import Network, run_batches


def load(path: Path, *how: str) -> Network:
    if path.suffix == ".onnx":
        from ..inference.onnx_runtimes import load_onnx

        return load_onnx(path, *how)
    import mindspore as ms

    from ..inference.mindspore_runtime import load_mindir

    target, device_id = how
    ms.set_device(target, int(device_id))
    return load_mindir(path)


def main(path: str, inputs: str, outputs: str, batch_size: str, *how: str) -> None:
    network = load(Path(path), *how)
    np.savez(outputs, *run_batches(network, list(np.load(inputs).values()), int(batch_size)))


if __name__ == "__main__":
    main(*sys.argv[1:])
