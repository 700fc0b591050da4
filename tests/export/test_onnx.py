"""ONNX files: they compute what the checkpoint computes, on both runtimes, where there is no MindSpore."""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops
from PIL import Image

import infer as infer_py
import src
from model_utils.entry import run
from src.ctsdg.seamless import Seamless
from src.errors import InputError
from src.export.read_mindir import read_mindir
from src.export.trial import example_inputs
from src.inference.inpainter import Inpainter
from src.inference.onnx_runtimes import OpenVINO, load_onnx
from src.layers.membrane import Membrane
from src.models import all_models, get_model
from tests.command_line import ROOT, words
from tests.onnx_files import RUNTIMES, from_mindir, has_bfloat16, require_packages

require_packages()
INFO = get_model("ctsdg").info("generator", image_size=128, edge_mode="clean", sigma=1.5)


@pytest.fixture(scope="module")
def onnx_file(mindir, tmp_path_factory) -> Path:
    return from_mindir(mindir, tmp_path_factory.mktemp("onnx"))


def refusal(path: Path, chosen: dict | None = None, **options: object) -> str:
    with pytest.raises(InputError) as error:
        Inpainter(path, chosen=chosen, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_every_primitive_has_a_row(mindir):
    """DGTS's are in tests/dgts/test_commands.py; whoever adds a model adds such a test."""
    from src.export.mindir_to_onnx import missing_rows

    assert [model.name for model in all_models() if model.build] == ["ctsdg", "dgts"]
    assert list(missing_rows(read_mindir(mindir))) == []


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_file_computes_what_the_checkpoint_computes(runtime, onnx_file, checkpoint):
    arrays = example_inputs(INFO, 3)
    exported, inpainter = Inpainter(onnx_file, runtime=runtime), Inpainter(checkpoint)
    assert (exported.info, exported.batch_size) == (inpainter.info, 2)
    np.testing.assert_allclose(exported.complete(**arrays), inpainter.complete(**arrays), rtol=0, atol=1e-3)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_threads_may_share_a_network(runtime, onnx_file):
    arrays = example_inputs(INFO, 8)
    inpainter = Inpainter(onnx_file, runtime=runtime)
    expected, found = inpainter.complete(**arrays), {}

    def complete(i: int) -> None:
        for _ in range(3):
            found[i] = inpainter.complete(**{name: array[2 * i : 2 * i + 2] for name, array in arrays.items()})

    threads = [threading.Thread(target=complete, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_allclose(np.concatenate([found[i] for i in range(4)]), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_infer_needs_no_mindspore(runtime, onnx_file, tmp_path):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (128, 128, 3), np.uint8)).save(tmp_path / "image.png")
    mask = np.zeros((128, 128), np.uint8)
    mask[20:70, 30:80] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    options = {"checkpoint_path": onnx_file, "runtime": runtime, "output": tmp_path / "out.png"}
    options |= {"image": tmp_path / "image.png", "mask": tmp_path / "mask.png"}
    code = "import runpy, sys; sys.modules['mindspore'] = None; runpy.run_path('infer.py', run_name='__main__')"
    subprocess.run([sys.executable, "-c", code, *words(options)], cwd=ROOT, check=True)
    before, after = (np.asarray(Image.open(tmp_path / name)) for name in ("image.png", "out.png"))
    np.testing.assert_array_equal(before[mask == 0], after[mask == 0])
    assert (before[mask > 0] != after[mask > 0]).any()


@pytest.mark.slow
def test_export_tries_the_file_with_both_runtimes(checkpoint, mindir, tmp_path):
    path = tmp_path / "small.onnx"
    options = {"checkpoint_path": checkpoint, "output_path": path, "export_batch_size": 2}
    done = subprocess.run(
        [sys.executable, ROOT / "export.py", *words(options)], check=True, capture_output=True, text=True
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("largest difference")]
    assert len(lines) == 2
    for line, runtime in zip(lines, RUNTIMES, strict=True):
        assert f"with {runtime}: " in line
        assert float(line.rsplit(" ", 1)[1]) <= 1e-3
    own, other = (json.loads(file.with_suffix(".json").read_text()) for file in (path, mindir))
    assert own | {"sha256": ""} == other | {"sha256": ""}


def test_what_does_not_go_together_is_refused(onnx_file, mindir, checkpoint, capsys):
    assert "onnxruntime computes in float32 alone" in refusal(onnx_file, runtime="onnxruntime", precision="bfloat16")
    assert "has width 0.02, not 1.0" in refusal(onnx_file, {"width": 1.0})
    for path in (checkpoint, mindir):
        assert refusal(path, runtime="openvino") == f"--runtime openvino is for .onnx files; leave it out for {path}"
        assert "--precision float32 is for .onnx files" in refusal(path, precision="float32")
    images = ROOT / "tests" / "fixtures" / "ctsdg"
    options = {"image": images / "images", "mask": images / "masks", "output": "none", "checkpoint_path": onnx_file}
    with pytest.raises(SystemExit) as stop:
        run(infer_py.main, words(options | {"device_target": "GPU"}))
    assert stop.value.code == 2
    assert "runs on the CPU; give a checkpoint" in capsys.readouterr().err


def test_bfloat16_is_refused_where_the_cpu_has_none(onnx_file):
    if has_bfloat16():
        arrays = example_inputs(INFO, 2)
        rough, exact = (Inpainter(onnx_file, precision=p).complete(**arrays) for p in ("bfloat16", "float32"))
        difference = np.square(rough - exact).mean()
        assert 0 < difference < 2**2 / 10**4.0  # 40 dB: these weights are none that anybody trained
    else:
        assert "this CPU does not compute in it" in refusal(onnx_file, precision="bfloat16")


def test_missing_packages_are_one_line(onnx_file, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    line = ".onnx files need openvino, not installed here: pip install -r requirements-onnx.txt"
    assert refusal(onnx_file) == line


def test_a_damaged_file_is_refused(onnx_file, tmp_path):
    copy = Path(shutil.copy(onnx_file, tmp_path))
    assert "has no small.json beside it" in refusal(copy)
    shutil.copy(onnx_file.with_suffix(".json"), tmp_path)
    content = copy.read_bytes()
    copy.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert "is damaged, or not the file that small.json was written for" in refusal(copy)


class Loop(nn.Cell):
    """Halves x until its sum is at most `limit`, five times at most: x (B, 3) -> x, number of rounds."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = Tensor(np.full((3, 3), 0.5 / 3, np.float32))

    def construct(self, x, limit):
        rounds, most = Tensor(0, ms.int32), Tensor(5, ms.int32)
        while rounds < most and x.sum() > limit:
            x = ops.matmul(x, self.scale)
            rounds = rounds + 1
        return x, rounds


@pytest.fixture
def save(tmp_path):
    """save(cell, inputs): the cell's ONNX file; a dictionary names the inputs."""

    def save(cell: nn.Cell, inputs: dict, outputs: tuple[str, ...]) -> Path:
        import onnx

        from src.export.mindir_to_onnx import translate

        path = tmp_path / "cell.mindir"
        ms.export(cell, *map(Tensor, inputs.values()), file_name=str(path), file_format="MINDIR")
        model = translate(read_mindir(path), list(inputs), outputs)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, str(path.with_suffix(".onnx")))
        return path.with_suffix(".onnx")

    return save


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_loop_runs_as_often_as_it_should(runtime, save):
    x = np.ones((2, 3), np.float32)
    network = load_onnx(save(Loop(), {"x": x, "limit": np.float32(0)}, ("halved", "rounds")), runtime)
    for limit, rounds in ((10, 0), (2, 2), (0, 5), (6, 0)):
        found, count = network(x, np.array(limit, np.float32))
        assert count == rounds
        np.testing.assert_allclose(found, x * 0.5**rounds, rtol=1e-6)


class Unknown(nn.Cell):
    def construct(self, x):
        return ops.erfinv(x)


def test_a_primitive_without_a_row_is_named_with_its_layer(save):
    with pytest.raises(InputError, match=r"the primitive Erfinv of .*Unknown.* has no row in src/export/onnx_rows.py"):
        save(nn.SequentialCell(Unknown()), {"x": np.zeros(3, np.float32)}, ("y",))


class Odd(nn.Cell):
    """What ONNX writes down otherwise than MindSpore: x (2, 3, 8, 8) -> the same in parts."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, stride=(1, 2), pad_mode="pad", padding=(2, 1, 0, 3), dilation=(2, 1), group=3)
        self.pool = nn.MaxPool2d(3, 2, pad_mode="pad", padding=1)
        self.pad = nn.ReflectionPad2d((1, 2, 3, 0))

    def construct(self, x):
        resized = [
            ops.interpolate(x, size=(11, 5), mode="bilinear", align_corners=corners) for corners in (False, True)
        ]
        cut = x[:, 1, 2:7:2, ::3]
        return self.conv(x), self.pool(x), self.pad(x), *resized, cut, (x > 0).astype(ms.int32) + x


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_rows_agree_with_mindspore(runtime, save, rand):
    cell, x = Odd(), rand(2, 3, 8, 8)
    expected = cell(x)
    network = load_onnx(save(cell, {"x": x.asnumpy()}, tuple("abcdefg")), runtime)
    for found, wanted in zip(network(x.asnumpy()), expected, strict=True):
        np.testing.assert_allclose(found, wanted.asnumpy(), rtol=0, atol=1e-5)


class Fold(nn.Cell):
    """Blocks of (2, 3) channels, of that kernel, stride and padding, folded to an image of that size."""

    def __init__(self, size: tuple, kernel: tuple, stride: tuple, padding: tuple) -> None:
        super().__init__()
        self.size, self.options = size, {"kernel_size": kernel, "stride": stride, "padding": padding}

    def construct(self, x):
        return ops.fold(x, ops.tuple_to_array(self.size), **self.options)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "patches", "native"),
    [
        ((8, 12), (4, 4), (2, 2), (1, 1), 4 * 6, False),  # overlapping, as CTSDG's attention
        ((6, 12), (3, 4), (3, 2), (0, 1), 2 * 6, False),  # side by side in one direction
        ((8, 8), (6, 1), (2, 1), (1, 0), 3 * 8, False),  # three deep
        ((8, 6), (10, 6), (8, 6), (1, 0), 1, False),  # a single one, whose stride does not matter: as CTSDG's strip
        ((8, 8), (4, 8), (2, 3), (1, 0), 4, False),  # a single one across
        ((8, 8), (4, 8), (3, 8), (1, 0), 3, True),  # no whole number of strides
        ((7, 8), (2, 2), (2, 2), (0, 0), 3 * 4, True),  # a last row that no patch covers
    ],
)
def test_folds_agree_with_mindspore(size, kernel, stride, padding, patches, native, save, rand):
    import onnx

    cell, x = Fold(size, kernel, stride, padding), rand(2, 3, kernel[0] * kernel[1], patches)
    file = save(cell, {"x": x.asnumpy()}, ("y",))
    assert ("Col2Im" in {node.op_type for node in onnx.load(file).graph.node}) == native
    for runtime in RUNTIMES:
        (found,) = load_onnx(file, runtime)(x.asnumpy())
        np.testing.assert_allclose(found, cell(x).asnumpy(), rtol=0, atol=1e-5)


class Tiles(nn.Cell):
    """column (2, 1, 4), row (1, 3, 1), x (2, 3, 4) -> products of tiles with x, with each other, and of other tiles."""

    def construct(self, column, row, x):
        column, row = ops.tile(column, (1, 3, 1)), ops.tile(row, (2, 1, 4))
        return column * x, x - row, column + row, ops.tile(x, (1, 2, 1)) * 2.0


def test_tiles_are_left_out_where_the_operator_repeats_by_itself(save, rand):
    import onnx

    cell, inputs = Tiles(), [rand(2, 1, 4), rand(1, 3, 1), rand(2, 3, 4)]
    names = {"column": inputs[0].asnumpy(), "row": inputs[1].asnumpy(), "x": inputs[2].asnumpy()}
    file = save(cell, names, tuple("abcd"))
    tiles = [node.input[0] for node in onnx.load(file).graph.node if node.op_type == "Tile"]
    assert tiles == ["x"]
    for runtime in RUNTIMES:
        for found, wanted in zip(load_onnx(file, runtime)(*names.values()), cell(*inputs), strict=True):
            np.testing.assert_array_equal(found, wanted.asnumpy())


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_membrane_is_the_same(runtime, save, rand):
    known = np.ones((2, 1, 128, 256), np.float32)
    known[0, :, 20:90, 30:60] = known[1, :, :, 100:] = 0
    values = rand(2, 3, 128, 256)
    network = load_onnx(save(Membrane(), {"values": values.asnumpy(), "known": known}, ("filled",)), runtime)
    (found,) = network(values.asnumpy(), known)
    np.testing.assert_allclose(found, Membrane()(values, Tensor(known)).asnumpy(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_seamless_output_is_the_same(runtime, save, rand):
    mask = np.ones((2, 1, 128, 128), np.float32)
    mask[0, :, 20:90, 30:60] = mask[1, :, :, 50:] = 0
    arrays = {"output": rand(2, 3, 128, 128).asnumpy(), "image": rand(2, 3, 128, 128).asnumpy(), "mask": mask}
    (found,) = load_onnx(save(Seamless(), arrays, ("seamless",)), runtime)(*arrays.values())
    expected = Seamless()(*map(Tensor, arrays.values())).asnumpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_openvino_is_not_held_to_the_instructions_of_mindspore(onnx_file):
    """MindSpore's convolutions need a limit that would bar AVX-512: here SSE, which every host exceeds."""
    code = f"""
import os, src
os.environ[src.ISA_VARIABLE] = src.MINDSPORE_ISA = "SSE41"
from pathlib import Path
from src.inference.onnx_runtimes import OpenVINO
network = OpenVINO(Path({str(onnx_file)!r}), "float32")
for node in network.compiled.get_runtime_model().get_ops():
    print(node.get_rt_info()["primitiveType"].astype(str))
print(os.environ[src.ISA_VARIABLE])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    *kernels, limit = done.stdout.split()
    assert limit == "SSE41"
    assert any("avx" in kernel for kernel in kernels)
    assert not any("sse" in kernel for kernel in kernels)


def test_openvino_is_asked_for_bfloat16_without_that_limit(monkeypatch):
    """OpenVINO reads the limit once, when it is first asked anything."""
    import openvino

    limits = []

    class Core:
        def get_property(self, device: str, name: str) -> list[str]:
            limits.append(os.environ.get(src.ISA_VARIABLE))
            return ["BF16"]

        def compile_model(self, *_: object) -> None:
            limits.append(os.environ.get(src.ISA_VARIABLE))

    monkeypatch.setattr(openvino, "Core", Core)
    monkeypatch.setenv(src.ISA_VARIABLE, src.MINDSPORE_ISA)
    OpenVINO(Path("model.onnx"), "bfloat16")
    assert limits == [None, None]
    assert os.environ[src.ISA_VARIABLE] == src.MINDSPORE_ISA
