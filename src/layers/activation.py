"""Activations."""

from mindspore import nn

from .backend import by_device
from .cpu import activation as cpu

LeakyReLU = by_device(cpu.LeakyReLU, nn.LeakyReLU)  # (slope); max(x, slope · x), any shape
