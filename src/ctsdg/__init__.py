"""CTSDG: Image Inpainting via Conditional Texture and Structure Dual Generation (Guo et al., ICCV 2021)."""

from .discriminator import Discriminator
from .generator import Generator

__all__ = ["Discriminator", "Generator"]
