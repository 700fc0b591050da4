"""The algorithm of DGTS as published, for one image: lists of tokens that grow, in NumPy and float64.

Slow and plain, to check the fixed-shape cells against at small widths.
"""

import numpy as np

from src.dgts.embedding import PATCH


class GrowingLists:
    """Coarse filled attention and decoder of one Generator."""

    def __init__(self, generator) -> None:
        parameters = generator.parameters_and_names()
        self.weights = {name: p.asnumpy().astype(np.float64) for name, p in parameters}
        self.matching_lambda = generator.decoder.matching_lambda
        self.num_layers = len(generator.decoder.layers)

    def dense(self, name: str, x: np.ndarray) -> np.ndarray:
        weight = self.weights[f"{name}.weight"]
        return x @ weight.reshape(len(weight), -1).T + self.weights[f"{name}.bias"]

    def norm(self, name: str, x: np.ndarray) -> np.ndarray:
        x = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
        return x * self.weights[f"{name}.gamma"] + self.weights[f"{name}.beta"]

    def coarse(self, tokens: np.ndarray, count: np.ndarray) -> np.ndarray:
        """Every level averages the tokens that have been filled before, keys anew for each."""
        scale = tokens.shape[1] ** -0.5
        done, tokens = count == count.max(), tokens.copy()
        for level in sorted(set(count[~done]), reverse=True):
            now = count == level
            query, key = self.dense("coarse.query", tokens[now]), self.dense("coarse.key", tokens[done])
            tokens[now] = softmax(scale * query @ key.T) @ tokens[done]
            done = done | now
        return self.norm("coarse.norm", 2 * tokens)

    def decode(
        self, tokens: np.ndarray, count: np.ndarray, memory: np.ndarray, pixels: np.ndarray, hole: np.ndarray, order
    ) -> np.ndarray:
        """tokens: (N, D), coarse; memory: (R, D'); pixels, hole: (N, 3 8 8); order: patches to fill -> pixels"""
        lists = [({}, {}) for _ in range(self.num_layers)]  # by layer: features and scores of known patches
        pixels = pixels.copy()
        for patch in np.flatnonzero(count == count.max()):
            self.remember(patch, tokens[patch], memory, lists)
        for patch in order:
            x = tokens[patch]
            for i in range(self.num_layers):
                known, scores = lists[i]
                attention = self.structure(i, x, known, scores)
                attention = self.matching_lambda * attention
                attention += (1 - self.matching_lambda) * softmax(self.scores(i, x, memory))
                x = self.attend(i, x, attention, memory)
            hidden = self.dense("decoder.pixel_head.dense", x).reshape(-1, PATCH**2)  # (channels, 8 8)
            filling = self.dense("decoder.pixel_head.conv", hidden.T).T.reshape(-1)
            pixels[patch] = np.where(hole[patch] > 0, filling, pixels[patch])
            self.remember(patch, self.dense("decoder.embedding", pixels[patch]), memory, lists)
        return pixels

    def remember(self, patch: int, x: np.ndarray, memory: np.ndarray, lists: list) -> None:
        for i, (known, scores) in enumerate(lists):
            known[patch] = self.dense(f"decoder.layers.{i}.known_features", x)
            scores[patch] = self.scores(i, x, memory)
            x = self.attend(i, x, softmax(scores[patch]), memory)

    def scores(self, i: int, x: np.ndarray, memory: np.ndarray) -> np.ndarray:
        query = self.dense(f"decoder.layers.{i}.query", x)
        return self.dense(f"decoder.layers.{i}.key", memory) @ query * len(x) ** -0.5

    def structure(self, i: int, x: np.ndarray, known: dict, scores: dict) -> np.ndarray:
        matching = np.stack(list(known.values())) @ self.dense(f"decoder.layers.{i}.unknown_features", x)
        return softmax(matching @ np.stack(list(scores.values())) * len(x) ** -0.5)

    def attend(self, i: int, x: np.ndarray, attention: np.ndarray, memory: np.ndarray) -> np.ndarray:
        layer = f"decoder.layers.{i}"
        x = self.norm(f"{layer}.norm", x + attention @ self.dense(f"{layer}.value", memory))
        hidden = np.maximum(self.dense(f"{layer}.feed_forward.linear1", x), 0)
        return self.norm(f"{layer}.feed_forward.norm", x + self.dense(f"{layer}.feed_forward.linear2", hidden))


def softmax(x: np.ndarray) -> np.ndarray:
    x = np.exp(x - x.max(axis=-1, keepdims=True))
    return x / x.sum(axis=-1, keepdims=True)
