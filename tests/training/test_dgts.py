"""Training of DGTS's generator and of its upsampler: rates, what is frozen, resuming, what files say.

The loop and the data are the real ones, the networks tiny stand-ins; the real ones are in tests/dgts.
"""

from dataclasses import replace

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops

import train as train_py
from model_utils.entry import run
from src.checkpoint import read_network, save_network
from src.dgts.generator import Generator
from src.dgts.low_resolution import HalveBicubic, working_image
from src.dgts.upsampler.training import UpsamplerTraining
from src.layers.spectral_norm import SpectralNormConv2d
from src.models import REGISTRY, get_model
from src.network_info import NetworkInfo
from tests.command_line import words
from tests.training.conftest import rows, weights

SMALL = {"image_size": 128, "width": 0.1, "batch_size": 2, "train_iter": 2, "log_frequency_step": 1, "mode": "pynative"}
DGTS = {"model": "dgts", "pretrained_resnet": "none", "perceptual_loss_w": 0, "style_loss_w": 0, "weight_decay": 0.5}
UPSAMPLER = {"model": "upsampler", "perceptual_loss_w": 0, "vgg_loss_w": 0}
NETWORKS = {"dgts": ("generator",), "upsampler": ("upsampler", "discriminator")}


class TinyBackbone(nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        self.frozen, self.conv = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 3, 3)
        self.frozen.weight.requires_grad = False

    def construct(self, x):
        return self.conv(self.frozen(x))


class TinyGenerator(nn.Cell):
    """A generator of a backbone and one convolution."""

    def __init__(self, info) -> None:
        super().__init__()
        self.encoder = nn.Cell()
        self.encoder.backbone = TinyBackbone()
        self.conv = nn.Conv2d(3, 3, 3)
        TinyGenerator.options = info.matching_lambda, info.fill_order, info.sequential_steps

    def construct(self, image, mask, order=None, key=0):
        known = working_image(image * mask)
        return known + self.conv(self.encoder.backbone(known)), ms.Tensor([[-1]], ms.int32)


class TinyUpsampler(nn.Cell):
    """An upsampler of one convolution and one batch norm; `lows` are the small images it was given."""

    lows: tuple = ()

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(7, 3, 3), nn.BatchNorm2d(3)

    def construct(self, masked, low):
        TinyUpsampler.lows += (low.asnumpy(),)
        return ops.tanh(self.norm(self.conv(ops.cat((masked, ops.tile(low, (1, 1, 8, 8))), axis=1))))


class TinyDiscriminator(nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        self.conv = SpectralNormConv2d(3, 1, 3, padding=1)

    def construct(self, image):
        return (self.conv(image),)


class TinyUpsamplerTraining(UpsamplerTraining):
    def make_networks(self):
        return {"upsampler": TinyUpsampler(), "discriminator": TinyDiscriminator()}


TINY_DGTS = replace(get_model("dgts"), network=TinyGenerator)
TINY_UPSAMPLER = replace(get_model("upsampler"), training="tests.training.test_dgts:TinyUpsamplerTraining")


@pytest.fixture
def train(tmp_path, images, monkeypatch):
    """train("name", option=value, …): the folder that train.py wrote."""
    monkeypatch.setattr(TinyUpsampler, "lows", ())

    def train(name, **options):
        with monkeypatch.context() as patch:
            patch.setitem(REGISTRY, options["model"], f"tests.training.test_dgts:TINY_{options['model'].upper()}")
            run(train_py.main, words(SMALL | {"data_root": images, "save_path": tmp_path / name} | options))
        return tmp_path / name

    return train


def refused(capsys, train, **options) -> str:
    with pytest.raises(SystemExit) as stop:
        train("refused", **options)
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("error: ")


def test_the_backbone_has_a_rate_of_its_own_and_weights_decay(train):
    run = train("dgts", **DGTS, train_iter=2, gen_lr_train=1e-3, backbone_lr=1e-4, save_checkpoint_steps=1)
    before, after = weights(run, 1), weights(run, 2)
    state = weights(run, 2, "trainer")
    rates = sorted(float(value) for name, value in state.items() if "learning_rate" in name)
    assert rates == pytest.approx([1e-4, 1e-3])
    for name, rate in (("encoder.backbone.conv.weight", 1e-4), ("conv.weight", 1e-3)):
        # Adam's second step is about the rate; what is beyond, on average, is the decay.
        change = np.abs(after[name] - (1 - rate * 0.5) * before[name])
        assert 0.5 * rate < np.median(change) < 1.1 * rate
    np.testing.assert_array_equal(before["encoder.backbone.frozen.weight"], after["encoder.backbone.frozen.weight"])
    assert list(rows(run)[0]) == [
        "iteration", "stage", "loss_hole", "loss_perceptual", "loss_style", "generator_loss", "skipped_steps",
    ]  # fmt: skip
    assert float(rows(run)[1]["generator_loss"]) == pytest.approx(10 * float(rows(run)[1]["loss_hole"]), rel=1e-5)


def test_training_fills_fewer_patches_in_turn_than_what_its_files_say(train):
    run = train("dgts", **DGTS, train_iter=1, matching_lambda=0.3, fill_order="raster", train_sequential_steps=5)
    assert TinyGenerator.options == (0.3, "raster", 5)
    _, info, _ = read_network(run / "checkpoints" / "0000001" / "generator.ckpt")
    assert info.facts() == {
        "model": "dgts",
        "network": "generator",
        "width": 0.1,
        "image_size": 128,
        "matching_lambda": 0.3,
        "fill_order": "raster",
        "sequential_steps": 64,
        "iteration": 1,
    }


@pytest.mark.parametrize("options", [DGTS, UPSAMPLER], ids=["dgts", "upsampler"])
def test_resuming_is_as_if_never_stopped(train, options):
    whole = train("whole", **options, train_iter=2)
    train("parts", **options, train_iter=1)
    parts = train("parts", **options, train_iter=2, resume=True)
    for network in (*NETWORKS[options["model"]], "trainer"):
        (a, info_a, _), (b, info_b, _) = (
            read_network(r / "checkpoints" / "0000002" / f"{network}.ckpt") for r in (whole, parts)
        )
        assert (info_a, list(a)) == (info_b, list(b))
        for name, array in a.items():
            np.testing.assert_array_equal(array, b[name], err_msg=f"{network} {name}")
    assert rows(whole) == rows(parts)
    assert (whole / "samples" / "0000002.png").is_file()


def test_the_upsampler_and_its_discriminator_learn_at_two_rates(train):
    run = train("up", **UPSAMPLER, train_iter=1, gen_lr_train=1e-3)
    state = weights(run, 1, "trainer")
    assert float(state["upsampler.learning_rate"]) == pytest.approx(1e-3)
    assert float(state["discriminator.learning_rate"]) == pytest.approx(4e-3)
    _, info, _ = read_network(run / "checkpoints" / "0000001" / "upsampler.ckpt")
    assert (info.model, info.batches_tracked) == ("upsampler", 2)
    assert "fill_order" not in info.facts()


def test_the_upsampler_learns_on_true_small_images_or_on_those_of_a_generator(train, tmp_path):
    true = train("true", **UPSAMPLER, train_iter=1)
    lows = TinyUpsampler.lows
    assert [low.shape for low in lows] == [(2, 3, 16, 16)] * 2
    np.testing.assert_array_equal(*lows)

    generator = Generator(0.02, 128)
    save_network(
        tmp_path / "generator.ckpt", generator, get_model("dgts").info("generator", width=0.02, image_size=128)
    )
    made = train("made", **UPSAMPLER, train_iter=1, low_res_from=tmp_path)
    assert np.abs(TinyUpsampler.lows[-1] - lows[0]).max() > 0.01
    assert rows(true) != rows(made)


def test_true_small_images_are_what_inference_would_see_without_a_hole(rand):
    image = ops.tanh(rand(1, 3, 128, 128))
    generator = Generator(0.02, 128)
    completed, _ = generator.set_train(False)(image, ops.ones((1, 1, 128, 128), ms.float32))
    halve = HalveBicubic(32)
    np.testing.assert_allclose(halve(completed).asnumpy(), halve(working_image(image)).asnumpy(), atol=1e-6)


def test_what_users_get_wrong(train, capsys, tmp_path):
    line = refused(capsys, train, **DGTS | {"pretrained_resnet": ""})
    assert line.startswith("the backbone starts from --pretrained_resnet FILE.ckpt (convert.py makes it from")
    line = refused(capsys, train, **DGTS, init_checkpoint=tmp_path)
    assert line.startswith("--pretrained_resnet and --init_checkpoint both say")
    line = refused(capsys, train, **DGTS | {"pretrained_resnet": tmp_path / "r.ckpt"})
    assert "torchvision's ResNet-50 has width 1.0, not 0.1" in line
    assert "r.ckpt does not exist" in refused(
        capsys, train, **DGTS | {"pretrained_resnet": tmp_path / "r.ckpt", "width": 1}
    )
    line = refused(capsys, train, **DGTS, finetune_iter=3)
    assert line == "--finetune_iter 3: dgts trains in one stage; leave it out"
    assert refused(capsys, train, **UPSAMPLER, finetune_iter=3).startswith("--finetune_iter 3: upsampler trains in one")
    assert refused(capsys, train, **DGTS, sigma=3) == "--sigma 3.0: dgts does not use it, only ctsdg does; leave it out"
    assert "only dgts does" in refused(capsys, train, **UPSAMPLER, backbone_lr=1)
    line = refused(capsys, train, **DGTS | {"style_loss_w": 1})
    assert "torchvision's VGG19); --perceptual_loss_w 0 --style_loss_w 0 trains without them" in line

    path = tmp_path / "vgg19.ckpt"
    save_network(path, {"a": np.zeros(3, np.float32)}, NetworkInfo("vgg19", "vgg19"))
    line = refused(capsys, train, **UPSAMPLER | {"vgg_loss_w": 1, "pretrained_vgg": path})
    assert "holds network vgg19, not vgg19_caffe" in line
    assert "does not fit" in refused(capsys, train, **DGTS | {"style_loss_w": 1, "pretrained_vgg": path})

    path = tmp_path / "generator.ckpt"
    assert "does not exist" in refused(capsys, train, **UPSAMPLER, low_res_from=path)
    save_network(path, {"a": np.zeros(3, np.float32)}, get_model("ctsdg").info("generator"))
    assert "has model ctsdg, not dgts" in refused(capsys, train, **UPSAMPLER, low_res_from=path)
    save_network(path, Generator(0.02, 256), get_model("dgts").info("generator", width=0.02, image_size=256))
    assert "has image_size 256, not 128" in refused(capsys, train, **UPSAMPLER, low_res_from=path)
    assert not (tmp_path / "refused").exists()
