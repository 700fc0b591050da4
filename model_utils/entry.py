"""What every entry point does around its own work: read the options, run, and end with one line if it cannot.

An entry point is `OPTION_GROUPS`, the headings of default_config.yaml below which its options stand, `def main(config)`
and, at the bottom, `if __name__ == "__main__": run(main)`. It imports what needs MindSpore inside `main`, so that
`--help` and a misspelt option answer at once.
"""

import errno
import os
import re
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NoReturn

from model_utils.config import Config, load_config, read_schema
from src.errors import InputError
from src.progress import print_any_name

# Headings of default_config.yaml that entry points share, for their OPTION_GROUPS: what model_utils.device.prepare
# reads, what a network is made by, and what opens a trained one.
DEVICE_GROUPS = ("Run", "Speed and exactness of the device")
NETWORK_GROUPS = ("Network", "Network, further settings")
OPENING_GROUPS = (*NETWORK_GROUPS, "Checkpoint", "Second checkpoint")

SHIPPED = Path("weights", "photos")  # what fills holes where no checkpoint is given; its README.md is its card
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # raised while writing, when no file name is at hand


def run(main: Callable[[Config], None], argv: Sequence[str] | None = None) -> None:
    """Run `main` with the options of the command line. Exit code 2: the input is wrong; 130: interrupted.

    The file that holds `main` says what `--help` prints: its docstring, then the options of its OPTION_GROUPS, or all.
    Where its OPTION_RULES has a rule for an option, as {"model": "this | that"}, that counts in place of the usual one.
    """
    print_any_name()
    file = vars(sys.modules[main.__module__])
    try:
        main(load_config(argv, file["__doc__"] or "", file.get("OPTION_GROUPS"), file.get("OPTION_RULES", {})))
        sys.stdout.flush()
    except InputError as error:
        stop(f"error: {error}", 2)
    except BrokenPipeError:  # whoever read our output has left, as in `eval.py ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        # A file that cannot be read or written is the user's to mend; any other failure keeps its traceback.
        if error.filename is None and error.errno not in DISK_FULL:
            raise
        name = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        stop(f"error: {name}{error.strerror}", 2)
    except KeyboardInterrupt:
        stop("interrupted", 130)


def stop(message: str, code: int) -> NoReturn:
    print(message.replace("\n", " "), file=sys.stderr)
    sys.exit(code)


def checkpoint_or_shipped(config: Config) -> Path:
    """The network to use: that of --checkpoint_path, or without one the checkpoint that ships with the project."""
    if config.given("checkpoint_path"):
        require(config, "checkpoint_path")  # an empty one is a mistake
        return Path(config.checkpoint_path)
    return shipped(SHIPPED)


def network_or_shipped(config: Config) -> Path:
    """As checkpoint_or_shipped; but the weights that ship come as their ONNX file where that runs, which is faster."""
    if config.given("checkpoint_path") or config.device_target != "CPU" or config.given("mode"):
        return checkpoint_or_shipped(config)
    from src.inference.onnx_runtimes import installed_runtimes
    from src.inference.shipped import NAME

    return shipped(SHIPPED / NAME if installed_runtimes() else SHIPPED)


def shipped(path: Path) -> Path:
    print(f"no --checkpoint_path: using the weights that ship with the project, {path}")
    return Path(__file__).parents[1] / path


def require(config: Config, *names: str) -> None:
    """Stop with one line that explains every option of `names` that was not given."""
    missing = [read_schema()[name] for name in names if getattr(config, name) == ""]
    if missing:
        explained = ", ".join(f"--{option.name} ({re.split(r'[;:.] ', option.help)[0]})" for option in missing)
        raise InputError(f"{Path(sys.argv[0]).name} needs {explained}")


def listed(option: str, text: str, known: Collection[str]) -> list[str]:
    """The names in an option's text. Raises InputError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not set(names) <= set(known):
        raise InputError(f"--{option} {text}: choose from {', '.join(known)}, with commas between")
    return list(dict.fromkeys(names))
