import numpy as np
from mindspore import Tensor, ops

from src.ctsdg.bigff import BiGFF


def test_bigff_starts_as_concatenation(mode, rand):
    texture, structure = rand(2, 4, 8, 8), rand(2, 4, 8, 8)
    fused = BiGFF(channels=4)(texture, structure).asnumpy()
    assert fused.shape == (2, 8, 8, 8)
    np.testing.assert_allclose(fused[:, :4], texture.asnumpy(), atol=1e-6)
    np.testing.assert_allclose(fused[:, 4:], structure.asnumpy(), atol=1e-6)


def test_structure_takes_from_the_updated_texture(mode, rand):
    texture, structure = rand(1, 4, 8, 8), rand(1, 4, 8, 8)
    bigff = BiGFF(channels=4)
    for gate in (bigff.structure_gate, bigff.texture_gate):
        gate[0].weight.set_data(ops.zeros_like(gate[0].weight))  # gates half open everywhere
        gate[0].bias.set_data(ops.zeros_like(gate[0].bias))
    bigff.texture_gamma.set_data(Tensor(np.array([2.0], np.float32)))
    bigff.structure_gamma.set_data(Tensor(np.array([0.5], np.float32)))
    fused = bigff(texture, structure).asnumpy()

    t, s = texture.asnumpy(), structure.asnumpy()
    t = t + 2.0 * 0.5 * s
    s = s + 0.5 * 0.5 * t
    np.testing.assert_allclose(fused, np.concatenate((t, s), axis=1), atol=1e-5)
