"""Activations."""

from mindspore import nn

from src.layers.backend import by_device
from src.layers.cpu import activation as cpu

LeakyReLU = by_device(cpu.LeakyReLU, nn.LeakyReLU)  # (slope); max(x, slope · x), any shape
