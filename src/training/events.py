"""metrics.csv for TensorBoard, where tensorboardX is installed."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Events:
    """Event files in a folder. TensorBoard joins those of all resumes, without what earlier ones have beyond `done`.

    Written row by row in this thread: tensorboardX's own writer loses the last minutes when it is killed, and waits for
    ever when the disk is full. Without tensorboardX nothing is written.
    """

    def __init__(self, folder: Path, done: int) -> None:
        self.writer: Any = None
        try:
            from tensorboardX.proto.event_pb2 import Event, SessionLog
            from tensorboardX.record_writer import RecordWriter
            from tensorboardX.summary import scalar
        except ImportError:
            return
        folder.mkdir(exist_ok=True)
        # Nanoseconds: TensorBoard reads files in the order of their names.
        self.writer = RecordWriter(str(folder / f"events.out.tfevents.{time.time_ns()}"))
        self.event, self.scalar = Event, scalar
        self._write(file_version="brain.Event:2")
        self._write(step=done + 1, session_log=SessionLog(status=SessionLog.START))
        self.writer.flush()

    def add(self, iteration: int, numbers: Mapping[str, float]) -> None:
        if self.writer is None:
            return
        for name, number in numbers.items():
            self._write(step=iteration, summary=self.scalar(name, number))
        self.writer.flush()

    def _write(self, **content: object) -> None:
        self.writer.write(self.event(wall_time=time.time(), **content).SerializeToString())
