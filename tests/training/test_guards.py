"""Steps that are not taken, and larger batches than memory holds."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn
from PIL import Image

from src.checkpoint import read_network
from src.data.samples import TrainingSamples
from src.training.average import Average
from src.training.train_step import TrainOneStepCell
from tests.training.conftest import assert_same, rows, weights
from tests.training.test_trainer import refused


@pytest.fixture
def spoilt(monkeypatch):
    """spoilt({3, 4}): those samples, counted from 0, have an image with a number in it that is none."""
    getitem = TrainingSamples.__getitem__

    def spoilt(samples):
        def get(self, k):
            image, *rest = getitem(self, k)
            if k in samples:
                image = image.copy()
                image[0, 5, 5] = np.nan
            return image, *rest

        monkeypatch.setattr(TrainingSamples, "__getitem__", get)

    return spoilt


@pytest.mark.parametrize("mode", ["pynative", pytest.param("graph", marks=pytest.mark.slow)])
def test_a_step_that_is_not_finite_changes_nothing(train, spoilt, mode):
    """But the count: weights, moments, batch statistics, spectral norms and the average are those from before."""
    spoilt({2})
    run = train(train_iter=3, save_checkpoint_steps=1, ema_decay=0.9, mode=mode)
    assert [row["skipped_steps"] for row in rows(run)] == ["0", "1", "1"]
    assert [row["generator_loss"] == "nan" for row in rows(run)] == [False, True, False]
    for network in ("generator", "discriminator", "generator_ema", "trainer"):
        first, second, third = (weights(run, i, network) for i in (1, 2, 3))
        changed = {name for name in first if not np.array_equal(first[name], second[name])}
        assert changed == ({"skipped"} if network == "trainer" else set())
        assert {name for name in first if not np.array_equal(second[name], third[name])}
    infos = [read_network(run / "checkpoints" / "0000003" / f"{n}.ckpt")[1] for n in ("generator", "discriminator")]
    assert [info.batches_tracked for info in infos] == [2, 6]


def test_skipped_steps_are_counted_across_resumes(train, spoilt, capsys):
    spoilt({2, 3, 4, 8, 9, 10, 11, 12, 13})
    straight = train("straight", train_iter=5, max_skipped_steps=3)
    train("parts", train_iter=2, max_skipped_steps=3)
    assert_same(straight, train("parts", train_iter=5, max_skipped_steps=3, resume=True), 5)
    assert [row["skipped_steps"] for row in rows(straight)] == ["0", "1", "2", "2", "3"]
    line = refused(capsys, train, "parts", train_iter=9, max_skipped_steps=3, resume=True)
    run = straight.with_name("parts")
    assert line.startswith(
        "iteration 7: losses or gradients are not finite, and were not 3 times in a row; "
        f"{run}/bad_batch.png shows the batch. --resume with a lower "
    )
    with np.load(run / "bad_batch.npz") as batch:
        assert {name: batch[name].shape for name in batch} == {
            "image": (2, 3, 128, 128), "mask": (2, 1, 128, 128), "edge": (2, 1, 128, 128), "gray": (2, 1, 128, 128),
        }  # fmt: skip
        assert np.isnan(batch["image"]).sum() == 2
    with Image.open(run / "bad_batch.png") as sheet:
        assert sheet.size == (4 * 132 + 4, 14 + 2 * 132)


class Square(nn.Cell):
    """(a x - b)², mean over the batch."""

    def __init__(self, start: np.ndarray) -> None:
        super().__init__()
        self.dense = nn.Dense(3, 2, weight_init=Tensor(start), bias_init="zeros")

    def construct(self, x, y):
        output = self.dense(x)
        return ((output - y) ** 2).mean(), output


START = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)


def stepped(x, y, **options) -> tuple[np.ndarray, tuple]:
    network = Square(START)
    results = TrainOneStepCell(network, nn.SGD(network.trainable_params(), 1.0), **options)(x, y)
    return network.dense.weight.asnumpy(), results


def test_two_batches_of_two_are_one_of_four(mode, rand):
    x, y = rand(4, 3), rand(4, 2)
    (whole, (loss, output)), (parts, (mean, joined)) = stepped(x, y), stepped(x, y, accumulate=2)
    np.testing.assert_allclose(parts, whole, atol=1e-6)
    np.testing.assert_allclose(mean.asnumpy(), loss.asnumpy(), rtol=1e-6)
    np.testing.assert_allclose(joined.asnumpy(), output.asnumpy(), atol=1e-6)


def test_long_gradients_are_shortened(mode, rand):
    x, y = rand(4, 3), rand(4, 2)
    network = Square(START)
    full = stepped(x, y)[0] - START
    bias = TrainOneStepCell(network, nn.SGD(network.trainable_params(), 1.0))
    bias(x, y)
    norm = np.sqrt((full**2).sum() + (network.dense.bias.asnumpy() ** 2).sum())
    for limit, factor in ((0.5 * norm, 0.5), (2 * norm, 1)):
        np.testing.assert_allclose(stepped(x, y, clip=limit)[0] - START, factor * full, rtol=1e-4)
    np.testing.assert_allclose(stepped(x, y, clip=0.5 * norm, accumulate=2)[0] - START, 0.5 * full, rtol=1e-4)


def test_the_average_follows_the_weights(mode, rand):
    network = Square(START)
    average = Average(network, 0.9)
    step = TrainOneStepCell(network, nn.SGD(network.trainable_params(), 0.1), average=average)
    expected = START
    average.updates.set_data(Tensor(79, ms.int32))
    for updates in range(79, 83):  # the decay reaches 0.9 at 80
        step(rand(4, 3), rand(4, 2))
        decay = min(0.9, (1 + updates) / (10 + updates))
        expected = decay * expected + (1 - decay) * network.dense.weight.asnumpy()
    assert average.updates.asnumpy() == 83
    np.testing.assert_allclose(average.named()["dense.weight"].asnumpy(), expected, rtol=1e-5)


def test_the_average_follows_batch_statistics(mode):
    norm = nn.BatchNorm2d(2)
    average = Average(norm, 0.9)
    norm.moving_mean.set_data(Tensor(np.array([1, -2], np.float32)))
    for expected in (0.9, 0.9 + 9 / 11 * 0.1):
        average()
        np.testing.assert_allclose(average.named()["moving_mean"].asnumpy(), [expected, -2 * expected], rtol=1e-5)


def test_a_run_in_small_batches_with_short_gradients_and_an_average(train, tmp_path):
    """Its iterations see the same images; its average is a file that training can start from."""
    options = {"ema_decay": 0.5, "clip_grad_norm": 0.1, "batch_size": 1, "gradient_accumulation": 2}
    straight = train("straight", **options, train_iter=3, finetune_iter=1)
    for done in (1, 3):
        train("parts", **options, train_iter=done, resume=done > 1)
    parts = train("parts", **options, train_iter=3, finetune_iter=1, resume=True)
    assert_same(straight, parts, 4)
    averages = weights(straight, 4, "generator_ema"), weights(parts, 4, "generator_ema")
    for name, array in averages[0].items():
        np.testing.assert_array_equal(array, averages[1][name])
    assert np.any(averages[0]["conv.weight"] != weights(straight, 4)["conv.weight"])
    assert np.any(averages[0]["norm.moving_mean"] != weights(straight, 4)["norm.moving_mean"])
    file = straight / "checkpoints" / "last"
    file = file.parent / file.read_text().strip() / "generator_ema.ckpt"
    started = train("started", train_iter=1, gen_lr_train=1e-12, init_checkpoint=file)
    np.testing.assert_allclose(weights(started, 1)["conv.weight"], averages[0]["conv.weight"], atol=1e-8)
