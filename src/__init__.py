"""Image-inpainting networks as MindSpore cells; models.py lists them."""

import os

# On AVX-512 hosts MindSpore's CPU convolution otherwise falls to oneDNN's reference kernel, about a hundred times
# slower. Set before MindSpore is imported; a value the user chose stays.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
