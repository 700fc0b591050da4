"""Known parts of a map, continued smoothly over the rest."""

from mindspore import Tensor, nn, ops

from src.layers.resize import UpsampleBilinear, over_channels


class Membrane(nn.Cell):
    """A membrane stretched over the holes of a map and fixed at their borders.

    values: (B, C, H, W), H and W multiples of 128; known: (B, 1, H, W), 1 = known, 0 = hole
    -> (B, C, H, W): the values where they are known, smooth inside the holes; 0 where nothing is known at all

    Laplace's equation, roughly solved: a pyramid of means of what is known (Gortler et al., "The Lumigraph", 1996,
    Sec. 3.4), from whose top holes are filled level by level, each smoothed by a few averages over neighbours. Linear
    in `values`, without parameters. What `values` holds inside the holes does not matter.
    """

    LEVELS = 7
    STEPS = 2

    def __init__(self) -> None:
        super().__init__()
        self.halve = ops.AvgPool(2, 2, "valid")
        self.smooth = ops.AvgPool(3, 1, "same")
        self.double = UpsampleBilinear()

    def construct(self, values: Tensor, known: Tensor) -> Tensor:
        known = over_channels(known, values.shape[1])
        values = values * known
        levels = ((values, known),)
        for _ in range(self.LEVELS):
            share = self.halve(known)
            known = ops.minimum(4.0 * share, 1.0)  # a quarter is as good as all: less would blur the borders
            values = self.halve(values) * (known / ops.maximum(share, 1e-6))
            levels += ((values, known),)

        sums, counts = values.sum((2, 3), keepdims=True), known.sum((2, 3), keepdims=True)
        result = ops.tile(sums / ops.maximum(counts, 1e-6), (1, 1, *values.shape[2:]))
        for i in range(self.LEVELS, -1, -1):
            values, known = levels[i]
            if i < self.LEVELS:
                result = self.double(result)
            hole = 1.0 - known
            result = values + hole * result
            for _ in range(self.STEPS):
                result = values + hole * self.smooth(result)
        return result
