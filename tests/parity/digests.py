"""Digests of arrays: enough of them to tell whether two runs went the same way."""

import numpy as np
import pytest


def digest(array: np.ndarray) -> np.ndarray:
    """Norm, mean and up to 16 entries of an array."""
    import torch

    flat = array.astype(np.float64).ravel()
    # In PyTorch's float32, which in arrays of millions picks some neighbours of what NumPy's float64 would.
    entries = torch.linspace(0, flat.size - 1, min(16, flat.size)).long().numpy()
    return np.array([np.linalg.norm(flat), flat.mean(), *flat[entries]])


def assert_close(found: dict, expected: dict, norm: float, entry: float) -> None:
    """Norms agree within `norm` (relative), entries within `entry` times the largest of them."""
    for name, value in expected.items():
        assert found[name][0] == pytest.approx(value[0], rel=norm), name
        tolerance = entry * np.abs(value[2:]).max()
        np.testing.assert_allclose(found[name][2:], value[2:], rtol=0, atol=tolerance, err_msg=name)
