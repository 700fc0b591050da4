"""Spectral normalisation (Miyato et al., ICLR 2018) of a convolution."""

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import HeUniform, initializer

from src.layers.conv import Convolve, convolve_in


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
        self.product, self.product_nt, self.scale = ops.MatMul(), ops.MatMul(transpose_b=True), ScaleToNormOne()
        self.u = Parameter(Tensor(u), requires_grad=False)
        self.v = Parameter(Tensor(v), requires_grad=False)

    def construct(self, x: Tensor) -> Tensor:
        matrix = ops.stop_gradient(self.weight).reshape(self.weight.shape[0], -1)  # (C_out, C_in k k)
        if self.training:
            v = _normalise(self.product(self.u.reshape(1, -1), matrix))  # (1, C_in k k)
            product = self.product_nt(v, matrix)  # (1, C_out)
            u = _normalise(product)
            x = ops.depend(x, (ops.assign(self.u, u.reshape(-1)), ops.assign(self.v, v.reshape(-1))))
        else:
            u, v = self.u.reshape(1, -1), self.v.reshape(1, -1)
            product = self.product_nt(v, matrix)
        sigma = self.product_nt(product, u)  # (1, 1)
        weight = self.scale(self.weight, (1.0 / sigma).reshape(()), u, v)
        x = convolve_in(self.dtype, self.convolve, x, weight)
        return x if self.bias is None else ops.bias_add(x, self.bias)


class ScaleToNormOne(nn.Cell):
    """weight / σ, whose gradient knows that σ = uᵀWv follows from the weight: 1 / σ and the vectors given take none.

    weight: (C_out, C_in, k, k), factor: 1 / σ, scalar, u: (1, C_out), v: (1, C_in k k) -> (C_out, C_in, k, k)

    Products, since MindSpore's division by a scalar takes twice their time on a CPU, and 60 MB for half a million
    numbers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.product_tn, self.product_nt = ops.MatMul(transpose_a=True), ops.MatMul(transpose_b=True)

    def construct(self, weight: Tensor, factor: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return weight * factor

    def bprop(self, weight: Tensor, factor: Tensor, u: Tensor, v: Tensor, out: Tensor, dout: Tensor) -> tuple:
        along = self.product_nt(dout.reshape(1, -1), out.reshape(1, -1)).reshape(())
        dweight = (dout - self.product_tn(along * u, v).reshape(dout.shape)) * factor
        return dweight, ops.zeros_like(factor), ops.zeros_like(u), ops.zeros_like(v)


def _normalise(x: Tensor) -> Tensor:
    """(1, N) -> the vector of length 1."""
    norm = ops.sqrt(ops.MatMul(transpose_b=True)(x, x))
    return x * (1.0 / ops.maximum(norm, 1e-12))


def singular_vectors(matrix: np.ndarray, iterations: int = 15) -> tuple[np.ndarray, np.ndarray]:
    """About the first pair, so that a new network's kernels have norm 1 before any training: (M, N) -> (M,), (N,)."""
    u = np.random.standard_normal(len(matrix)).astype(np.float32)
    for _ in range(iterations):
        v = u @ matrix
        v /= max(np.linalg.norm(v), 1e-12)
        u = matrix @ v
        u /= max(np.linalg.norm(u), 1e-12)
    return u, v
