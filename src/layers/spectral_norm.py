"""Spectral normalisation (Miyato et al., ICLR 2018) of a convolution."""

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import HeUniform, initializer

from .backend import by_device, on_cpu
from .conv import Convolution, convolve_in
from .cpu import spectral_norm as cpu
from .reduce import sum_squares


class _DivideByNorm(nn.Cell):
    def construct(self, weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
        matrix = weight.reshape(weight.shape[0], -1)
        return weight / (along_rows(matrix, v) * u).sum()


# weight (C_out, C_in, k, k), u (1, C_out), v (1, C_in k k) -> weight / σ, where σ = uᵀWv takes part in the gradient
DivideByNorm = by_device(cpu.DivideByNorm, _DivideByNorm)


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
        self.dilated, self.geometry = dilation > 1, (kernel_size, stride, padding, dilation)
        self.convolution = Convolution(in_channels, out_channels, *self.geometry)
        self.divide_by_norm = DivideByNorm()
        u, v = singular_vectors(self.weight.asnumpy().reshape(out_channels, -1))
        self.u = Parameter(Tensor(u), requires_grad=False)
        self.v = Parameter(Tensor(v), requires_grad=False)

    def construct(self, x: Tensor) -> Tensor:
        u, v = self.u.reshape(1, -1), self.v.reshape(1, -1)
        if self.training:
            matrix = ops.stop_gradient(self.weight).reshape(self.weight.shape[0], -1)  # (C_out, C_in k k)
            v = _unit(along_columns(u, matrix))
            u = _unit(along_rows(matrix, v))
            x = ops.depend(x, (ops.assign(self.u, u.reshape(-1)), ops.assign(self.v, v.reshape(-1))))
        x = convolve_in(self.dtype, self.convolution, x, self.divide_by_norm(self.weight, u, v))
        return x if self.bias is None else ops.bias_add(x, self.bias)


def along_rows(matrix: Tensor, v: Tensor) -> Tensor:
    """Wv: (M, N), (1, N) -> (1, M)"""
    return cpu.along_rows(matrix, v) if on_cpu() else (matrix * v).sum(1).reshape(1, -1)


def along_columns(u: Tensor, matrix: Tensor) -> Tensor:
    """uᵀW: (1, M), (M, N) -> (1, N)"""
    return cpu.along_columns(u, matrix) if on_cpu() else (matrix * u.reshape(-1, 1)).sum(0, keepdims=True)


def _unit(x: Tensor) -> Tensor:
    """(1, N) -> the vector of length 1."""
    return x * (1.0 / ops.maximum(ops.sqrt(sum_squares(x)), 1e-12))


def singular_vectors(matrix: np.ndarray, iterations: int = 15) -> tuple[np.ndarray, np.ndarray]:
    """About the first pair, so that a new network's kernels have norm 1 before any training: (M, N) -> (M,), (N,)."""
    u = np.random.standard_normal(len(matrix)).astype(np.float32)
    for _ in range(iterations):
        v = u @ matrix
        v /= max(np.linalg.norm(v), 1e-12)
        u = matrix @ v
        u /= max(np.linalg.norm(u), 1e-12)
    return u, v
