"""Bi-directional gated feature fusion (CTSDG, Sec. 3.2)."""

from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import initializer

from ..layers.conv import Conv2d, Convolution, convolve_in
from ..layers.product import NumberProduct


class BiGFF(nn.Cell):
    """Each stream takes from the other what a gate, seeing both, lets through.

    texture, structure: (B, C, H, W) -> fused: (B, 2C, H, W)
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.structure_gate = self._gate(channels)
        self.texture_gate = self._gate(channels)
        self.convolution = Convolution(2 * channels, 2 * channels, 3, padding=1)
        self.times = NumberProduct()
        # Zero scales: at initialisation the fusion is a plain concatenation.
        self.texture_gamma = Parameter(initializer("zeros", (1,)))
        self.structure_gamma = Parameter(initializer("zeros", (1,)))

    @staticmethod
    def _gate(channels: int) -> nn.SequentialCell:
        return nn.SequentialCell(Conv2d(2 * channels, channels, 3))

    def _both_gates(self, both: Tensor) -> Tensor:
        """The gates' convolutions as one: they share their input."""
        first, second = self.structure_gate[0], self.texture_gate[0]
        gates = convolve_in(first.dtype, self.convolution, both, ops.cat((first.weight, second.weight)))
        return ops.bias_add(gates, ops.cat((first.bias, second.bias)))

    def construct(self, texture: Tensor, structure: Tensor) -> Tensor:
        both = ops.cat((texture, structure), axis=1)  # (B, 2C, H, W)
        to_texture, to_structure = ops.split(ops.sigmoid(self._both_gates(both)), texture.shape[1], axis=1)

        texture = texture + self.times(to_texture * structure, self.texture_gamma)
        # The published weights gate the updated texture, not the input; keep this order.
        structure = structure + self.times(to_structure * texture, self.structure_gamma)
        return ops.cat((texture, structure), axis=1)
