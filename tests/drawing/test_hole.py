import numpy as np
import pytest

from src.drawing.hole import around_hole


def window(shape, *boxes, least=1):
    """(first row, behind the last, first column, behind the last) around holes that are (top, left, height, width)."""
    hole = np.zeros(shape, bool)
    for top, left, height, width in boxes:
        hole[top : top + height, left : left + width] = True
    rows, columns = around_hole(hole, least)
    return rows.start, rows.stop, columns.start, columns.stop


@pytest.mark.parametrize(
    ("box", "least", "expected"),
    [
        ((40, 50, 10, 10), 1, (35, 55, 45, 65)),  # as much again on both sides together
        ((40, 50, 4, 10), 1, (32, 52, 45, 65)),  # a square
        ((40, 50, 10, 10), 30, (30, 60, 40, 70)),
        ((0, 90, 10, 10), 1, (0, 20, 80, 100)),  # moved where the image ends
        ((10, 10, 80, 20), 1, (0, 100, 0, 100)),  # and never larger than that
    ],
)
def test_the_window_is_twice_as_long_as_the_hole(box, least, expected):
    assert window((100, 100), box, least=least) == expected


def test_it_is_around_the_largest_hole():
    assert window((100, 200), (5, 5, 10, 10), (60, 150, 12, 12)) == (54, 78, 144, 168)


def test_a_flat_image_cuts_it():
    assert window((20, 200), (5, 50, 10, 30)) == (0, 20, 35, 95)


def test_without_a_hole_it_is_the_image():
    assert window((20, 30)) == (0, 20, 0, 30)
