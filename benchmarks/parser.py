"""The command line of a benchmark that has options of its own."""

import argparse
from typing import NoReturn

from model_utils.entry import stop


class Parser(argparse.ArgumentParser):
    """`--help` prints the description as it stands; what is wrong is said in one line, with exit code 2."""

    def __init__(self, description: str | None) -> None:
        super().__init__(
            description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
        )

    def error(self, message: str) -> NoReturn:
        stop(f"error: {message}", 2)
