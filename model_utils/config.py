"""Options: default_config.yaml declares them, a yaml file and the command line change them, the result is a value.

Nothing here knows an option but `model`, on which defaults depend. One line in default_config.yaml is all it takes to
add one.
"""

import argparse
import difflib
import functools
import importlib
import itertools
import math
import operator
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from src.errors import InputError

DEFAULT_CONFIG = Path(__file__).parents[1] / "default_config.yaml"
ENTRY_POINTS = ("train", "eval", "infer", "export", "convert", "demo")  # files in the same folder
MODEL = "model"  # the option that names a model; a yaml file's sections carry models' names

Value = bool | int | float | str
EXPECTED = {bool: "true or false", int: "a whole number", float: "a number", str: "a text, in quotes"}
COMPARISONS = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}


def models() -> tuple[str, ...]:
    from src.models import model_names

    return model_names()


@dataclass(frozen=True)
class Option:
    """One line of default_config.yaml, with the lines about it in the sections of models."""

    name: str
    default: Value
    rule: str = ""  # what values keep: "CPU | GPU", ">= 1", "0 to 1", "multiple of 8" or ""
    help: str = ""
    group: str = ""
    models: tuple[str, ...] = ()  # that the option is for; none: all
    defaults: dict[str, Value] = field(default_factory=dict, hash=False)  # by model, where it has its own

    def parse(self, value: object) -> Value:
        """A word of the command line, or a value of a yaml file, as this option's type.

        Raises argparse.ArgumentTypeError for another type, or a value that breaks the rule.
        """
        kind, result = type(self.default), None
        with suppress(KeyError, ValueError):
            if kind is bool:
                result = yaml.SafeLoader.bool_values[str(value).lower()]
            elif kind is not str:  # by way of text, as YAML 1.1 makes one of 2e-4, and 3 serves as 3.0
                result = kind(str(value))
            elif isinstance(value, str):  # in a file 007 and `no` need quotes to be texts
                result = value
        # '' stands for "not given" where it is the default, whatever the choices are.
        if result is None or not (result == self.default == "" or keeps(self.rule, result)):
            choices = self.rule.split(" | ") if kind is str and self.rule else []
            rule = f"one of {self.rule}" if choices else f"{EXPECTED[kind]} ({self.rule})".removesuffix(" ()")
            raise argparse.ArgumentTypeError(f"{value!r}: expected {rule}{did_you_mean(str(value), choices)}")
        return result


def keeps(rule: str, value: Value) -> bool:
    """Does the value keep the rule that an option's comment starts with?"""
    if isinstance(value, float) and not math.isfinite(value):
        return False
    if isinstance(value, str) or not rule:
        return not rule or value in rule.split(" | ")
    match rule.split():
        case [sign, bound] if sign in COMPARISONS:
            return COMPARISONS[sign](value, float(bound))
        case [low, "to", high]:
            return float(low) <= value <= float(high)
        case ["multiple", "of", step]:
            return value > 0 and value % int(step) == 0
    raise InputError(f"{DEFAULT_CONFIG.name}: no such rule: ({rule})")


def did_you_mean(word: str, known: Iterable[str], prefix: str = "") -> str:
    by_lower_case = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower().replace("-", "_"), by_lower_case, n=1)
    return f" (did you mean {prefix}{by_lower_case[close[0]]}?)" if close else ""


def read_yaml(path: str | Path) -> Iterator[tuple[str, str, str, object]]:
    """The values of a yaml file, each as (place for messages, section or "", name, value).

    Raises InputError if the file cannot be read or has another form.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            loader = yaml.SafeLoader(file)  # value by value: yaml.safe_load drops line numbers, and names given twice
            yield from read_mapping(loader, loader.get_single_node() or yaml.MappingNode("", []))
    except OSError as error:
        raise InputError(f"cannot read options from {path}: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, LookupError) as error:  # also bytes that are no text, a date that is none
        raise InputError(f"{path}: not a yaml file of options: {' '.join(str(error).split())}") from None


def read_mapping(loader: yaml.SafeLoader, node: yaml.Node, section: str = "") -> Iterator[tuple[str, str, str, object]]:
    if not isinstance(node, yaml.MappingNode):
        raise yaml.YAMLError("expected lines of the form name: value")
    for key, value in node.value:
        if isinstance(value, yaml.MappingNode) and not section:
            yield from read_mapping(loader, value, str(key.value))
        else:
            content = loader.construct_object(value, deep=True)
            place = f"{loader.name}, line {key.start_mark.line + 1}"
            yield place, section, str(key.value), "" if content is None else content


def read_options(path: str | Path, options: Mapping[str, Option]) -> dict[str, dict[str, Value]]:
    """What a yaml file gives options, by section. Raises InputError for an unknown name or a wrong value."""
    sections: dict[str, dict[str, Value]] = {"": {}}
    for place, section, name, value in read_yaml(path):
        if section and section not in models():
            near = did_you_mean(section, models())
            raise InputError(f"{place}: {section} is no model, so it cannot have options under it{near}")
        if name not in options:
            raise InputError(f"{place}: unknown option {name}{did_you_mean(name, options)}")
        if section and name == MODEL:
            raise InputError(f"{place}: {MODEL} cannot depend on the model")
        if name in sections.setdefault(section, {}):
            raise InputError(f"{place}: {name} is given twice")
        try:
            sections[section][name] = options[name].parse(value)
        except argparse.ArgumentTypeError as error:
            raise InputError(f"{place}: {name} {error}") from None
    return sections


@functools.cache
def read_schema() -> Mapping[str, Option]:
    """Every option by name: its default, the comment beside it, the heading it stands under, and models' own defaults.

    Raises InputError for a default that is no single value, or breaks the rule beside it.
    """
    parts = ["", *re.split(r"^# --- (.+) ---$", DEFAULT_CONFIG.read_text(encoding="utf-8"), flags=re.MULTILINE)]
    comments = {  # beside its option and, indented, below it
        name: (group, re.sub(r"\s*\n\s*#", "", comment).strip())
        for group, lines in zip(parts[::2], parts[1::2], strict=True)
        for name, comment in re.findall(r"^(\w+):[^#\n]*#?(.*(?:\n[ \t]+#.*)*)", lines, re.MULTILINE)
    }
    options = {}
    for place, section, name, default in read_yaml(DEFAULT_CONFIG):
        if section:
            continue
        with suppress(ValueError):  # 2e-4 again
            default = float(default) if isinstance(default, str) else default
        if not isinstance(default, Value):
            raise InputError(f"{place}: {name} {default!r}: expected one value")
        group, comment = comments.get(name, ("", ""))
        match = re.fullmatch(r"(?:\((.+?)\)\s*)?(?:\[(.+?)\]\s*)?(.*)", comment)
        assert match  # the last group takes anything
        rule, only, text = match.groups("")
        rule = " | ".join(models()) if name == MODEL else rule
        options[name] = Option(name, default, rule, text, group, tuple(re.findall(r"\w+", only)))
    for model, values in read_options(DEFAULT_CONFIG, options).items():
        for name, value in values.items() if model else ():
            options[name].defaults[model] = value
    return options


@dataclass(frozen=True)
class Config:
    """The options of one run, read as attributes: `config.batch_size`. Read-only; equal where every value is."""

    _values: dict[str, Value] = field(hash=False)
    _chosen: frozenset[str] = field(default=frozenset(), compare=False)

    def __getattr__(self, name: str) -> Any:  # of the type that the option's default has
        if name.startswith("_") or name not in self._values:  # "_": copy and pickle ask before there are values
            raise AttributeError(f"no option is called {name}")
        return self._values[name]

    def given(self, name: str) -> bool:
        """Did the user choose this option, or is it the model's default?

        On the command line any value counts. In a file one that differs from the default does: a file may be a copy of
        default_config.yaml, and then chooses only what was changed in it.
        """
        return name in self._chosen

    def chosen(self, names: Iterable[str]) -> dict[str, Any]:
        """Those of `names` that were given, with their values."""
        return {name: self._values[name] for name in names if self.given(name)}

    def as_dict(self) -> dict[str, Value]:
        return dict(self._values)

    def dump(self, path: str | Path) -> None:
        """Write a yaml file that `--config_path` reads back to an equal config."""
        lines = yaml.safe_dump(self._values, sort_keys=False, allow_unicode=True, width=math.inf)
        Path(path).write_text(f"# The options of one run; --config_path takes this file.\n{lines}", encoding="utf-8")


def build_parser(options: Mapping[str, Option], description: str) -> argparse.ArgumentParser:
    """An argument for each option, under its heading in default_config.yaml."""
    parser = argparse.ArgumentParser(
        description=description.strip(),
        usage=argparse.SUPPRESS,  # the description has it
        formatter_class=functools.partial(argparse.RawDescriptionHelpFormatter, max_help_position=32),
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
        exit_on_error=False,
    )
    parser.add_argument("--config_path", metavar="file", help=f"yaml file of options (default: {DEFAULT_CONFIG.name})")
    for title, members in itertools.groupby(options.values(), lambda option: option.group):
        group = parser.add_argument_group(title)
        for option in members:
            kind = type(option.default)
            rule = f"({option.rule}) " if option.rule else ""
            only = f" (only {', '.join(option.models)})" if option.models else ""
            values = {"default": str(option.default).lower() if kind is bool else option.default, **option.defaults}
            defaults = ", ".join(f"{name}: {value}" for name, value in values.items() if value != "")
            text = f"{rule}{option.help}{only} ({defaults})".removesuffix(" ()").replace("%", "%%")
            alone: dict[str, Any] = {"nargs": "?", "const": True} if kind is bool else {}
            group.add_argument(f"--{option.name}", type=option.parse, metavar=kind.__name__, help=text, **alone)
    return parser


def load_config(
    argv: Sequence[str] | None = None,
    description: str = "",
    groups: Collection[str] | None = None,
    rules: Mapping[str, str] | None = None,
) -> Config:
    """The defaults, then the file that --config_path names, then `--name value`. `--help` prints and exits.

    groups: headings of default_config.yaml; the config has the options below them alone, None: all. The file may give
    others too, which change nothing; the command line may not
    rules: by option, in place of those of default_config.yaml

    What stands in a model's section comes before what stands outside, in the defaults and in the file. Raises
    InputError, one line, for whatever is wrong with the command line or the file.
    """
    schema = dict(read_schema())
    schema |= {name: replace(schema[name], rule=rule) for name, rule in (rules or {}).items()}
    options = {name: option for name, option in schema.items() if groups is None or option.group in groups}
    parser = build_parser(options, description)
    for name in schema.keys() - options.keys():  # of other entry points
        parser.add_argument(f"--{name}", nargs="?", help=argparse.SUPPRESS)
    try:
        namespace, unknown = parser.parse_known_args(argv)
    except argparse.ArgumentError as error:
        raise InputError(f"{error.argument_name} {error.message}") from None
    if unknown:
        name = unknown[0].partition("=")[0]
        if not name.startswith("--"):
            raise InputError(f"unexpected {unknown[0]!r}: options are written --name value")
        raise InputError(f"unknown option {name}{did_you_mean(name[2:], [*options, 'config_path'], '--')}")

    words = vars(namespace)
    path = words.pop("config_path", None)
    for name, word in words.items():
        if name not in options:
            given = f"--{name}" if word is None else f"--{name} {word}"
            others = they_do(readers(schema[name].group))
            raise InputError(f"{given}: {Path(sys.argv[0]).name} does not use it, {others}; leave it out")
    sections = {"": {}} if path is None else read_options(path, schema)
    model = words.get(MODEL, sections[""].get(MODEL, schema[MODEL].default))
    defaults = {name: option.defaults.get(model, option.default) for name, option in options.items()}
    file = {name: value for name, value in (sections[""] | sections.get(model, {})).items() if name in options}
    changed = {name for name, value in file.items() if value != defaults[name]}
    return Config(defaults | file | words, frozenset(changed | set(words)))


def readers(group: str) -> list[str]:
    """The entry points that read a group of options."""
    return [f"{name}.py" for name in ENTRY_POINTS if group in importlib.import_module(name).OPTION_GROUPS]


def they_do(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last} do" if others else f"{last} does"


def refuse_unused(config: Config, model: str) -> None:
    """Raises InputError if the user chose an option that is not for this model: it would change nothing."""
    for option in read_schema().values():
        if config.given(option.name) and option.models and model not in option.models:
            raise InputError(
                f"--{option.name} {getattr(config, option.name)}: {model} does not use it, "
                f"only {they_do(option.models)}; leave it out"
            )
