"""Spectral normalisation (Miyato et al., ICLR 2018) of a convolution."""

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import HeUniform, initializer

from src.layers.conv import Convolve


class SpectralNormConv2d(nn.Cell):
    """Convolution whose weight is divided by its largest singular value σ = uᵀWv.

    x: (B, C_in, H, W) -> (B, C_out, H', W')

    In training each call runs one power iteration (v from u, then u from v) and keeps the vectors; in evaluation the
    kept vectors serve. The gradient of σ flows through W alone. `dtype` is what the convolution computes in; all
    else is float32.
    """

    dtype = ms.float32

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        has_bias: bool = False,
    ) -> None:
        super().__init__()
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        self.weight = Parameter(initializer(HeUniform(negative_slope=5**0.5), shape))
        self.bias = Parameter(initializer("zeros", (out_channels,))) if has_bias else None
        self.convolve = Convolve(in_channels, out_channels, kernel_size, stride, padding, dilation)
        u, v = singular_vectors(self.weight.asnumpy().reshape(out_channels, -1))
        self.u = Parameter(Tensor(u), requires_grad=False)
        self.v = Parameter(Tensor(v), requires_grad=False)

    def construct(self, x: Tensor) -> Tensor:
        matrix = self.weight.reshape(self.weight.shape[0], -1)  # (C_out, C_in k k)
        u, v = self.u, self.v
        if self.training:
            fixed = ops.stop_gradient(matrix)
            v = _normalise(ops.matmul(u, fixed))
            u = _normalise(ops.matmul(fixed, v))
            u = ops.depend(u, (ops.assign(self.u, u), ops.assign(self.v, v)))
        sigma = (ops.matmul(matrix, ops.stop_gradient(v)) * ops.stop_gradient(u)).sum()
        x = self.convolve(x.astype(self.dtype), (self.weight / sigma).astype(self.dtype)).astype(ms.float32)
        return x if self.bias is None else ops.bias_add(x, self.bias)


def _normalise(x: Tensor) -> Tensor:
    return x / ops.maximum(ops.sqrt((x * x).sum()), 1e-12)


def singular_vectors(matrix: np.ndarray, iterations: int = 15) -> tuple[np.ndarray, np.ndarray]:
    """About the first pair, so that a new network's kernels have norm 1 before any training: (M, N) -> (M,), (N,)."""
    u = np.random.standard_normal(len(matrix)).astype(np.float32)
    for _ in range(iterations):
        v = u @ matrix
        v /= max(np.linalg.norm(v), 1e-12)
        u = matrix @ v
        u /= max(np.linalg.norm(u), 1e-12)
    return u, v
