"""The table from MindSpore's primitives to ONNX's operators: one row for each kind.

A row is a function of the graph, the MINDIR node, and the node's inputs: each a Tensor or, where it is constant, a
number, a tuple or an array. It returns the node's result, or a tuple of its results.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import InputError
from .onnx_graph import OnnxGraph, Tensor
from .read_mindir import Node

Row = Callable[..., Tensor | tuple]


def axes(*values: int) -> np.ndarray:
    """Whole numbers as ONNX takes them: axes, shapes, indices."""
    return np.array(values, np.int64)


def same(kind: str) -> Row:
    """A primitive of one input that ONNX has under another name, or the same."""
    return lambda graph, node, x: graph.op(kind, x)


def pair(kind: str) -> Row:
    """A primitive of two inputs, number by number. ONNX wants both of one type, MindSpore finds a common one."""

    def row(graph: OnnxGraph, node: Node, *inputs: object) -> Tensor:
        inputs = without_tiles(graph, node, inputs)
        # Python's numbers take the type of the tensor beside them.
        found = {np.dtype(x.dtype) for x in inputs if isinstance(x, Tensor | np.ndarray)}
        floats = [dtype for dtype in found if dtype.kind == "f"]
        common = floats[0] if floats else np.result_type(*found)
        return graph.op(kind, *(cast(graph, x, common) for x in inputs))

    return row


def without_tiles(graph: OnnxGraph, node: Node, inputs: tuple) -> tuple:
    """What the inputs are tiled from, where the operator repeats it by itself: tiling is slow in OpenVINO."""
    for i, x in enumerate(inputs):
        if isinstance(x, Tensor) and x.name in graph.tiled:
            found = (*inputs[:i], graph.tiled[x.name], *inputs[i + 1 :])
            if np.broadcast_shapes(*(np.shape(each) for each in found)) == node.result.shape:
                inputs = found
    return inputs


def cast(graph: OnnxGraph, x: object, dtype: np.dtype) -> Tensor:
    """A tensor of that type; the same one if it is already."""
    if not isinstance(x, Tensor):
        return graph.constant(x, dtype)
    return x if x.dtype == dtype else graph.op("Cast", x, to=element_type(dtype))


def element_type(dtype: np.dtype) -> int:
    from onnx.helper import np_dtype_to_tensor_dtype

    return np_dtype_to_tensor_dtype(np.dtype(dtype))


def indices(graph: OnnxGraph, x: Tensor) -> Tensor:
    return cast(graph, x, np.dtype(np.int64))


def swapped(graph: OnnxGraph, x: Any, swap: bool = True) -> Any:
    """The last two axes exchanged."""
    if not swap:
        return x
    order = list(range(len(x.shape)))
    return graph.op("Transpose", x, perm=[*order[:-2], order[-1], order[-2]])


def matrix_product(graph, node, a, b, swap_a=False, swap_b=False):
    return graph.op("MatMul", swapped(graph, a, swap_a), swapped(graph, b, swap_b))


def dense(graph, node, x, weight, bias):
    return graph.op("Add", graph.op("MatMul", x, swapped(graph, weight)), bias)


def bias_add(graph, node, x, bias, data_format):
    return graph.op("Add", x, graph.op("Reshape", bias, axes(-1, *[1] * (len(node.result.shape) - 2))))


def conv2d(graph, node, x, weight):
    facts = node.attributes
    return graph.op(
        "Conv",
        x,
        weight,
        kernel_shape=facts["kernel_size"],
        strides=facts["stride"][-2:],
        dilations=facts["dilation"][-2:],
        pads=both_ends(facts["pad_list"]),
        group=facts["group"],
    )


def both_ends(pads: tuple[int, ...]) -> tuple[int, ...]:
    """Padding as ONNX has it: (before, after) for each axis -> before all axes, then after all."""
    return (*pads[::2], *pads[1::2])


def avg_pool(graph, node, x, kernel, strides, pad_mode, *_):
    same = pad_mode == 1  # 2 is "valid"; padding does not count, in "same" either
    if pad_mode == 0 or (same and (set(strides) != {1} or not all(size % 2 for size in kernel))):
        raise InputError(f"{node.layer}: AvgPool has a row for pad_mode valid, and same with odd kernels of stride 1")
    pads = [size // 2 if same else 0 for size in kernel] * 2
    return graph.op("AveragePool", x, kernel_shape=kernel, strides=strides, pads=pads, count_include_pad=0)


def max_pool(graph, node, x):
    facts = node.attributes
    kernel, strides = facts["kernel_size"][-2:], facts["strides"][-2:]
    same = facts["pad_mode"] == "SAME"
    centred = set(strides) == {1} and all(size % 2 for size in kernel)
    if facts["pad_mode"] != "VALID" and not (same and centred):
        raise InputError(f"{node.layer}: MaxPool has a row for pad_mode VALID, and SAME with odd kernels of stride 1")
    return graph.op("MaxPool", x, kernel_shape=kernel, strides=strides, pads=[same * (k // 2) for k in kernel] * 2)


def max_pool_3d(graph, node, x):
    facts = node.attributes
    pooled = graph.op(
        "MaxPool",
        x,
        kernel_shape=facts["ksize"],
        strides=facts["strides"],
        dilations=facts["dilation"] * (3 // len(facts["dilation"])),
        pads=facts["pads"] * 2,
        ceil_mode=int(facts["ceil_mode"]),
    )
    return pooled, None  # where the largest stood, nothing asks


def batch_norm(graph, node, x, scale, shift, mean, variance, training, epsilon, *_):
    if training:
        raise InputError(f"{node.layer}: BatchNorm of a network in training; export it after set_train(False)")
    inputs = x, scale, shift, mean, variance
    return graph.op("BatchNormalization", *inputs, epsilon=epsilon), None, None, None, None


def layer_norm(graph, node, x, scale, shift, norm_axis, _, epsilon):
    return graph.op("LayerNormalization", x, scale, shift, axis=norm_axis, epsilon=epsilon), None, None


def resize_bilinear(graph, node, x, size, align_corners, half_pixel_centers):
    mode = "align_corners" if align_corners else "half_pixel" if half_pixel_centers else "asymmetric"
    shape = axes(*node.result.shape)
    return graph.op("Resize", x, None, None, shape, mode="linear", coordinate_transformation_mode=mode)


def mirror_pad(graph, node, x, pads):
    mode = node.attributes["mode"]
    if mode != "REFLECT":
        raise InputError(f"{node.layer}: MirrorPad with mode {mode} has no row; use REFLECT")
    return graph.op("Pad", x, axes(*both_ends(tuple(pads.reshape(-1)))), mode="reflect")


def im2col(graph, node, x):
    """(B, C, H, W) -> (B, C, kernel places, output pixels): for each place of the kernel, a slice of the image."""
    facts = node.attributes
    (height, width), stride, pad = facts["ksizes"], facts["strides"], facts["pads"]
    if facts["dilations"] != (1, 1):
        raise InputError(f"{node.layer}: Im2Col with dilations {facts['dilations']} has no row")
    padded = graph.op("Pad", x, axes(0, 0, *pad, 0, 0, *pad))
    counts = [(x.shape[2 + i] + 2 * pad[i] - facts["ksizes"][i]) // stride[i] for i in (0, 1)]
    slices = []
    for first in np.ndindex(height, width):
        last = [first[i] + counts[i] * stride[i] + 1 for i in (0, 1)]
        part = graph.op("Slice", padded, axes(*first), axes(*last), axes(2, 3), axes(*stride))
        slices.append(graph.op("Unsqueeze", part, axes(2)))
    return graph.op("Reshape", graph.op("Concat", *slices, axis=2), axes(*node.result.shape))


def col2im(graph, node, columns, size):
    """(B, C, kernel places, patches) -> (B, C, H, W), where patches that overlap are added up.

    ONNX's Col2Im is slow in OpenVINO. Where the kernel is a whole number of strides, as mostly, it is not needed: a
    patch consists of tiles of a stride's size, and each tile of the image is the sum of one from each patch over it.
    """
    facts = node.attributes
    kernel, stride, pad = facts["kernel_size"], facts["stride"], facts["padding"]
    batch, channels = columns.shape[:2]
    counts = [(size[i] + 2 * pad[i] - kernel[i]) // stride[i] + 1 for i in (0, 1)]  # patches
    stride = [kernel[i] if counts[i] == 1 else stride[i] for i in (0, 1)]  # from one to the next
    tiles = [kernel[i] // stride[i] for i in (0, 1)]  # of a patch
    whole = [(counts[i] - 1) * stride[i] + kernel[i] for i in (0, 1)]  # with its padding
    fits = all(tiles[i] * stride[i] == kernel[i] and whole[i] == size[i] + 2 * pad[i] for i in (0, 1))
    if not fits or facts["dilation"] != (1, 1):
        columns = graph.op("Reshape", columns, axes(batch, -1, columns.shape[-1]))
        options = {"strides": facts["stride"], "pads": pad * 2, "dilations": facts["dilation"]}
        return graph.op("Col2Im", columns, size.astype(np.int64), axes(*kernel), **options)

    (down, across), (rows, cols) = stride, counts
    maps = overlapped(graph, columns, (batch * channels * kernel[0], tiles[1], across, rows, cols), 4)
    cols += tiles[1] - 1
    maps = overlapped(graph, maps, (batch * channels, tiles[0], down * across, rows, cols), 3)
    rows += tiles[0] - 1
    maps = graph.op("Reshape", maps, axes(batch * channels, down, across, rows, cols))
    maps = graph.op("Transpose", maps, perm=(0, 3, 1, 4, 2))
    image = graph.op("Reshape", maps, axes(batch, channels, *whole))
    if not any(pad):
        return image
    return graph.op("Slice", image, axes(*pad), axes(*(pad[i] + size[i] for i in (0, 1))), axes(2, 3))


def overlapped(graph: OnnxGraph, x: Tensor, shape: tuple[int, ...], axis: int) -> Tensor:
    """x in that shape, and the parts of its axis 1, each one step further along another axis, added up."""
    x = graph.op("Reshape", x, axes(*shape))
    if shape[1] == 1:
        return x
    total = None
    for i, part in enumerate(split(graph, None, x, 1, shape[1])):
        ends = np.zeros((2, len(shape)), np.int64)
        ends[:, axis] = i, shape[1] - 1 - i
        part = graph.op("Pad", part, ends.reshape(-1))
        total = part if total is None else graph.op("Add", total, part)
    assert total
    return total


def tile(graph, node, x, repeats):
    result = graph.op("Tile", x, axes(*repeats))
    if len(repeats) == len(x.shape) and all(n == 1 or length == 1 for n, length in zip(repeats, x.shape, strict=True)):
        graph.tiled[result.name] = x
    return result


def strided_slice(graph, node, x, begin, end, strides, begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_mask):
    """Bits of the masks stand for axes: from the start, to the end, or one index, whose axis goes."""
    if ellipsis_mask or new_axis_mask:
        raise InputError(f"{node.layer}: StridedSlice with an ellipsis or a new axis has no row")
    count = len(begin)
    first = [0 if begin_mask >> i & 1 else begin[i] for i in range(count)]
    last = [x.shape[i] if end_mask >> i & 1 else end[i] for i in range(count)]
    part = graph.op("Slice", x, axes(*first), axes(*last), axes(*range(count)), axes(*strides))
    gone = [i for i in range(count) if shrink_mask >> i & 1]
    return graph.op("Squeeze", part, axes(*gone)) if gone else part


def slice_of_size(graph, node, x, begin, size):
    last = axes(*(first + length for first, length in zip(begin, size, strict=True)))
    return graph.op("Slice", x, axes(*begin), last, axes(*range(len(begin))))


def split(graph, node, x, axis, count):
    return graph.results("Split", x, outputs=count, axis=axis, num_outputs=count)


def stack(graph, node, parts):
    axis = node.attributes["axis"]
    return graph.op("Concat", *(graph.op("Unsqueeze", part, axes(axis)) for part in parts), axis=axis)


def sum_ext(graph, node, x, dim, keepdims, _):
    dims = [axes(*np.atleast_1d(dim))] if np.size(dim) and dim is not None else []  # none: over all
    return graph.op("ReduceSum", x, *dims, keepdims=int(keepdims))


def argmax(graph, node, x, axis, _=None, keepdims=False):
    found = graph.op("ArgMax", x, axis=axis, keepdims=int(keepdims))
    dtype = node.result.dtype
    return found if dtype == np.int64 else graph.op("Cast", found, to=element_type(dtype))


def argmax_with_value(graph, node, x, axis, keepdims):
    found = graph.op("ArgMax", x, axis=axis, keepdims=int(keepdims))
    return found, graph.op("ReduceMax", x, axes(axis), keepdims=int(keepdims))


def clamp_scalar(graph, node, x, low, high):
    return graph.op("Clip", x, graph.constant(low, x.dtype), graph.constant(high, x.dtype))


def round_half_even(graph, node, x, decimals):
    if decimals:
        raise InputError(f"{node.layer}: Round to {decimals} decimals has no row; use 0")
    return graph.op("Round", x)


ROWS: dict[str, Row] = {
    # One number from one number.
    "Abs": same("Abs"),
    "Cast": lambda graph, node, x, _: cast(graph, x, node.result.dtype),
    "ClampScalar": clamp_scalar,
    "Neg": same("Neg"),
    "ReLU": same("Relu"),
    "Reciprocal": same("Reciprocal"),
    "Round": round_half_even,
    "Rsqrt": lambda graph, node, x: graph.op("Reciprocal", graph.op("Sqrt", x)),
    "Sigmoid": same("Sigmoid"),
    "Sqrt": same("Sqrt"),
    "Tanh": same("Tanh"),
    # One number from two, or three.
    "Add": pair("Add"),
    "Div": pair("Div"),
    "Divs": pair("Div"),
    "EqScalar": pair("Equal"),
    "Equal": pair("Equal"),
    "Greater": pair("Greater"),
    "Less": pair("Less"),
    "LessEqual": pair("LessOrEqual"),
    "Maximum": pair("Max"),
    "Minimum": pair("Min"),
    "Mul": pair("Mul"),
    "Muls": pair("Mul"),
    "Select": lambda graph, node, condition, a, b: graph.op("Where", condition, a, b),
    "Sub": pair("Sub"),
    # Products with weights, and with each other.
    "BatchMatMul": matrix_product,
    "BiasAdd": bias_add,
    "Conv2D": conv2d,
    "Dense": dense,
    "MatMul": matrix_product,
    "MatMulExt": matrix_product,
    # Norms, pools, sums.
    "ArgMaxWithValue": argmax_with_value,
    "Argmax": argmax,
    "AvgPool": avg_pool,
    "BatchNorm": batch_norm,
    "CumSum": lambda graph, node, x, axis, exclusive, reverse: graph.op(
        "CumSum", x, axes(axis).reshape(()), exclusive=int(exclusive), reverse=int(reverse)
    ),
    "LayerNorm": layer_norm,
    "Max": lambda graph, node, x: graph.op("ReduceMax", x, keepdims=0),
    "MaxPool": max_pool,
    "MaxPool3DWithArgmax": max_pool_3d,
    "ReduceMax": lambda graph, node, x, dims, keepdims, *_: graph.op(
        "ReduceMax", x, axes(*dims), keepdims=int(keepdims)
    ),
    "Softmax": lambda graph, node, x, axis: graph.op("Softmax", x, axis=axis[0]),
    "SumExt": sum_ext,
    # Other shapes, other places.
    "Col2Im": col2im,
    "Concat": lambda graph, node, parts, axis: graph.op("Concat", *parts, axis=axis),
    "ExpandDims": lambda graph, node, x, axis: graph.op("Unsqueeze", x, axes(axis)),
    "Eye": lambda graph, node, rows, columns, _: graph.constant(np.eye(rows, columns), node.result.dtype),
    "GatherNd": lambda graph, node, x, index: graph.op("GatherND", x, indices(graph, index)),
    "Im2Col": im2col,
    "MirrorPad": mirror_pad,
    "Reshape": lambda graph, node, x, _: graph.op("Reshape", x, axes(*node.result.shape)),
    "ResizeBilinearV2": resize_bilinear,
    "Slice": slice_of_size,
    "Split": split,
    "Squeeze": lambda graph, node, x, dims: graph.op("Squeeze", x, axes(*dims)),
    "Stack": stack,
    "StridedSlice": strided_slice,
    "TensorScatterUpdate": lambda graph, node, x, index, rows: graph.op("ScatterND", x, indices(graph, index), rows),
    "Tile": tile,
    "Transpose": lambda graph, node, x, order: graph.op("Transpose", x, perm=order),
    # ONNX has Trilu, but not every runtime does.
    "Tril": lambda graph, node, x: graph.op(
        "Mul", x, np.tril(np.ones(node.result.shape, node.result.dtype), node.attributes["diagonal"])
    ),
}
