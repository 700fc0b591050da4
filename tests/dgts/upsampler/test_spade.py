import numpy as np

from src.dgts.upsampler.spade import SPADE, GatedConv, ResidualBlock, SPADEBlock
from src.layers.resize import upsample_nearest


def test_a_closed_gate_lets_nothing_through(mode, rand):
    conv, x = GatedConv(3, 4, 3, has_bias=True).set_train(False), rand(1, 3, 4, 4)
    conv.gate.bias.set_data(conv.gate.bias - 1000.0)
    assert np.abs(conv(x).asnumpy()).max() == 0
    conv.gate.bias.set_data(conv.gate.bias + 2000.0)
    np.testing.assert_allclose(conv(x).asnumpy(), conv.feature(x).asnumpy(), atol=1e-6)


def test_a_residual_block_keeps_the_size_whatever_its_dilation(mode, rand):
    for dilation in (1, 4):
        assert ResidualBlock(8, dilation)(rand(1, 8, 8, 6)).shape == (1, 8, 8, 6)


def test_spade_is_a_scale_and_a_shift(mode, rand):
    """Where the kernels are zero their biases are all that is left."""
    spade, normalised = SPADE(8, 4, width=0.1), rand(1, 8, 4, 4)
    for conv, bias in ((spade.gamma, 2.0), (spade.beta, -1.0)):
        conv.weight.set_data(0.0 * conv.weight)
        conv.bias.set_data(0.0 * conv.bias + bias)
    found = spade(normalised, rand(1, 4, 4, 4)).asnumpy()
    np.testing.assert_allclose(found, 3 * normalised.asnumpy() - 1, atol=1e-6)


def test_a_block_doubles_the_map(mode, rand):
    x, guide = rand(1, 16, 4, 4), rand(1, 4, 8, 8)
    assert SPADEBlock(16, 16, 4, width=0.1)(x, guide).shape == (1, 16, 8, 8)
    assert SPADEBlock(16, 8, 4, width=0.1)(x, guide).shape == (1, 8, 8, 8)


def test_the_shortcut_of_equal_widths_is_the_doubled_input(mode, rand):
    block, x = SPADEBlock(8, 8, 4, width=0.1), rand(1, 8, 4, 4)
    block.conv1.gate.bias.set_data(block.conv1.gate.bias - 1000.0)
    np.testing.assert_array_equal(block(x, rand(1, 4, 8, 8)).asnumpy(), upsample_nearest(x).asnumpy())
