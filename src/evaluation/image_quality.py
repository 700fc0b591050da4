"""PSNR, SSIM (Wang et al., 2004) and MAE of one image, under the constants of a named protocol.

Published tables differ in these constants, and the same images then score anything from 0.74 to 0.95, so a number
means something only together with its protocol. All take the composite and the truth as float (H, W, 3) in [0, 1].
"""

from dataclasses import dataclass

import numpy as np
from skimage.color import rgb2gray
from skimage.metrics import mean_squared_error, structural_similarity

from ..errors import InputError


@dataclass(frozen=True)
class Protocol:
    """What a table's numbers were computed with. Every score is per image, then averaged."""

    name: str
    gray: bool = False  # all three scores on luminance; otherwise PSNR and MAE over all channels, SSIM their mean
    ssim_window: int = 11  # pixels per side
    ssim_gaussian: bool = True  # weights of standard deviation 1.5; otherwise uniform
    ssim_sample_covariance: bool = False  # divide by N - 1 instead of N
    ssim_zero_padding: bool = False  # a window at every pixel, zeros outside; otherwise whole windows only
    ssim_range: float = 1.0  # SSIM sees images in [0, ssim_range], always with constants 0.01² and 0.03²
    relative_mae: bool = False  # Σ|a - b| / Σ(a + b); otherwise the mean of |a - b|
    perfect_psnr: float = 100.0  # decibels; PSNR ends here, where a perfect image would have infinity


# zoo: the MindSpore model zoo's SSIM. edge_connect: scripts/metrics.py of EdgeConnect (Nazeri et al., 2019).
# lbam: the evaluation of LBAM (Xie et al., 2019), whose images reach 255 where its constants expect 1.
PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("zoo"),
        Protocol(
            "edge_connect",
            gray=True,
            ssim_window=51,
            ssim_gaussian=False,
            ssim_sample_covariance=True,
            relative_mae=True,
        ),
        Protocol("lbam", ssim_zero_padding=True, ssim_range=255.0),
    )
}


def get_protocol(name: str) -> Protocol:
    """The protocol of that name. Raises InputError if there is none."""
    if name not in PROTOCOLS:
        raise InputError(f"protocol '{name}' is unknown; choose one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def psnr(composite: np.ndarray, truth: np.ndarray, protocol: Protocol = PROTOCOLS["zoo"]) -> float:
    """Peak signal-to-noise ratio in decibels; a perfect image counts as `protocol.perfect_psnr`."""
    composite, truth = _comparable(composite, truth, protocol)
    error = mean_squared_error(truth, composite)
    if error == 0:
        return protocol.perfect_psnr
    return min(float(-10 * np.log10(error)), protocol.perfect_psnr)


def ssim(composite: np.ndarray, truth: np.ndarray, protocol: Protocol = PROTOCOLS["zoo"]) -> float:
    """Structural similarity, 1 for a perfect image. Raises InputError if the window is larger than the image."""
    composite, truth = _comparable(composite, truth, protocol)
    window = protocol.ssim_window
    if min(truth.shape[:2]) < window:
        height, width = truth.shape[:2]
        raise InputError(
            f"protocol {protocol.name} needs images of at least {window}x{window} pixels, not {width}x{height}"
        )
    composite, truth = protocol.ssim_range * composite, protocol.ssim_range * truth
    if protocol.ssim_zero_padding:  # scikit-image averages over whole windows only
        edge = window // 2
        composite, truth = (np.pad(image, ((edge, edge), (edge, edge), (0, 0))) for image in (composite, truth))
    value = structural_similarity(
        truth,
        composite,
        win_size=window,
        gaussian_weights=protocol.ssim_gaussian,
        sigma=1.5,  # cut after 3.5 standard deviations, which makes the Gaussian window 11 pixels wide
        use_sample_covariance=protocol.ssim_sample_covariance,
        data_range=1,
        channel_axis=-1,
    )
    return float(value)


def mae(composite: np.ndarray, truth: np.ndarray, protocol: Protocol = PROTOCOLS["zoo"]) -> float:
    """Mean absolute error, or EdgeConnect's relative one."""
    composite, truth = _comparable(composite, truth, protocol)
    difference = np.abs(composite - truth)
    if protocol.relative_mae:
        return float(difference.sum() / max((composite + truth).sum(), np.finfo(float).tiny))
    return float(difference.mean())


def sharpness(composite: np.ndarray, truth: np.ndarray, hole: np.ndarray) -> float:
    """Mean step between neighbouring pixels of a hole, as a share of the truth's: 0 where it is flat, 1 as sharp.

    composite, truth: float (H, W, C); hole: bool (H, W), in which two neighbours lie. A flat truth gives 1 or infinity.
    """
    sums = []
    for image in (composite.astype(np.float64), truth.astype(np.float64)):
        down, right = (np.abs(np.diff(image, axis=axis)).sum(2) for axis in (0, 1))
        sums.append(down[hole[1:] & hole[:-1]].sum() + right[hole[:, 1:] & hole[:, :-1]].sum())
    found, expected = sums
    return float(found / expected) if expected else float(1 if found == 0 else np.inf)


def _comparable(composite: np.ndarray, truth: np.ndarray, protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 (H, W, C): the differences of near-perfect images drown in float32."""
    if composite.shape != truth.shape:
        raise ValueError(f"composite {composite.shape} and truth {truth.shape} differ in shape")
    pair = composite.astype(np.float64), truth.astype(np.float64)
    return tuple(rgb2gray(image)[..., None] for image in pair) if protocol.gray else pair
