"""train.py with the tiny networks of conftest.py, as a process that can be killed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
import train as train_py
from model_utils.entry import run
from src.models import REGISTRY

if __name__ == "__main__":
    REGISTRY["ctsdg"] = "tests.training.conftest:TINY"
    run(train_py.main)
