"""What TensorBoard shows is metrics.csv, over resumes too."""

import struct
import sys

import pytest

from tests.training.conftest import rows


def scalars(folder) -> dict[int, dict[str, float]]:
    """Numbers by iteration, as TensorBoard reads them: files by their time, a restart hides what comes after it."""
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    found = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        content, place = path.read_bytes(), 0
        while place < len(content):
            (length,) = struct.unpack_from("<Q", content, place)
            event = Event.FromString(content[place + 12 : place + 12 + length])
            place += 12 + length + 4
            if event.session_log.status == SessionLog.START:
                found = {step: numbers for step, numbers in found.items() if step < event.step}
            for value in event.summary.value:
                found.setdefault(event.step, {})[value.tag] = value.simple_value
    return found


def test_events_are_the_metrics_over_resumes_too(train):
    pytest.importorskip("tensorboardX")
    run = train(train_iter=3, save_checkpoint_steps=2)
    (run / "checkpoints" / "0000003" / "trainer.ckpt").unlink()  # iteration 3 will be another one
    train(train_iter=4, gen_lr_train=1e-5, resume=True)
    found = scalars(run / "events")
    assert list(found) == [1, 2, 3, 4]
    for row in rows(run):
        numbers = found[int(row.pop("iteration"))]
        assert numbers.pop("seconds_per_iteration") > 0
        assert numbers == pytest.approx({name: float(value) for name, value in row.items()})


def test_no_events_without_tensorboardx(train, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX.record_writer", None)
    assert not (train(train_iter=1) / "events").exists()
