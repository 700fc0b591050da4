"""losses.png, from rows of metrics.csv."""

import csv

import numpy as np
import pytest
from PIL import Image

from src.drawing.curves import COLOURS, MARGIN, PANEL, _running_mean, draw_curves, draw_panel

WIDTH, HEIGHT = PANEL[0] + MARGIN[0] + 16, PANEL[1] + 2 * MARGIN[1]


def draw(folder, **columns):
    """The image of these columns, or None."""
    with open(folder / "metrics.csv", "w", newline="") as file:
        csv.writer(file).writerows([columns, *zip(*columns.values(), strict=True)])
    draw_curves(folder / "metrics.csv", folder / "losses.png")
    path = folder / "losses.png"
    return np.asarray(Image.open(path)) if path.exists() else None


def curve_heights(image) -> np.ndarray:
    """Where the strong curve is in each column of a panel's plot that it crosses."""
    strong = (image == (25, 80, 160)).all(axis=2)
    columns = np.flatnonzero(strong.any(axis=0))
    return np.array([np.flatnonzero(strong[:, x]).mean() for x in columns])


def test_one_panel_for_each_loss_in_use(tmp_path):
    half = {"iteration": [1, 2], "stage": [1, 2], "seconds_per_iteration": [9, 9], "loss_style": [0, 0]}
    image = draw(tmp_path, **half, loss_hole=[2, 1], generator_loss=[3, 1], discriminator_loss=[1, 2], loss_x=[-1, 1])
    assert image.shape == (2 * HEIGHT, 3 * WIDTH, 3)  # four panels, three to a row
    panels = [image[y : y + HEIGHT, x : x + WIDTH] for y in (0, HEIGHT) for x in (0, WIDTH, 2 * WIDTH)]
    assert [bool((panel != 255).any()) for panel in panels] == [True, True, True, True, False, False]


def test_a_falling_loss_is_a_falling_curve(tmp_path):
    image = draw(tmp_path, iteration=range(1, 101), loss_hole=np.geomspace(100, 1, 100))
    heights = curve_heights(image)
    assert np.all(np.diff(heights) >= 0)  # rows of an image count downwards
    middle = heights[len(heights) // 2]
    assert middle == pytest.approx(MARGIN[1] + PANEL[1] / 2, abs=3)  # the axis is logarithmic


@pytest.mark.parametrize("values", [[2, 2, 2], [0, 1, 0], [-1, -2, 3], [1e-12, 1e12, 1]])
def test_any_finite_values_have_a_image(tmp_path, values):
    assert draw(tmp_path, iteration=[1, 2, 3], loss_hole=values).shape == (HEIGHT, 3 * WIDTH, 3)


@pytest.mark.parametrize("count", [0, 1])
def test_no_image_of_fewer_than_two_rows(tmp_path, count):
    assert draw(tmp_path, iteration=[1][:count], loss_hole=[1][:count]) is None


def test_curves_with_names_share_axes():
    """The second is twice the first, over the last half of the iterations."""
    steps = np.arange(1, 101)
    curves = {"whole": (steps, np.full(100, 1.0)), "half": (steps[50:], np.full(50, 2.0))}
    plot = np.asarray(draw_panel("two", curves))[MARGIN[1] + 40 :, MARGIN[0] :]  # without the names
    first, second = (np.argwhere((plot == colour).all(axis=2)) for colour in COLOURS[:2])
    assert first[:, 0].min() > PANEL[1] - 45  # at the bottom
    assert first[:, 1].min() <= 2
    assert second.size == 0  # at the top, above what was cut out
    top = np.asarray(draw_panel("two", curves))[: MARGIN[1] + 3, MARGIN[0] :]
    columns = np.argwhere((top == COLOURS[1]).all(axis=2))[:, 1]
    assert abs(columns.min() - PANEL[0] / 2) < 4


def test_running_mean_is_over_a_twentieth():
    values = np.random.default_rng(0).standard_normal(200)
    mean = _running_mean(values)
    np.testing.assert_allclose(mean[50], values[45:56].mean())
    np.testing.assert_allclose(mean[0], values[:6].mean())
    np.testing.assert_allclose(mean[-1], values[-6:].mean())
