"""How much memory a benchmark needed."""

import resource


def peak_memory(device_target: str) -> int:
    """Bytes: of this process on a CPU, of the card otherwise."""
    if device_target == "CPU":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
    import mindspore as ms

    return ms.runtime.max_memory_allocated()
