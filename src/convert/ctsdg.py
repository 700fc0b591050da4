"""CTSDG's modules under their three names.

{s} runs over the streams; {i} counts a ladder of stages from 0, {n} from 1, {d} and {z} down to 1 and to 0: the other
code bases number the decoder's stages by level, ours in the order they run.
"""

# ours, official PyTorch code, MindSpore model zoo
GENERATOR = (
    ("{s}_encoder.stages.{i}.conv.conv", "ec_{s}_{n}.conv", "ec_{s}_layers.{i}.conv.conv"),
    ("{s}_encoder.stages.{i}.norm", "ec_{s}_{n}.bn", "ec_{s}_layers.{i}.bn"),
    ("{s}_decoder.stages.{i}.conv.conv", "dc_{s}_{d}.conv", "dc_{s}_layers.{z}.conv.conv"),
    ("{s}_decoder.stages.{i}.norm", "dc_{s}_{d}.bn", "dc_{s}_layers.{z}.bn"),
    ("{s}_projection.resolver.conv1", *["{s}_feature_projection.{s}_resolver.conv1"] * 2),
    ("{s}_projection.resolver.norm1", *["{s}_feature_projection.{s}_resolver.bn1"] * 2),
    ("{s}_projection.resolver.conv2", *["{s}_feature_projection.{s}_resolver.conv2"] * 2),
    ("{s}_projection.resolver.norm2", *["{s}_feature_projection.{s}_resolver.bn2"] * 2),
    ("{s}_projection.out", *["{s}_feature_projection.out_layer.0"] * 2),
    ("bigff", "bigff", "bigff"),  # its two scalar gammas
    ("bigff.{s}_gate.0", "bigff.{s}_gate.0", "bigff.{s}_gate.0"),
    ("fusion1.0", "fusion_layer1.0", "fusion_layer1.0"),
    ("cfa.aggregation.dilated_convs.{i}.0", "cfa.msfa.dilated_conv_{i}.0", "cfa.msfa.dilated_convs.{i}.0"),
    ("cfa.aggregation.weight_calc.0", "cfa.msfa.weight_calc.0", "cfa.msfa.weight_calc.0"),
    ("cfa.aggregation.weight_calc.2", "cfa.msfa.weight_calc.2", "cfa.msfa.weight_calc.2"),
    ("fusion2.0", "fusion_layer2.0", "fusion_layer2.0"),
    ("out.0", "out_layer.0", "out_layer.0"),
)

DISCRIMINATOR = (
    ("{s}_branch.stages.{i}.0", "{s}_branch.conv{n}.0", "{s}_branch.conv{n}.0"),
    ("{s}_branch.out", "{s}_branch.conv5.0", "{s}_branch.conv5"),
    ("edge_detector.projection.{i}", "edge_detector.projection.{i}", "edge_detector.projection.{i}"),
    ("edge_detector.residual.{i}", "edge_detector.res_layer.{i}", "edge_detector.res_layer.{i}"),
    ("edge_detector.out.0", "edge_detector.out_layer.0", "edge_detector.out_layer.0"),
)

# The official discriminator registers each branch's first convolution twice: second name, first name.
OFFICIAL_ALIASES = (
    ("texture_branch.features.0", "texture_branch.conv1.0"),
    ("structure_branch.features.0", "structure_branch.conv1.0"),
)


def module_names(table: tuple, column: int) -> dict[str, str]:
    """Our module name -> its name in `column` (1: official, 2: model zoo), the placeholders written out."""
    names = {}
    for row in table:
        for stream in ("texture", "structure"):
            for i in range(7):
                places = {"s": stream, "i": i, "n": i + 1, "d": 7 - i, "z": 6 - i}
                names[row[0].format(**places)] = row[column].format(**places)
    return names
