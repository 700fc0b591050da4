"""Known parts of a map, continued smoothly over the rest."""

from mindspore import Tensor, nn, ops

from .resize import UpsampleBilinear, over_channels


class Membrane(nn.Cell):
    """A membrane stretched over the holes of a map and fixed at their borders.

    values: (B, C, H, W), H and W multiples of 128; known: (B, 1, H, W), 1 = known, 0 = hole
    -> (B, C, H, W): the values where they are known, smooth inside the holes; 0 where nothing is known at all

    Solves Laplace's equation: in a hole, every pixel is the mean of its 3×3 neighbourhood. A pyramid of means of what
    is known gives a first guess (Gortler et al., "The Lumigraph", 1996, Sec. 3.4), and cycles of multigrid take most
    of its error away (Briggs et al., "A Multigrid Tutorial", 2000, Ch. 3). Linear in `values`, without parameters. What
    `values` holds inside the holes does not matter.
    """

    LEVELS = 7
    CYCLES = 2
    SWEEPS = 2  # of averaging over neighbours, at each level on the way up and on the way down

    def __init__(self) -> None:
        super().__init__()
        self.halve = ops.AvgPool(2, 2, "valid")
        self.smooth = ops.AvgPool(3, 1, "same")
        self.double = UpsampleBilinear()

    def construct(self, values: Tensor, known: Tensor) -> Tensor:
        known = over_channels(known, values.shape[1])
        hole = 1.0 - known
        result = self._first_guess(values * known, known)
        for _ in range(self.CYCLES):
            result = result + self._correction(hole * (self.smooth(result) - result), hole)
        return result

    def _first_guess(self, values: Tensor, known: Tensor) -> Tensor:
        """From the top of a pyramid, holes are filled level by level."""
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
            for _ in range(self.SWEEPS):
                result = values + hole * self.smooth(result)
        return result

    def _correction(self, target: Tensor, hole: Tensor) -> Tensor:
        """One V-cycle for c - smooth(c) = target in the holes, c = 0 elsewhere."""
        levels = ()
        for _ in range(self.LEVELS):
            result = target  # a sweep that starts from 0
            for _ in range(self.SWEEPS - 1):
                result = hole * (self.smooth(result) + target)
            levels += ((result, target, hole),)
            rest = hole * (target - result + self.smooth(result))
            hole = ops.maximum(4.0 * self.halve(hole) - 3.0, 0.0)  # hole where all four are: no border moves outwards
            target = 4.0 * hole * self.halve(rest)  # the same equation on pixels of twice the size

        result = target
        for _ in range(4 * self.SWEEPS - 1):
            result = hole * (self.smooth(result) + target)
        for i in range(self.LEVELS - 1, -1, -1):
            finer, target, hole = levels[i]
            result = finer + hole * self.double(result)
            for _ in range(self.SWEEPS):
                result = hole * (self.smooth(result) + target)
        return result
