"""A weight divided by its largest singular value σ = uᵀWv."""

from mindspore import Tensor, nn, ops


def along_rows(matrix: Tensor, v: Tensor) -> Tensor:
    return ops.MatMul(transpose_b=True)(v, matrix)


def along_columns(u: Tensor, matrix: Tensor) -> Tensor:
    return ops.MatMul()(u, matrix)


class DivideByNorm(nn.Cell):
    """Products, since MindSpore's division by a scalar takes twice their time, and 60 MB for half a million numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.product_tn, self.product_nt = ops.MatMul(transpose_a=True), ops.MatMul(transpose_b=True)

    def construct(self, weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return weight * self.factor(weight, u, v)

    def factor(self, weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
        sigma = self.product_nt(self.product_nt(v, weight.reshape(weight.shape[0], -1)), u)  # (1, 1)
        return (1.0 / sigma).reshape(())

    def bprop(self, weight: Tensor, u: Tensor, v: Tensor, out: Tensor, dout: Tensor) -> tuple:
        along = self.product_nt(dout.reshape(1, -1), out.reshape(1, -1)).reshape(())
        dweight = dout - self.product_tn(along * u, v).reshape(dout.shape)
        return dweight * self.factor(weight, u, v), ops.zeros_like(u), ops.zeros_like(v)
