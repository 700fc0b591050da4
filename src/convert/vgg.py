"""VGG16's convolutions under their names in torchvision and in the MindSpore model zoo's CTSDG."""

# ours, torchvision, MindSpore model zoo
VGG16 = (
    ("stages.0.0", "features.0", "enc_1.0"),
    ("stages.0.2", "features.2", "enc_1.2"),
    ("stages.1.0", "features.5", "enc_2.0"),
    ("stages.1.2", "features.7", "enc_2.2"),
    ("stages.2.0", "features.10", "enc_3.0"),
    ("stages.2.2", "features.12", "enc_3.2"),
    ("stages.2.4", "features.14", "enc_3.4"),
)

# What a whole torchvision VGG16 holds beyond the third pool.
TORCHVISION_UNUSED = ("features.17", "features.19", "features.21", "features.24", "features.26", "features.28")
TORCHVISION_UNUSED += ("classifier.0", "classifier.3", "classifier.6")
