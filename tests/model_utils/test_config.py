"""Options: one schema (default_config.yaml), one parser for files and the command line, one read-only value."""

import copy
import pickle
import re

import pytest

from model_utils import config as options
from model_utils.config import Option, keeps, load_config, read_schema, refuse_unused
from src.convert.table import convertible
from src.errors import InputError


@pytest.fixture
def yaml_file(tmp_path):
    def write(text: str) -> str:
        path = tmp_path / "mine.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def message(*argv: str) -> str:
    with pytest.raises(InputError) as error:
        load_config(argv)
    text = str(error.value)
    assert "\n" not in text
    return text


def test_every_option_has_a_group_and_an_explanation():
    for option in read_schema().values():
        assert option.group, option.name
        assert len(option.help) > 10, option.name


def test_defaults_are_the_published_training():
    config = load_config([])
    assert (config.batch_size, config.train_iter, config.finetune_iter) == (6, 350_000, 150_000)
    assert (config.gen_lr_train, config.gen_lr_finetune, config.dis_lr_multiplier) == (2e-4, 5e-5, 0.1)
    assert (config.hole_loss_w, config.valid_loss_w, config.style_loss_w) == (60.0, 10.0, 250.0)


def test_a_model_has_its_own_defaults():
    dgts, upsampler = load_config(["--model", "dgts"]), load_config(["--model", "upsampler"])
    assert (dgts.batch_size, dgts.train_iter, dgts.finetune_iter, dgts.gen_lr_train) == (32, 250_000, 0, 1e-4)
    assert (dgts.backbone_lr, dgts.weight_decay, dgts.train_sequential_steps) == (1e-5, 1e-4, 16)
    assert (dgts.hole_loss_w, dgts.perceptual_loss_w, dgts.style_loss_w) == (10.0, 0.1, 250.0)
    assert (upsampler.gen_lr_train, upsampler.dis_lr_multiplier, upsampler.finetune_iter) == (1e-4, 4.0, 0)
    weights = (upsampler.hole_loss_w, upsampler.valid_loss_w, upsampler.perceptual_loss_w, upsampler.vgg_loss_w)
    assert (*weights, upsampler.adversarial_loss_w) == (6.0, 1.0, 0.001, 2.0, 1.0)
    assert not any(dgts.given(name) for name in dgts.as_dict() if name != "model")


def test_a_files_section_wins_over_its_other_lines_and_loses_to_the_command_line(yaml_file):
    path = yaml_file("model: dgts\nbatch_size: 2\nwidth: 0.5\ndgts:\n  batch_size: 3\nupsampler:\n  width: 0.25\n")
    config = load_config(["--config_path", path])
    assert (config.model, config.batch_size, config.width, config.train_iter) == ("dgts", 3, 0.5, 250_000)
    assert load_config(["--config_path", path, "--model", "upsampler"]).width == 0.25
    assert load_config(["--config_path", path, "--batch_size", "7"]).batch_size == 7
    assert load_config(["--config_path", path, "--model", "ctsdg"]).batch_size == 2


def test_a_copy_of_the_defaults_changes_no_model_and_a_base_default_can_be_chosen(yaml_file):
    for model in ("dgts", "upsampler"):
        config = load_config(["--model", model, "--config_path", str(options.DEFAULT_CONFIG)])
        assert config == load_config(["--model", model])
        assert config.chosen(config.as_dict()) == {"model": model}
    config = load_config(["--model", "dgts", "--config_path", yaml_file("batch_size: 6")])
    assert (config.batch_size, config.given("batch_size")) == (6, True)


def test_an_option_of_another_model_is_refused():
    config = load_config(["--model", "dgts", "--sigma", "2", "--fill_order", "raster"])
    with pytest.raises(InputError) as error:
        refuse_unused(config, "dgts")
    assert str(error.value) == "--sigma 2.0: dgts does not use it, only ctsdg does; leave it out"
    refuse_unused(load_config(["--model", "dgts", "--fill_order", "raster", "--batch_size", "1"]), "dgts")
    with pytest.raises(InputError, match="only ctsdg and upsampler do; leave it out"):
        refuse_unused(load_config(["--valid_loss_w", "1"]), "dgts")
    known = {*options.models(), *convertible()}
    for option in read_schema().values():
        assert set(option.models) | set(option.defaults) <= known, option.name


def test_the_command_line_wins_over_the_file_and_the_file_over_the_defaults(yaml_file):
    path = yaml_file("batch_size: 2\ntrain_iter: 20\n")
    config = load_config(["--train_iter", "30", "--config_path", path])
    assert (config.batch_size, config.train_iter, config.finetune_iter) == (2, 30, 150_000)


def test_both_spellings_and_the_last_of_two_count():
    assert load_config(["--width=0.5"]) == load_config(["--width", "2", "--width", "0.5"])
    assert load_config(["--data_root=--odd=name"]).data_root == "--odd=name"


@pytest.mark.parametrize("text", ["2e-4", "2E-4", ".0002", "0.0002"])
def test_numbers_read_alike_in_files_and_on_the_command_line(yaml_file, text):
    assert load_config(["--gen_lr_train", text]).gen_lr_train == 2e-4
    assert load_config(["--config_path", yaml_file(f"gen_lr_train: {text}")]).gen_lr_train == 2e-4


def test_a_whole_number_serves_where_any_number_does():
    assert load_config(["--sigma", "3"]).sigma == 3.0


def test_a_switch_may_stand_alone():
    assert load_config(["--resume", "--width", "0.5"]).resume is True
    assert load_config(["--resume", "false"]).resume is False
    assert load_config(["--overwrite", "--resume"]).overwrite is True


@pytest.mark.parametrize(
    ("word", "value"), [("yes", True), ("On", True), ("TRUE", True), ("no", False), ("off", False)]
)
def test_a_switch_takes_the_words_that_yaml_takes(yaml_file, word, value):
    assert load_config(["--resume", word]).resume is value
    assert load_config(["--config_path", yaml_file(f"resume: {word}")]).resume is value


def test_text_stays_text(yaml_file):
    config = load_config(["--config_path", yaml_file("data_root: '007'\nanno_path: null\noutput: 'no'\nimage:\n")])
    assert (config.data_root, config.anno_path, config.output, config.image) == ("007", "", "no", "")


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--batchsize", "2"], "unknown option --batchsize (did you mean --batch_size?)"),
        (["--data-root", "x"], "unknown option --data-root (did you mean --data_root?)"),
        (["--train", "1"], "unknown option --train"),  # an abbreviation of many is an abbreviation of none
        (["--batch_size", "1.5"], "--batch_size '1.5': expected a whole number (>= 1)"),
        (["--batch_size", "0"], "--batch_size '0': expected a whole number (>= 1)"),
        (["--batch_size", ""], "--batch_size '': expected a whole number (>= 1)"),
        (["--gen_lr_train", "fast"], "--gen_lr_train 'fast': expected a number (> 0)"),
        (["--gen_lr_train", "nan"], "--gen_lr_train 'nan': expected a number (> 0)"),
        (["--width", "inf"], "--width 'inf': expected a number (> 0)"),
        (["--width", "1e999"], "--width '1e999': expected a number (> 0)"),
        (["--hole_max", "1.01"], "--hole_max '1.01': expected a number (0 to 1)"),
        (["--image_size", "200"], "--image_size '200': expected a whole number (multiple of 128)"),
        (["--resume", "maybe"], "--resume 'maybe': expected true or false"),
        (["--resume=1"], "--resume '1': expected true or false"),
        (["--device_target", "gpu"], "expected one of CPU | GPU | Ascend (did you mean GPU?)"),
        (["--protocol", ""], "--protocol '': expected one of zoo | edge_connect | lbam"),
        (["--device_id", "-1"], "--device_id '-1': expected a whole number (>= 0)"),
        (["--hole_min", "-0.5"], "--hole_min '-0.5': expected a number (0 to 1)"),
        (["--data_root"], "--data_root expected one argument"),
        (["--data_root", "--resume"], "--data_root expected one argument"),
        (["--config_path"], "--config_path expected one argument"),
        (["--config_pat", "x"], "unknown option --config_pat (did you mean --config_path?)"),
        (["--help=all"], "-h/--help ignored explicit argument 'all'"),
        (["my.yaml"], "unexpected 'my.yaml': options are written --name value"),
        (["-b", "2"], "unexpected '-b'"),
        (["--"], "unknown option --"),
        (["--config_path", "/none/such.yaml"], "/none/such.yaml: No such file or directory"),
        (["--config_path", "/"], "cannot read options from /: Is a directory"),
    ],
)
def test_a_wrong_command_line_is_one_line_that_says_what_was_expected(argv, expected):
    assert expected in message(*argv)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("batch_sise: 2", "line 1: unknown option batch_sise (did you mean batch_size?)"),
        ("seed: 1\nbatch_size: 1.5", "line 2: batch_size 1.5: expected a whole number (>= 1)"),
        ("resume: maybe", "line 1: resume 'maybe': expected true or false"),
        ("batch_size: yes", "line 1: batch_size True: expected a whole number (>= 1)"),
        ("gen_lr_train: .inf", "gen_lr_train inf: expected a number (> 0)"),
        ("device_target: gpu", "device_target 'gpu': expected one of CPU | GPU | Ascend (did you mean GPU?)"),
        ("device_target: off", "line 1: device_target False: expected one of CPU | GPU | Ascend"),
        ("output: no", "line 1: output False: expected a text, in quotes"),
        ("data_root: 007", "line 1: data_root 7: expected a text, in quotes"),
        ("data_root: 2024-13-45", "month must be in 1..12"),
        ("batch_size: null", "batch_size '': expected a whole number (>= 1)"),
        ("seed: 1\nseed: 2", "line 2: seed is given twice"),
        ("image_size: [256, 256]", "line 1: image_size [256, 256]: expected a whole number (multiple of 128)"),
        ("seed: {a: 1}", "line 1: seed is no model, so it cannot have options under it"),
        ("dgtss:\n  seed: 1", "line 2: dgtss is no model, so it cannot have options under it (did you mean dgts?)"),
        ("dgts:\n  sead: 1", "line 2: unknown option sead (did you mean seed?)"),
        ("dgts:\n  batch_size: 0", "line 2: batch_size 0: expected a whole number (>= 1)"),
        ("dgts:\n  model: ctsdg", "line 2: model cannot depend on the model"),
        ("dgts:\n  seed: 1\n  seed: 2", "line 3: seed is given twice"),
        ("dgts:\n  seed:\n    deep: 1", "line 2: seed {'deep': 1}: expected a whole number"),
        ("- seed", "expected lines of the form name: value"),
        ("seed", "expected lines of the form name: value"),
        ("seed: 1\n\tsigma: 2", "not a yaml file of options: while scanning for the next token found character"),
        ("seed: 1\n\tsigma: 2", "line 2, column 1"),
        ("seed: 1\n---\nseed: 2", "not a yaml file of options: expected a single document"),
        ("seed: \x01", "not a yaml file"),
        ("seed: !!python/object/apply:os.getcwd []", "could not determine a constructor for the tag"),
    ],
)
def test_a_wrong_file_is_one_line_that_says_where(yaml_file, text, expected):
    path = yaml_file(text)
    line = message("--config_path", path)
    assert line.startswith(path)
    assert expected in line


def test_a_file_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "image.yaml").write_bytes(b"\x89PNG\xff\xfe")
    expected = "image.yaml: not a yaml file of options: 'utf-8' codec can't decode byte 0x89"
    assert expected in message("--config_path", str(tmp_path / "image.yaml"))


def test_an_empty_file_and_a_byte_order_mark_change_nothing(yaml_file):
    assert load_config(["--config_path", yaml_file("")]) == load_config([])
    assert load_config(["--config_path", yaml_file("\ufeffseed: 42")]) == load_config([])
    assert load_config(["--config_path", str(options.DEFAULT_CONFIG)]) == load_config([])


@pytest.mark.parametrize("model", ["ctsdg", "dgts"])
def test_a_run_can_be_repeated_from_the_file_it_wrote(tmp_path, model):
    odd = "a folder: 'with' # marks, \\ and \u00e9\u4e2d\U0001f600 " + 40 * "and words "
    argv = ["--data_root", odd, "--save_path", "true", "--anno_path", "", "--gen_lr_train", "1e-7", "--resume"]
    argv += ["--model", model, "--batch_size", "6"]
    config = load_config(argv)
    config.dump(tmp_path / "config.yaml")
    assert load_config(["--config_path", str(tmp_path / "config.yaml")]) == config


def test_a_config_is_a_value():
    config = load_config(["--seed", "1"])
    assert config == load_config(["--seed", "1"]) != load_config(["--seed", "2"])
    assert len({config, load_config(["--seed", "1"])}) == 1
    assert copy.deepcopy(config) == pickle.loads(pickle.dumps(config)) == config
    assert config.as_dict()["seed"] == 1
    with pytest.raises(AttributeError, match="cannot assign to field 'seed'"):
        config.seed = 2
    with pytest.raises(AttributeError, match="cannot delete field 'seed'"):
        del config.seed
    with pytest.raises(AttributeError, match="sead"):
        _ = config.sead


def test_a_config_knows_what_the_user_chose(yaml_file):
    path = yaml_file("width: 0.25\nsigma: 2.0\n")  # sigma as in a copy of the defaults
    config = load_config(["--config_path", path, "--image_size", "256"])
    assert [name for name in config.as_dict() if config.given(name)] == ["image_size", "width"]
    assert config.chosen(["sigma", "width"]) == {"width": 0.25}
    assert copy.deepcopy(config).given("width")
    assert config == load_config(["--width", "0.25"])  # who chose it makes no other value


def test_help_shows_every_option_under_its_heading(capsys):
    with pytest.raises(SystemExit) as stop:
        load_config(["--nonsense", "--help"], "Train a network.\n\n  train.py --seed 1\n  train.py --seed 2\n")
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith("Train a network.\n\n  train.py --seed 1\n  train.py --seed 2\n")
    sections = dict(re.findall(r"^(\S.*):\n((?:  .*\n)+)", text, re.MULTILINE))
    for option in read_schema().values():
        entry = re.search(rf"^  --{option.name} (.*\n(?:   .*\n)*)", sections[option.group], re.MULTILINE)[1]
        for part in (option.rule, option.help, *option.models, str(option.default)):
            assert "".join(part.split()).lower() in "".join(entry.split()).lower(), option.name
    assert "(default: 6, dgts: 32, upsampler: 4)" in " ".join(text.split())
    assert "(only dgts)" in text


@pytest.mark.parametrize(
    ("rule", "inside", "outside"),
    [
        ("", 3, float("nan")),
        (">= 1", 1, 0),
        ("> 0", 0.1, 0),
        ("<= 1", 1, 1.1),
        ("< 1", 0.9, 1),
        ("0 to 1", 1, -0.1),
        ("multiple of 8", 16, 12),
        ("multiple of 8", 8, 0),
        ("a | b", "b", "c"),
        ("a", "a", "a | b"),
    ],
)
def test_rules(rule, inside, outside):
    assert keeps(rule, inside)
    assert not keeps(rule, outside)


def test_a_rule_that_nothing_understands_is_refused():
    with pytest.raises(InputError, match=r"no such rule: \(about 1\)"):
        keeps("about 1", 1)


@pytest.fixture
def declare(tmp_path, monkeypatch):
    def schema(text: str) -> dict[str, Option]:
        (tmp_path / "default_config.yaml").write_text(text)
        monkeypatch.setattr(options, "DEFAULT_CONFIG", tmp_path / "default_config.yaml")
        return read_schema.__wrapped__()

    return schema


def test_one_line_of_yaml_is_a_new_option(declare):
    schema = declare(
        "# --- Taste ---\nsweet: 0.5  # (0 to 1) how sweet, 100% at 1\n            # it is\n\n"
        "# --- Form ---\n# a note\nround: true  # or not\nrate: 2e-4\n"
    )
    assert schema == {
        "sweet": Option("sweet", 0.5, "0 to 1", "how sweet, 100% at 1 it is", "Taste"),
        "round": Option("round", True, "", "or not", "Form"),
        "rate": Option("rate", 2e-4, "", "", "Form"),
    }
    assert "(0 to 1) how sweet, 100% at 1 it is (default: 0.5)" in options.build_parser(schema, "").format_help()


@pytest.mark.parametrize("rule", ["(old | names) ", ""])
def test_the_registry_knows_the_models(declare, monkeypatch, rule):
    monkeypatch.setattr(options, "models", lambda: ("lama", "toy"))
    schema = declare(f"model: toy  # {rule}the network\nsize: 1  # [lama] side\nlama:\n  size: 2\n")
    assert schema == {
        "model": Option("model", "toy", "lama | toy", "the network"),
        "size": Option("size", 1, "", "side", models=("lama",), defaults={"lama": 2}),
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("device_target: Gpu  # (CPU | GPU) where", r"line 1: device_target 'Gpu': .*did you mean GPU"),
        ("seed: 1  # (>= 0) any\nsize: [1]  # side", r"line 2: size \[1\]: expected one value"),
    ],
)
def test_a_default_edited_to_something_impossible_is_named(declare, text, expected):
    with pytest.raises(InputError, match=f"default_config.yaml, {expected}"):
        declare(text)
