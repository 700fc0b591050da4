"""lpips and pytorch-fid, the reference implementations, as the tests import them."""

import pytest


def import_references():
    """-> (lpips, pytorch_fid.inception, pytorch_fid.fid_score); the test is skipped where they are not installed."""
    torch = pytest.importorskip("torch")
    import importlib.util

    for package in ("torchvision", "lpips", "pytorch_fid"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is missing: pip install -r requirements-references.txt")
    try:
        import torchvision
    except RuntimeError:
        # torchvision of PyPI beside PyTorch for CPU alone: its compiled operators, which nothing here calls, do not
        # load, and it stops where it adds to their declarations.
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float threshold) -> Tensor")
        import torchvision  # noqa: F401
    import lpips
    from pytorch_fid import fid_score, inception

    return lpips, inception, fid_score
