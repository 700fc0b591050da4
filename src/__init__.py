"""Image-inpainting networks as MindSpore cells; models.py lists them."""

import os

# On AVX-512 hosts MindSpore's CPU convolution otherwise falls to oneDNN's reference kernel, about a hundred times
# slower. Set before MindSpore is imported; a value the user chose stays.
ISA_VARIABLE, MINDSPORE_ISA = "ONEDNN_MAX_CPU_ISA", "AVX2"
os.environ.setdefault(ISA_VARIABLE, MINDSPORE_ISA)

# MindSpore logs at warning level by default, and prints a page of it for each back end that is not installed.
os.environ.setdefault("GLOG_v", "3")
