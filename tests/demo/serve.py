"""demo.py with the toy model beside the others, so that an image takes a moment: python -m tests.demo.serve ..."""

import demo
from model_utils.entry import run
from src.models import REGISTRY

REGISTRY["toy"] = "tests.toy.model:TOY"

if __name__ == "__main__":
    run(demo.main)
