"""MindSpore's profiler over a few iterations of a run."""

from pathlib import Path

from mindspore import profiler

ACTIVITIES = {"CPU": ("CPU",), "GPU": ("CPU", "GPU"), "Ascend": ("CPU", "NPU")}  # what it records on each device


class Profiler:
    """Records so many iterations into a folder, but not the first, which compiles. 0: none, and no folder.

    target: device_target. `step` follows each iteration; leaving the context ends what is not complete.
    """

    def __init__(self, folder: Path, target: str, iterations: int) -> None:
        self.folder, self.target, self.iterations = folder, target, iterations
        self.profile: profiler.profile | None = None

    def __enter__(self) -> "Profiler":
        return self

    def __exit__(self, *_: object) -> None:
        if self.profile is not None:
            self.profile.stop()

    def step(self) -> None:
        if self.profile is not None:
            self.profile.step()
        elif self.iterations:
            self.profile = profiler.profile(
                activities=[profiler.ProfilerActivity[name] for name in ACTIVITIES[self.target]],
                schedule=profiler.schedule(wait=0, warmup=0, active=self.iterations, repeat=1),
                on_trace_ready=profiler.tensorboard_trace_handler(str(self.folder)),
            )
