"""Fréchet inception distance (Heusel et al., NeurIPS 2017): between two sets of images, by their features."""

import numpy as np


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """|mean(a) - mean(b)|² + tr(A + B - 2 (A B)^½), where A and B are the covariances.

    a: (N, D), b: (M, D), N and M at least 2 -> not less than 0

    With A = XᵀX and B = YᵀY, where X and Y are the deviations from the means over √(N - 1) and √(M - 1), the trace of
    the root is the sum of the singular values of X Yᵀ. No root of a matrix is taken, so covariances may be singular, as
    those of fewer images than features are.
    """
    a, b = a.astype(np.float64), b.astype(np.float64)
    x, y = _deviations(a), _deviations(b)
    root = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    difference = a.mean(axis=0) - b.mean(axis=0)
    return max(0.0, float(difference @ difference + (x**2).sum() + (y**2).sum() - 2 * root))


def _deviations(features: np.ndarray) -> np.ndarray:
    """(N, D) -> X of min(N, D) rows whose XᵀX is the covariance."""
    count, dimensions = features.shape
    if count < 2:
        raise ValueError(f"{count} feature vectors have no covariance")
    x = (features - features.mean(axis=0)) / np.sqrt(count - 1)
    return np.asarray(np.linalg.qr(x, mode="r")) if count > dimensions else x
