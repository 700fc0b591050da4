"""train.py with the tiny networks of conftest.py, as a process that can be killed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
import src.ctsdg.training as ctsdg
import train as train_py
from model_utils.entry import run
from tests.training.conftest import TinyDiscriminator, TinyGenerator

if __name__ == "__main__":
    ctsdg.Generator, ctsdg.Discriminator = TinyGenerator, TinyDiscriminator
    run(train_py.main)
