import pickle
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

import convert
from model_utils.entry import run
from src.checkpoint import load_network, network_file, read_network, save_network
from src.convert.names import MODELZOO, PYTORCH, infer_width, pair_names, parameter_shapes
from src.convert.vgg import TORCHVISION_UNUSED, VGG16_TABLE
from src.ctsdg import Discriminator, Generator
from src.ctsdg.convert import channel_counts, from_official, layout
from src.ctsdg.generator import ENCODER_STAGES, scaled
from src.errors import InputError
from src.losses.perceptual import VGG16Features
from src.models import get_model
from src.network_info import NetworkInfo
from tests.parity.official import (
    MODELZOO_SHAPES,
    NETWORKS,
    OFFICIAL_SHAPES,
    assert_same,
    modelzoo_states,
    official_states,
    run_convert,
    write_modelzoo,
    write_official,
    write_state,
)
from tests.parity.rule_weights import rule_state

torch = pytest.importorskip("torch")
ROOT = Path(__file__).parents[2]
WIDTH = 0.05
ALIASES = {
    name: name.replace("features.0", "conv1.0") for name in OFFICIAL_SHAPES["discriminator"] if "features" in name
}


@pytest.fixture(scope="module")
def states():
    return official_states(WIDTH)


@pytest.fixture
def official(states, tmp_path):
    return write_official(tmp_path / "official.pth", states, iteration=123)


# Tables.


@pytest.mark.parametrize("name", NETWORKS)
def test_a_table_gives_every_official_array_in_order(name):
    shapes, pairs = layout(name, 1.0, PYTORCH)
    assert {ours for ours, _ in pairs if ours} == set(shapes)
    theirs = {theirs: list(shapes[ours]) if ours else [] for ours, theirs in pairs}
    assert list(theirs.items()) == list(OFFICIAL_SHAPES[name].items())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_table_gives_every_array_of_the_model_zoo_once(name):
    shapes, pairs = layout(name, 1.0, MODELZOO)
    assert sorted(ours for ours, _ in pairs) == sorted(shapes)
    columns = {ours: [*shape, 1] if ours.endswith((".u", ".v")) else list(shape) for ours, shape in shapes.items()}
    assert {theirs: columns[ours] for ours, theirs in pairs} == MODELZOO_SHAPES[name]


def test_vgg16_has_every_array_up_to_the_third_pool():
    shapes = parameter_shapes(VGG16Features())
    pairs = pair_names(VGG16_TABLE, MODELZOO, shapes)
    assert {theirs: list(shapes[ours]) for ours, theirs in pairs} == MODELZOO_SHAPES["vgg16"]
    theirs = {theirs for _, theirs in pair_names(VGG16_TABLE, PYTORCH, shapes)}
    unused = {name for name in OFFICIAL_SHAPES["vgg16_features"] if name.rsplit(".", 1)[0] in TORCHVISION_UNUSED}
    assert theirs | unused == set(OFFICIAL_SHAPES["vgg16_features"])
    assert not theirs & unused


# The official code.


def test_official_to_ours_and_back_is_exact(states, official, tmp_path):
    ours = run_convert("official", "ctsdg", official, tmp_path / "ours")
    back = torch.load(run_convert("ours", "ctsdg", ours, tmp_path / "back.pth"), weights_only=True)
    assert list(back) == ["n_iter", *NETWORKS]
    assert back["n_iter"] == 123
    for name in NETWORKS:
        assert_same(back[name], states[name])


@pytest.mark.slow
def test_the_way_back_is_exact_at_full_width(tmp_path):
    states = official_states(salt=7)
    ours = run_convert("official", "ctsdg", write_official(tmp_path / "official.pth", states), tmp_path / "ours")
    back = torch.load(run_convert("ours", "ctsdg", ours, tmp_path / "back.pth"), weights_only=True)
    for name in NETWORKS:
        assert_same(back[name], states[name])


def test_counters_that_differ_come_back_too(states, tmp_path):
    generator = dict(states["generator"])
    for i, name in enumerate(name for name in generator if name.endswith("num_batches_tracked")):
        generator[name] = np.array(i, np.int64)
    path = write_official(tmp_path / "official.pth", states | {"generator": generator})
    ours = run_convert("official", "ctsdg", path, tmp_path / "ours")
    assert read_network(ours / "generator.ckpt")[1].batches_tracked == i
    back = torch.load(run_convert("ours", "ctsdg", ours, tmp_path / "back.pth"), weights_only=True)
    assert_same(back["generator"], generator)


def test_weights_that_are_not_finite_are_not_converted(states, tmp_path):
    name = "bigff.texture_gamma"
    wrong = states["generator"] | {name: np.full_like(states["generator"][name], np.nan)}
    path = write_official(tmp_path / "official.pth", states | {"generator": wrong})
    with pytest.raises(InputError, match=rf"\(generator\) does not fit: not finite: {name}$"):
        from_official(path, tmp_path / "ours", seamless=False, edge_mode="published", image_size=256)


def test_a_converted_network_says_what_it_is(official, tmp_path):
    ours = run_convert("official", "ctsdg", official, tmp_path / "ours")
    for name in NETWORKS:
        _, info, _ = read_network(network_file(ours, name))
        assert info == get_model("ctsdg").info(
            name, width=WIDTH, align_corners=False, edge_mode="published", iteration=123
        )


def test_the_later_name_of_a_twice_registered_convolution_counts(states, official, tmp_path):
    ours = run_convert("official", "ctsdg", official, tmp_path / "ours")
    discriminator = Discriminator(WIDTH)
    load_network(ours / "discriminator.ckpt", discriminator, get_model("ctsdg").info("discriminator", width=WIDTH))
    weight = discriminator.texture_branch.stages[0][0].weight.asnumpy()
    np.testing.assert_array_equal(weight, states["discriminator"]["texture_branch.features.0.weight_orig"])
    assert (weight != states["discriminator"]["texture_branch.conv1.0.weight_orig"]).any()


def test_trained_networks_have_one_such_convolution_and_their_own_counters(tmp_path):
    for name, make, batches in (("generator", Generator, 3), ("discriminator", Discriminator, 9)):
        info = get_model("ctsdg").info(name, width=WIDTH, iteration=3, batches_tracked=batches)
        save_network(tmp_path / f"{name}.ckpt", make(WIDTH), info)
    content = torch.load(run_convert("ours", "ctsdg", tmp_path, tmp_path / "out.pth"), weights_only=True)
    assert content["n_iter"] == 3
    for name, batches in (("generator", 3), ("discriminator", 9)):
        assert list(content[name]) == list(OFFICIAL_SHAPES[name])
        counters = {key: value for key, value in content[name].items() if key.endswith("num_batches_tracked")}
        assert {(value.item(), value.dtype, value.shape) for value in counters.values()} == {(batches, torch.int64, ())}
    state = content["discriminator"]
    assert all(torch.equal(state[name], state[first]) for name, first in ALIASES.items())


def test_dataparallel_prefixes_are_taken_off(states, official, tmp_path):
    wrapped = {name: {f"module.{key}": array for key, array in state.items()} for name, state in states.items()}
    parallel = run_convert(
        "official", "ctsdg", write_official(tmp_path / "wrapped.pth", wrapped), tmp_path / "parallel"
    )
    plain = run_convert("official", "ctsdg", official, tmp_path / "plain")
    for name in NETWORKS:
        found, expected = (read_network(network_file(folder, name))[0] for folder in (parallel, plain))
        assert all(np.array_equal(found[key], array) for key, array in expected.items())


@pytest.mark.parametrize("width", [1.0, 0.5, 0.25, 0.1, 0.125, 0.05, 1.5, 0.3, 0.01])
def test_width_follows_from_the_channels(width):
    generator = {}
    for i, (channels, _) in enumerate(ENCODER_STAGES):
        generator[f"ec_texture_{i + 1}.conv.weight"] = np.zeros((scaled(channels, width), 1))
    generator["texture_feature_projection.texture_resolver.conv1.weight"] = np.zeros((scaled(16, width), 1))
    assert infer_width(channel_counts(generator, PYTORCH), scaled) == width


# The MindSpore model zoo.


def test_model_zoo_checkpoints_become_a_folder(states, tmp_path):
    for number in (5, 100000):
        for name, state in modelzoo_states(WIDTH, salt=number == 5).items():
            write_modelzoo(tmp_path / f"{name}_{number:06d}.ckpt", state)
    for path in (tmp_path, tmp_path / "generator_100000.ckpt", tmp_path / "discriminator_100000.ckpt"):
        ours = run_convert("modelzoo", "ctsdg", path, tmp_path / "ours", "--overwrite")
        for name in NETWORKS:
            arrays, info, _ = read_network(network_file(ours, name))
            assert info == get_model("ctsdg").info(name, width=WIDTH, align_corners=True, iteration=100000)
            official = {our_name: theirs for our_name, theirs in layout(name, WIDTH, PYTORCH)[1] if our_name}
            assert set(arrays) == set(official)
            for our_name, theirs in official.items():
                np.testing.assert_array_equal(arrays[our_name], states[name][theirs])


def test_a_model_zoo_generator_may_come_alone(tmp_path):
    file = write_modelzoo(tmp_path / "generator_000005.ckpt", modelzoo_states(WIDTH)["generator"])
    ours = run_convert("modelzoo", "ctsdg", file, tmp_path / "ours")
    assert [path.name for path in ours.iterdir()] == ["generator.ckpt"]


def test_weights_for_aligned_corners_do_not_go_to_the_official_code(capsys, tmp_path):
    for name, state in modelzoo_states(WIDTH).items():
        write_modelzoo(tmp_path / f"{name}_000005.ckpt", state)
    ours = run_convert("modelzoo", "ctsdg", tmp_path, tmp_path / "ours")
    assert "aligned corners" in refused(capsys, "ours", "ctsdg", ours, tmp_path / "out.pth")


def test_seamless_weights_do_not_go_to_the_official_code(capsys, tmp_path):
    for name, state in modelzoo_states(WIDTH).items():
        write_modelzoo(tmp_path / f"{name}_000005.ckpt", state)
    ours = run_convert("modelzoo", "ctsdg", tmp_path, tmp_path / "ours")
    for name in NETWORKS:
        arrays, info, _ = read_network(network_file(ours, name))
        save_network(network_file(ours, name), arrays, info.with_settings(align_corners=False, seamless=True))
    assert "seamless" in refused(capsys, "ours", "ctsdg", ours, tmp_path / "out.pth")
    settings = ["--seamless", "true", "--edge_mode", "clean", "--image_size", "128"]
    there = run_convert("ours", "ctsdg", ours, tmp_path / "out.pth", "--seamless", "true")
    back = run_convert("official", "ctsdg", there, tmp_path / "back", *settings)
    for name in NETWORKS:
        (arrays, _, _), (found, info, _) = (read_network(network_file(path, name)) for path in (ours, back))
        assert (info.seamless, info.edge_mode, info.image_size) == (True, "clean", 128)
        assert all(np.array_equal(found[key], array) for key, array in arrays.items())


# VGG16.


def vgg_state(extra: dict) -> dict:
    return rule_state(OFFICIAL_SHAPES["vgg16_features"]) | extra


@pytest.mark.parametrize("whole", [True, False])
def test_torchvision_vgg16_whole_or_features_alone(whole, tmp_path):
    classifier = {f"classifier.{i}.{leaf}": np.zeros(1, np.float32) for i in (0, 3, 6) for leaf in ("weight", "bias")}
    state = vgg_state(classifier if whole else {})
    path = write_state(tmp_path / "vgg16.pth", state)
    output = run_convert("torchvision", "vgg16", path, tmp_path / "vgg16.ckpt")
    vgg = VGG16Features()
    load_network(output, vgg, NetworkInfo("vgg16", "vgg16"))
    np.testing.assert_array_equal(vgg.stages[2][4].weight.asnumpy(), state["features.14.weight"])


def test_model_zoo_vgg16_is_the_same(tmp_path):
    zoo_names = {row[1]: row[2] for row in VGG16_TABLE}
    official = {name: array for name, array in vgg_state({}).items() if name.rsplit(".", 1)[0] in zoo_names}
    state = {f"{zoo_names[name.rsplit('.', 1)[0]]}.{name.rsplit('.', 1)[1]}": array for name, array in official.items()}
    output = run_convert("modelzoo", "vgg16", write_modelzoo(tmp_path / "zoo.ckpt", state), tmp_path / "vgg16.ckpt")
    np.testing.assert_array_equal(read_network(output)[0]["stages.1.2.bias"], official["features.7.bias"])


# What a user can get wrong.


def refused(capsys, source: str, model: str, path: Path, output: Path, *options: str) -> str:
    """The one line that convert.py ends with, having written nothing and changed nothing."""
    before = {file: file.read_bytes() for file in output.parent.rglob("*") if file.is_file()}
    argv = ["--source", source, "--model", model, "--input", str(path), "--output", str(output), *options]
    with pytest.raises(SystemExit) as stop:
        run(convert.main, argv)
    assert stop.value.code == 2
    assert {file: file.read_bytes() for file in output.parent.rglob("*") if file.is_file()} == before
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def drop(state: dict) -> str:
    del state["out_layer.0.bias"]
    return "missing: out_layer.0.bias"


def add(state: dict) -> str:
    state["surplus.weight"] = np.zeros(3, np.float32)
    return "unknown: surplus.weight"


def reshape(state: dict) -> str:
    state["out_layer.0.bias"] = np.zeros(4, np.float32)
    return "of another shape: out_layer.0.bias (is float32 (4,), not float32 (3,))"


def number(state: dict) -> str:
    state["out_layer.0.bias"] = np.zeros(3, np.int64)
    return "out_layer.0.bias (is int64"


def forget(state: dict) -> str:
    state.clear()
    return "missing: ec_texture_1.conv.weight, ec_texture_2.conv.weight"


@pytest.mark.parametrize("spoil", [drop, add, reshape, number, forget])
def test_names_and_shapes_that_do_not_fit_are_listed(capsys, states, tmp_path, spoil):
    generator = dict(states["generator"])
    expected = spoil(generator)
    path = write_official(tmp_path / "official.pth", states | {"generator": generator})
    assert expected in refused(capsys, "official", "ctsdg", path, tmp_path / "ours")


def test_networks_of_two_widths_do_not_go_together(capsys, states, tmp_path):
    mixed = {"generator": states["generator"], "discriminator": official_states(0.1)["discriminator"]}
    path = write_official(tmp_path / "official.pth", mixed)
    error = refused(capsys, "official", "ctsdg", path, tmp_path / "ours")
    assert "(discriminator) does not fit: of another shape" in error


def test_a_truncated_file_is_damaged(capsys, official, tmp_path):
    official.write_bytes(official.read_bytes()[:-1000])
    assert "damaged" in refused(capsys, "official", "ctsdg", official, tmp_path / "ours")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint\n", pickle.dumps([1, 2]), b"\x89PNG\r\n\x1a\n"])
def test_other_files_are_no_checkpoints(capsys, tmp_path, content):
    path = tmp_path / "official.pth"
    path.write_bytes(content)
    refused(capsys, "official", "ctsdg", path, tmp_path / "ours")


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", [0, 2, 4, None])
def test_code_in_a_file_does_not_run(capsys, tmp_path, protocol):
    path, content = tmp_path / "official.pth", {"n_iter": Malicious(tmp_path / "touched")}
    if protocol is None:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content, protocol))
    error = refused(capsys, "official", "ctsdg", path, tmp_path / "ours")
    assert not (tmp_path / "touched").exists()
    if protocol in (2, None):  # PyTorch's own; it reads no other
        assert "Python objects" in error


def test_what_is_not_there_is_named(capsys, tmp_path):
    missing = tmp_path / "missing.pth"
    for source, model in (("official", "ctsdg"), ("modelzoo", "ctsdg"), ("ours", "ctsdg"), ("torchvision", "vgg16")):
        error = refused(capsys, source, model, missing, tmp_path / "out.ckpt")
        assert "does not exist" in error
        assert str(tmp_path) in error


def test_a_file_of_another_model_says_what_it_holds(capsys, official, tmp_path):
    vgg = {name: torch.from_numpy(array) for name, array in vgg_state({}).items()}
    torch.save(vgg, tmp_path / "vgg16.pth")
    assert "holds features.0.weight" in refused(capsys, "official", "ctsdg", tmp_path / "vgg16.pth", tmp_path / "ours")
    error = refused(capsys, "torchvision", "vgg16", official, tmp_path / "vgg16.ckpt")
    assert "not a dict of tensors" in error


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            lambda content: content | {"optimizer": {}},
            "holds optimizer beside n_iter, generator, discriminator; save it",
        ),
        (lambda content: content | {"n_iter": torch.tensor(5)}, "its n_iter is a Tensor, not a whole number"),
        (lambda content: {"generator": {}}, "it holds generator, and lacks n_iter, discriminator"),
    ],
)
def test_a_file_that_holds_more_or_less_says_which(capsys, official, tmp_path, change, line):
    torch.save(change(torch.load(official, weights_only=True)), official)
    assert line in refused(capsys, "official", "ctsdg", official, tmp_path / "ours")


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_names_that_wrappers_of_torch_made_are_those_of_the_network(states, tmp_path, prefix):
    wrapped = {name: {f"{prefix}{key}": array for key, array in state.items()} for name, state in states.items()}
    plain, ours = (
        run_convert("official", "ctsdg", write_official(tmp_path / f"{i}.pth", content), tmp_path / f"ours{i}")
        for i, content in enumerate((states, wrapped))
    )
    for name in NETWORKS:
        found, expected = (read_network(folder / f"{name}.ckpt").arrays for folder in (ours, plain))
        for key, array in expected.items():
            np.testing.assert_array_equal(found[key], array)


def test_a_safetensors_file_is_called_so(capsys, tmp_path):
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    (tmp_path / "x.pth").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    line = refused(capsys, "official", "ctsdg", tmp_path / "x.pth", tmp_path / "ours")
    assert "x.pth is a safetensors file, which is not read here: torch.save(safetensors.torch.load_file(" in line


def test_a_checkpoint_of_ours_is_not_the_model_zoos(capsys, tmp_path):
    save_network(
        tmp_path / "generator_000005.ckpt", Generator(WIDTH), get_model("ctsdg").info("generator", width=WIDTH)
    )
    assert "--source ours" in refused(capsys, "modelzoo", "ctsdg", tmp_path, tmp_path / "ours")


def test_a_checkpoint_of_another_network_is_refused(capsys, official, tmp_path):
    ours = run_convert("official", "ctsdg", official, tmp_path / "ours")
    (ours / "generator.ckpt").write_bytes((ours / "discriminator.ckpt").read_bytes())
    error = refused(capsys, "ours", "ctsdg", ours, tmp_path / "out.pth")
    assert "holds ctsdg discriminator, not ctsdg generator" in error


def test_conversions_that_do_not_exist_are_told_from_those_that_do(capsys, official, tmp_path):
    error = refused(capsys, "official", "vgg16", official, tmp_path / "out.ckpt")
    assert "--source official --model ctsdg" in error


def test_an_existing_output_stays(capsys, official, tmp_path):
    ours = run_convert("official", "ctsdg", official, tmp_path / "ours")
    assert "--overwrite" in refused(capsys, "official", "ctsdg", official, ours)

    (ours / "trainer.ckpt").write_text("of another run")
    assert "trainer.ckpt" in refused(capsys, "official", "ctsdg", official, ours, "--overwrite")
    (ours / "trainer.ckpt").unlink()
    run_convert("official", "ctsdg", official, ours, "--overwrite")

    assert "is a folder" in refused(capsys, "ours", "ctsdg", ours, ours, "--overwrite")


def test_without_torch_one_line_says_how_to_get_it(capsys, monkeypatch, official, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    error = refused(capsys, "official", "ctsdg", official, tmp_path / "ours")
    assert "pip install -r requirements-convert.txt" in error


def test_the_command_itself(official, tmp_path):
    command = [sys.executable, "convert.py", "--source", "official", "--input", official, "--output", tmp_path / "ours"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"wrote {tmp_path / 'ours'}: generator and discriminator, width 0.05, iteration 123\n"
    assert ms.load_checkpoint(str(tmp_path / "ours" / "generator.ckpt"), crc_check=True)
