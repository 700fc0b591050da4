"""Channel counts of narrower networks."""

GRAIN = 8  # heads of the encoder; also two axes of positions with a sine and a cosine each


def scaled(channels: int, width: float) -> int:
    """Channel count of a network `width` times as wide as the published one, a multiple of 8."""
    return max(GRAIN, GRAIN * round(channels * width / GRAIN))
