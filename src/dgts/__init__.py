"""DGTS: Delving Globally into Texture and Structure for Image Inpainting (Liu et al., ACM MM 2022)."""
