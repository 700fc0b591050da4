"""Weights by rule: every array follows from its official name, its shape and a salt, so that no file need hold them."""

import zlib

import numpy as np


def rule_state(shapes: dict[str, tuple], salt: int = 0) -> dict[str, np.ndarray]:
    """A state dict for official names and shapes, in their order."""
    state = {name: rule_array(name, tuple(shape), salt) for name, shape in shapes.items()}
    for name in shapes:
        if name.endswith("weight_u"):
            prefix = name.removesuffix("u")
            state[name], state[prefix + "v"] = singular_vectors(name, state[prefix + "orig"], salt)
    return state


def rule_array(name: str, shape: tuple, salt: int) -> np.ndarray:
    random = random_of(name, salt)
    leaf = name.rsplit(".", 1)[-1]
    match leaf:
        case "num_batches_tracked":
            return np.zeros(shape, np.int64)
        case "running_mean":
            array = 0.1 * random.standard_normal(shape)
        case "running_var":
            array = 1 + 0.2 * random.random(shape)
        case "bias" | "in_proj_bias":
            array = 0.05 * random.standard_normal(shape)
        case _ if len(shape) >= 2:
            gain = 1.0 if "backbone" in name else np.sqrt(2)
            array = gain / np.sqrt(np.prod(shape[1:])) * random.standard_normal(shape)
        case "weight":
            array = 1 + 0.1 * random.standard_normal(shape)
        case _:
            array = np.full(shape, 0.5)
    return array.astype(np.float32)


def singular_vectors(name: str, weight: np.ndarray, salt: int) -> tuple[np.ndarray, np.ndarray]:
    """weight_u and weight_v after 30 power iterations in float64."""
    matrix = weight.astype(np.float64).reshape(len(weight), -1)
    u = unit(random_of(name, salt).standard_normal(len(matrix)))
    for _ in range(30):
        v = unit(matrix.T @ u)
        u = unit(matrix @ v)
    return u.astype(np.float32), v.astype(np.float32)


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x)


def random_of(name: str, salt: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()) + salt))
