"""python -m tests.dgts.complete CHECKPOINT THREADS OUTPUT.npz: small images and orders, on so many threads."""

import os
import sys


def main(checkpoint: str, threads: str, output: str) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(threads)])  # before MindSpore counts processors
    os.environ["OMP_NUM_THREADS"] = threads

    from tests.dgts.conftest import DATA  # isort: skip
    import mindspore as ms
    import numpy as np
    from mindspore import Tensor

    from src.checkpoint import read_generator
    from src.dgts.model import DGTS

    ms.set_device("CPU")
    ms.set_context(mode=ms.GRAPH_MODE)
    recorded = np.load(DATA / "generator.npz")
    images, masks = np.repeat(recorded["image"][:1], 3, axis=0), recorded["mask"]
    results = {}
    for fill_order in ("known_pixels", "confidence"):
        generator = read_generator(checkpoint, {"fill_order": fill_order}).cell(DGTS.network).set_train(False)
        completed, order = generator(Tensor(images), Tensor(masks))
        results |= {f"{fill_order}.completed": completed.asnumpy(), f"{fill_order}.order": order.asnumpy()}
    np.savez(output, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
