"""The registry: a model is one folder and one line, and nothing else knows its name."""

import pkgutil
import re

import numpy as np
import pytest
from PIL import Image

import eval as eval_py
import export as export_py
import infer as infer_py
import train as train_py
from mindspore_hub_conf import create_network
from model_utils.config import read_schema
from model_utils.entry import run
from src.checkpoint import read_network
from src.errors import InputError
from src.models import REGISTRY, all_models, model_names
from tests.command_line import ROOT, words

# What may name a model: its own folder and the lines that name it. Elsewhere the yaml, scripts and docs may.
REGISTRIES = ("src/models.py", "src/convert/table.py")
OWN = {name: line.partition(":")[0].rpartition(".")[0].replace(".", "/") for name, line in REGISTRY.items()}


@pytest.fixture
def toy(monkeypatch):
    """The one line."""
    monkeypatch.setitem(REGISTRY, "toy", "tests.toy.model:TOY")
    read_schema.cache_clear()
    yield
    read_schema.cache_clear()


def test_a_folder_and_a_line_make_a_model_that_every_entry_point_takes(toy, tmp_path):
    rng = np.random.default_rng(0)
    for folder in ("pictures", "masks"):
        (tmp_path / folder).mkdir()
    for i in range(3):
        image = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((128, 128))
        image.save(tmp_path / "pictures" / f"{i}.png")
        mask = np.zeros((128, 128), np.uint8)
        mask[30:60, 40 : 70 + 10 * i] = 255
        Image.fromarray(mask).save(tmp_path / "masks" / f"{i}.png")
    given = {"data_root": tmp_path / "pictures", "mode": "pynative"}
    options = given | {"image_size": 128, "batch_size": 2, "train_iter": 3, "finetune_iter": 0, "log_frequency_step": 1}
    run(train_py.main, words(options | {"model": "toy", "save_path": tmp_path / "run"}))

    checkpoint, exported = tmp_path / "run" / "checkpoints" / "last", tmp_path / "toy.mindir"
    run(export_py.main, words({"checkpoint_path": checkpoint, "output_path": exported, "mode": "pynative"}))
    for path, folder in ((checkpoint, "scores"), (exported, "scores of the exported")):
        evaluated = given | {"checkpoint_path": path, "eval_masks_root": tmp_path / "masks"}
        run(eval_py.main, words(evaluated | {"output_path": tmp_path / folder}))
    tables = [(tmp_path / folder / "metrics.md").read_text() for folder in ("scores", "scores of the exported")]
    assert "| overall | toy |" in tables[0]
    assert tables[0] == tables[1]

    photo, mask, filled = (tmp_path / folder / "0.png" for folder in ("pictures", "masks", "filled"))
    filled.parent.mkdir()
    run(infer_py.main, words({"checkpoint_path": checkpoint, "image": photo, "mask": mask, "output": filled}))
    before, after, hole = (np.asarray(Image.open(path)) for path in (photo, filled, mask))
    np.testing.assert_array_equal(before[hole == 0], after[hole == 0])
    assert (before[hole > 0] != after[hole > 0]).any()


def test_options_list_the_models_of_the_registry(toy):
    assert model_names()[-1] == "toy"
    assert read_schema()["model"].rule.split(" | ") == list(model_names())


def test_models_are_called_as_in_the_registry():
    assert [model.name for model in all_models()] == list(model_names())
    for model in all_models():
        assert model.name == pkgutil.resolve_name(model.training).MODEL


def test_names_of_models_stand_in_their_folders_and_the_registry_alone():
    """Names of networks that models inpaint or train with; VGG's and ResNet's are also names of their cells."""
    models = [model.name for model in all_models() if model.training]
    folders = {OWN[name] for name in models}
    found = []
    for path in sorted([*ROOT.glob("*.py"), *ROOT.glob("model_utils/*.py"), *ROOT.glob("src/**/*.py")]):
        place = path.relative_to(ROOT).as_posix()
        if place in REGISTRIES or any(place.startswith(f"{folder}/") for folder in folders):
            continue
        text = path.read_text(encoding="utf-8")
        found += [f"{place}: {name}" for name in models if re.search(rf"\b{name}", text, re.IGNORECASE)]
    assert found == []


def test_the_hub_gives_networks_that_take_the_weights_of_their_files(checkpoint):
    import mindspore as ms

    network = create_network("ctsdg", width=0.02, edge_mode="clean")
    ms.load_checkpoint(str(checkpoint / "generator.ckpt"), network, strict_load=True)
    arrays, _, _ = read_network(checkpoint / "generator.ckpt")
    assert {name for name, _ in network.parameters_and_names()} == set(arrays)
    for name, parameter in network.parameters_and_names():
        np.testing.assert_array_equal(parameter.asnumpy(), arrays[name])
    assert {type(create_network(name, width=0.05)).__name__ for name in ("dgts", "upsampler")} == {
        "Generator",
        "Upsampler",
    }
    for arguments, message in (
        (("vgg16",), "there is no model vgg16; choose one of ctsdg, dgts, upsampler"),
        (("ctsdg", 0.5), "ctsdg has no setting 0.5"),
        (("lama",), "there is no model lama"),
    ):
        with pytest.raises(InputError, match=message):
            create_network(*arguments)


def test_settings_of_a_model_are_the_defaults_of_its_options():
    """What a file says that does not say is what training does where nothing is given: the published network."""
    for model in all_models():
        for name, value in model.settings.items():
            option = read_schema()[name]
            assert option.defaults.get(model.name, option.default) == value, (model.name, name)
