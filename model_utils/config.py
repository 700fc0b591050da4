"""Options: default_config.yaml declares them, a yaml file and the command line change them, the result is a value.

Nothing here knows an option but `model`, on which defaults depend. One line in default_config.yaml is all it takes to
add one.
"""

import difflib
import functools
import math
import operator
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import yaml

from src.errors import InputError

DEFAULT_CONFIG = Path(__file__).parents[1] / "default_config.yaml"
MODEL = "model"  # the option that names a model; a yaml file's sections carry models' names

Value = bool | int | float | str
TRUTH = {"true": True, "True": True, "false": False, "False": False}
EXPECTED = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
COMPARISONS = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}


@dataclass(frozen=True)
class Option:
    """One line of default_config.yaml, with the lines about it in the sections of models."""

    name: str
    default: Value
    written: str = ""  # the default as the file writes it
    rule: str = ""  # what values keep: "CPU | GPU", ">= 1", "0 to 1", "multiple of 8" or ""
    help: str = ""
    group: str = ""
    models: tuple[str, ...] = ()  # that the option is for; none: all
    defaults: Mapping[str, Value] = field(default_factory=dict, hash=False)  # by model, where it has its own

    def parse(self, text: str, where: str) -> Value:
        """Text typed by a user to this option's type; `where` says in the message which place is wrong."""
        try:
            value = TRUTH[text] if isinstance(self.default, bool) else type(self.default)(text)
        except (KeyError, ValueError):
            value = None
        # '' stands for "not given" where it is the default, whatever the choices are.
        not_given = value == self.default == ""
        if value is None or not (not_given or keeps(self.rule, value)):
            raise InputError(f"{where} {text!r}: expected {self.expected}{did_you_mean(text, self.choices)}")
        return value

    def default_for(self, model: str) -> Value:
        return self.defaults.get(model, self.default)

    @property
    def choices(self) -> list[str]:
        return self.rule.split(" | ") if isinstance(self.default, str) and self.rule else []

    @property
    def expected(self) -> str:
        if self.choices:
            return f"one of {self.rule}"
        return EXPECTED[type(self.default)] + (f" ({self.rule})" if self.rule else "")


def keeps(rule: str, value: Value) -> bool:
    """Does the value keep the rule that an option's comment starts with?"""
    if isinstance(value, float) and not math.isfinite(value):
        return False
    match rule.split():
        case []:
            return True
        case _ if isinstance(value, str):
            return value in rule.split(" | ")
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


class Entry(NamedTuple):
    """One `name: value` of a yaml file, the value as written; start and end are positions in the file's text."""

    section: str  # the model under whose name it stands, or ""
    name: str
    text: str
    quoted: bool
    line: int
    start: int
    end: int


def read_text(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file") from None
    except OSError as error:
        raise InputError(f"cannot read options from {path}: {error.strerror}") from None


def yaml_entries(text: str, path: str | Path) -> Iterator[Entry]:
    """The lines of a yaml file: flat, or one level deep, in sections.

    Values stay text, for the option's own type to read: YAML 1.1 by itself makes a string of 2e-4 and false of `no`.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", "not readable")
        raise InputError(f"{path}{place}: not a yaml file: {problem}") from None
    if root is None:
        return
    if not isinstance(root, yaml.MappingNode):
        raise InputError(f"{path}: expected lines of the form name: value")
    yield from _mapping_entries(root, "", path)


def _mapping_entries(mapping: yaml.MappingNode, section: str, path: str | Path) -> Iterator[Entry]:
    seen = set()
    for key, value in mapping.value:
        line = key.start_mark.line + 1
        # A section is written with indentation; {a: 1} on one line is a value that no option has.
        is_section = isinstance(value, yaml.MappingNode) and not value.flow_style and not section
        if not isinstance(key, yaml.ScalarNode) or not (is_section or isinstance(value, yaml.ScalarNode)):
            raise InputError(f"{path}, line {line}: expected one name and one value")
        if key.value in seen:
            raise InputError(f"{path}, line {line}: {key.value} is given twice")
        seen.add(key.value)
        if is_section:
            yield from _mapping_entries(value, key.value, path)
            continue
        written = "" if value.tag.endswith(":null") else value.value
        yield Entry(section, key.value, written, bool(value.style), line, key.start_mark.index, value.end_mark.index)


@functools.cache
def read_schema() -> Mapping[str, Option]:
    """Every option by name: its value, the comment beside it, the heading it stands under, and models' own values."""
    text = read_text(DEFAULT_CONFIG)
    entries = list(yaml_entries(text, DEFAULT_CONFIG.name))
    ends = [0, *(entry.end for entry in entries)]
    starts = [*(entry.start for entry in entries), len(text)]
    # What stands between two entries: the comment of the one before (beside it, and indented below it), then perhaps
    # the heading of the one after.
    between = [text[end:start] for end, start in zip(ends, starts, strict=True)]

    options, group = {}, ""
    for entry, before, after in zip(entries, between, between[1:], strict=False):
        if entry.section:
            continue
        group = (re.findall(r"^# --- (.+) ---$", before, re.MULTILINE) or [group])[-1]
        comment = " ".join(re.findall(r"^[ \t]+#\s*(.*)", after, re.MULTILINE))
        parts = re.fullmatch(r"(?:\((.+?)\)\s*)?(?:\[(.+?)\]\s*)?(.*)", comment)
        rule, models, explanation = parts.groups(default="")
        models = tuple(models.split(", ")) if models else ()
        option = Option(entry.name, typed(entry), entry.text, rule, explanation, group, models)
        option.parse(entry.text, f"{DEFAULT_CONFIG.name}, line {entry.line}: {entry.name}")
        options[entry.name] = option
    for entry in entries:
        if entry.section:
            option, value = read_entry(entry, options, DEFAULT_CONFIG.name)
            options[option.name] = replace(option, defaults={**option.defaults, entry.section: value})
    return options


def read_entry(entry: Entry, options: Mapping[str, Option], path: str | Path) -> tuple[Option, Value]:
    """The option that a line of a yaml file names, and its value. Raises InputError if there is none, or not this."""
    where = f"{path}, line {entry.line}: "
    if entry.section and entry.section not in options[MODEL].choices:
        known = did_you_mean(entry.section, options[MODEL].choices)
        raise InputError(f"{where}{entry.section} is no model, so it cannot have options under it{known}")
    option = find_option(entry.name, options, where)
    if entry.section and option.name == MODEL:
        raise InputError(f"{where}{MODEL} cannot depend on the model")
    return option, option.parse(entry.text, where + option.name)


def typed(entry: Entry) -> Value:
    """A default as a value; what it looks like decides its type."""
    if not entry.quoted:
        for parse in (TRUTH.__getitem__, int, float):
            try:
                return parse(entry.text)
            except (KeyError, ValueError):
                continue
    return entry.text


CONFIG_PATH = Option("config_path", DEFAULT_CONFIG.name, DEFAULT_CONFIG.name, help="yaml file of options")


def find_option(name: str, options: Mapping[str, Option], where: str = "", prefix: str = "") -> Option:
    if name not in options:
        raise InputError(f"{where}unknown option {prefix}{name}{did_you_mean(name, options, prefix)}")
    return options[name]


def command_line(argv: Sequence[str]) -> Iterator[tuple[Option, str]]:
    """`--name value` and `--name=value`; an option that is true or false may stand alone, for true."""
    options = {CONFIG_PATH.name: CONFIG_PATH, **read_schema()}
    words = list(argv)
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            raise InputError(f"unexpected {word!r}: options are written --name value")
        name, has_value, text = word[2:].partition("=")
        option = find_option(name, options, prefix="--")
        if not has_value:
            if words and not words[0].startswith("--"):
                text = words.pop(0)
            elif isinstance(option.default, bool):
                text = "true"
            else:
                raise InputError(f"--{name} needs a value: {option.help}")
        yield option, text


class Config:
    """The options of one run, read as attributes: `config.batch_size`. Read-only; equal where every value is."""

    def __init__(self, chosen: Iterable[str] = (), /, **values: Value) -> None:
        vars(self).update(values, _chosen=frozenset(chosen))

    def given(self, name: str) -> bool:
        """Did the user choose this option, or is it the model's default?

        On the command line any value counts. In a file one that differs from the default does: a file may be a copy of
        default_config.yaml, and then chooses only what was changed in it.
        """
        return name in self._chosen

    def chosen(self, names: Iterable[str]) -> dict[str, Value]:
        """Those of `names` that were given, with their values."""
        return {name: getattr(self, name) for name in names if self.given(name)}

    def __setattr__(self, name: str, value: object = None) -> None:
        raise AttributeError(f"{name} cannot change: a config is read-only")

    __delattr__ = __setattr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash(frozenset(self.as_dict().items()))

    def __repr__(self) -> str:
        return f"Config({', '.join(f'{name}={value!r}' for name, value in self.as_dict().items())})"

    def as_dict(self) -> dict[str, Value]:
        return {name: value for name, value in vars(self).items() if name != "_chosen"}

    def dump(self, path: str | Path) -> None:
        """Write a yaml file that `--config_path` reads back to an equal config."""
        lines = yaml.safe_dump(self.as_dict(), sort_keys=False, allow_unicode=True, width=math.inf)
        Path(path).write_text(f"# The options of one run; --config_path takes this file.\n{lines}", encoding="utf-8")


def load_config(argv: Sequence[str] | None = None, description: str = "") -> Config:
    """The defaults, then the file that --config_path names, then `--name value`. `--help` prints and exits.

    What stands in a model's section comes before what stands outside, in the defaults and in the file.
    """
    argv = sys.argv[1:] if argv is None else argv
    if "--help" in argv or "-h" in argv:
        print(help_text(description))
        raise SystemExit(0)

    options = read_schema()
    overrides = {option.name: option.parse(text, f"--{option.name}") for option, text in command_line(argv)}
    path = overrides.pop(CONFIG_PATH.name, None)
    written = {}  # what the file gives, by section
    for entry in () if path is None else yaml_entries(read_text(path), path):
        option, value = read_entry(entry, options, path)
        written.setdefault(entry.section, {})[option.name] = value
    flat = written.get("", {})
    model = overrides.get(MODEL, flat.get(MODEL, options[MODEL].default))

    values = {name: option.default_for(model) for name, option in options.items()}
    from_file = flat | written.get(model, {})
    changed = {name for name, value in from_file.items() if value != options[name].default_for(model)}
    return Config(changed | set(overrides), **values | from_file | overrides)


def refuse_unused(config: Config, model: str) -> None:
    """Raises InputError if the user chose an option that is not for this model: it would change nothing."""
    for option in read_schema().values():
        if config.given(option.name) and option.models and model not in option.models:
            raise InputError(
                f"--{option.name} {getattr(config, option.name)}: {model} does not use it, "
                f"only {' and '.join(option.models)} {'does' if len(option.models) == 1 else 'do'}; leave it out"
            )


def help_text(description: str) -> str:
    """What --help prints: the entry point's docstring, then every option by group."""
    width = min(max(shutil.get_terminal_size().columns, 80), 120)
    indent = " " * 34
    lines = [description.strip(), "", "Options: --name value or --name=value, here with their defaults.", ""]
    group = ""
    for option in (CONFIG_PATH, *read_schema().values()):
        if option.group != group:
            group = option.group
            lines += ["", f"{group}:"]
        left = f"  --{option.name} {option.written}"
        text = f"({option.rule}) {option.help}" if option.rule else option.help
        if option.models:
            text += f" (only {', '.join(option.models)})"
        if option.defaults:
            text += f" ({', '.join(f'{model}: {value}' for model, value in option.defaults.items())})"
        right = textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
        lines += [left + right[len(left) :]] if len(left) < len(indent) else [left, right]
    return "\n".join(lines)
