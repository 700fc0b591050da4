"""A point where gradients are added up before they flow on."""

from mindspore import Tensor, nn, ops


class GradientSum(nn.Cell):
    """The identity, for a tensor that several layers read: their gradients are added up here.

    MindSpore joins the sums of inner and outer layers into one, or does not, which depends on what the process compiled
    before. With three gradients or more the order of addition changes the result by rounding, and a resumed run would
    no longer equal one that was never stopped.
    """

    def construct(self, x: Tensor) -> Tensor:
        return x

    def bprop(self, x: Tensor, out: Tensor, dout: Tensor) -> tuple:
        return (ops.depend(dout, x),)
