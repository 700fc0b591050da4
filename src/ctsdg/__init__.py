"""CTSDG: Image Inpainting via Conditional Texture and Structure Dual Generation (Guo et al., ICCV 2021)."""

from src.ctsdg.discriminator import Discriminator
from src.ctsdg.generator import Generator

__all__ = ["Discriminator", "Generator"]
