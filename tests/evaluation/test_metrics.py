import json

import numpy as np
import pytest
from scipy.ndimage import correlate1d
from skimage import data
from skimage.color import rgb2gray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from src.data.masks import draw_mask
from src.errors import InputError
from src.evaluation.baselines import BASELINES, inpaint_baseline
from src.evaluation.buckets import Score, Scores, bucket_of, hole_ratio, markdown_table
from src.evaluation.image_quality import PROTOCOLS, get_protocol, mae, psnr, sharpness, ssim


@pytest.fixture(scope="module")
def pair():
    """A photo and the same with Telea's filling in a fifth of it, float64 (H, W, 3) in [0, 1]."""
    image = data.astronaut()[:128, 140:268]
    known = draw_mask(np.random.default_rng(0), 128, 0.2, 0.2)
    return inpaint_baseline("telea", image, known) / 255, image / 255


def test_zoo_psnr_and_ssim_are_scikit_images_on_whole_windows(pair):
    composite, truth = pair
    assert psnr(composite, truth) == pytest.approx(peak_signal_noise_ratio(truth, composite, data_range=1), abs=1e-6)

    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1}
    _, ssim_map = structural_similarity(truth, composite, channel_axis=2, full=True, **options)
    assert ssim(composite, truth) == pytest.approx(ssim_map[5:-5, 5:-5].mean(), abs=1e-6)


def test_sharpness_is_a_share_of_the_truths_steps_inside_the_hole():
    truth, hole = np.random.default_rng(0).random((20, 20, 3)), np.zeros((20, 20), bool)
    hole[5:15, 5:15] = True
    assert sharpness(truth, truth, hole) == 1
    assert sharpness(0.5 + 0.25 * (truth - 0.5), truth, hole) == pytest.approx(0.25)
    assert sharpness(np.where(hole[..., None], 9, truth), truth, hole) == 0  # the steps over its rim do not count
    assert sharpness(truth, np.ones_like(truth), hole) == np.inf


def test_zoo_scores_by_hand():
    truth = np.full((16, 16, 3), 0.5)
    composite = truth.copy()
    composite[..., 0] += 0.3  # one channel of three
    assert psnr(composite, truth) == pytest.approx(-10 * np.log10(0.03))
    assert mae(composite, truth) == pytest.approx(0.1)
    flat = (2 * 0.8 * 0.5 + 1e-4) / (0.8**2 + 0.5**2 + 1e-4)  # no variance: the luminance term is left
    assert ssim(composite, truth) == pytest.approx((flat + 2) / 3)


def test_edge_connect_scores_gray_images_with_wide_uniform_windows(pair):
    composite, truth = pair
    protocol = PROTOCOLS["edge_connect"]
    gray_composite, gray_truth = rgb2gray(composite), rgb2gray(truth)
    expected = structural_similarity(gray_truth, gray_composite, win_size=51, data_range=1)
    assert ssim(composite, truth, protocol) == pytest.approx(expected, abs=1e-9)
    expected = peak_signal_noise_ratio(gray_truth, gray_composite, data_range=1)
    assert psnr(composite, truth, protocol) == pytest.approx(expected, abs=1e-6)
    expected = np.abs(gray_truth - gray_composite).sum() / (gray_truth + gray_composite).sum()
    assert mae(composite, truth, protocol) == pytest.approx(expected)


def test_lbam_has_constants_of_one_for_images_of_255_and_zeros_around_them(pair):
    weights = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    weights /= weights.sum()

    def blur(image):
        return correlate1d(correlate1d(image, weights, axis=0, mode="constant"), weights, axis=1, mode="constant")

    a, b = (255 * image for image in pair)
    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b, cov = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2, blur(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + 1e-4) / (mean_a**2 + mean_b**2 + 1e-4)
    expected = (luminance * (2 * cov + 9e-4) / (var_a + var_b + 9e-4)).mean()
    assert ssim(*pair, PROTOCOLS["lbam"]) == pytest.approx(expected, abs=1e-6)
    assert psnr(*pair, PROTOCOLS["lbam"]) == psnr(*pair)


def test_the_protocols_score_the_same_images_differently(pair):
    scores = sorted(ssim(*pair, protocol) for protocol in PROTOCOLS.values())
    assert np.diff(scores).min() > 0.005
    assert scores[0] == ssim(*pair, PROTOCOLS["lbam"])
    with pytest.raises(InputError, match="zoo, edge_connect, lbam"):
        get_protocol("imagenet")


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_perfect_image_counts_as_100_decibels(pair, name):
    _, truth = pair
    protocol = get_protocol(name)
    assert psnr(truth, truth, protocol) == 100
    assert psnr(truth + 1e-9, truth, protocol) == 100  # nothing is better than perfect
    assert ssim(truth, truth, protocol) == pytest.approx(1)
    assert mae(truth, truth, protocol) == 0
    black = np.zeros_like(truth)
    assert (psnr(black, black, protocol), mae(black, black, protocol)) == (100, 0)


def test_a_window_larger_than_the_image_is_an_input_error():
    small = np.zeros((50, 64, 3))
    with pytest.raises(InputError, match="edge_connect needs images of at least 51x51 pixels, not 64x50"):
        ssim(small, small, PROTOCOLS["edge_connect"])
    with pytest.raises(ValueError, match="differ in shape"):
        psnr(small, small[:-1])


@pytest.mark.parametrize(
    ("hole_pixels", "bucket"),
    [
        (0, "0%"),
        (1, "0-20%"),
        (320, "0-20%"),
        (321, "20-40%"),
        (640, "20-40%"),
        (641, "40-60%"),
        (960, "40-60%"),
        (961, ">60%"),
        (1600, ">60%"),
    ],
)
def test_upper_borders_belong_to_their_bucket(hole_pixels, bucket):
    known = np.ones(1600, np.float32)
    known[:hole_pixels] = 0
    assert bucket_of(hole_ratio(known.reshape(1, 40, 40))) == bucket


def test_every_hole_ratio_falls_in_exactly_one_bucket():
    scores = Scores()
    for percent in range(101):
        scores.add(Score(str(percent), percent / 100, 30, 0.9, 0.01))
    counts = {name: means["count"] for name, means in scores.summary()["buckets"].items()}
    assert counts == {"0%": 1, "0-20%": 20, "20-40%": 20, "40-60%": 20, ">60%": 40}
    assert scores.summary()["overall"]["count"] == 101
    with pytest.raises(ValueError, match="not within"):
        scores.add(Score("x", 1.01, 30, 0.9, 0.01))


def test_means_are_per_image():
    scores = Scores()
    scores.add(Score("a", 0.1, 20, 0.5, 0.1))
    scores.add(Score("b", 0.2, 40, 0.7, 0.3))
    scores.add(Score("c", 0.9, 12, 0.3, 0.5))
    summary = json.loads(json.dumps(scores.summary(), allow_nan=False))
    assert list(summary["buckets"]) == ["0-20%", "20-40%", "40-60%", ">60%"]
    assert summary["buckets"]["0-20%"] == {"psnr": 30, "ssim": 0.6, "mae": 0.2, "count": 2}
    assert summary["buckets"]["20-40%"] == {"psnr": None, "ssim": None, "mae": None, "count": 0}
    assert summary["buckets"][">60%"]["count"] == 1
    assert summary["overall"] == {"psnr": 24, "ssim": 0.5, "mae": pytest.approx(0.3), "count": 3}


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(InputError, match=r"a: .* not all finite"):
        Scores().add(Score("a", 0.1, float("nan"), 1, 0))


def test_the_table_names_its_protocol_its_size_and_its_perfect_images():
    ours, telea = Scores(), Scores()
    ours.add(Score("a", 0.1, 35, 0.98, 0.01))
    telea.add(Score("a", 0.1, 100, 1, 0))
    methods = {"ctsdg": ours, "telea": telea}
    summaries = {name: scores.summary() for name, scores in methods.items()}
    lines = markdown_table(methods, summaries, PROTOCOLS["zoo"], 128).splitlines()
    assert "| 0-20% | ctsdg | 35.00 | 0.9800 | 0.0100 | 1 |" in lines
    assert "| overall | telea | 100.00 | 1.0000 | 0.0000 | 1 |" in lines
    rows = [line.split(" | ")[0] for line in lines[2:6]]
    assert rows == ["| 0-20%", "| 0-20%", "| overall", "| overall"]  # none for buckets without images
    assert lines[-2] == "Protocol `zoo`, measured at 128x128 pixels: means over images."
    assert lines[-1] == "Perfect images count as PSNR 100: 1 of telea."


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_fill_the_hole_and_nothing_else(name):
    image = data.astronaut()[:64, 160:224]
    known = draw_mask(np.random.default_rng(1), 64, 0.3, 0.3)
    hole = known[0] == 0
    filled = inpaint_baseline(name, image, known)
    np.testing.assert_array_equal(filled[~hole], image[~hole])

    damaged = image.copy()
    damaged[hole] = 255  # what the hole held does not matter
    np.testing.assert_array_equal(inpaint_baseline(name, damaged, known), filled)
    black = np.where(hole[..., None], 0, image)
    assert psnr(filled / 255, image / 255) > psnr(black / 255, image / 255) + 3


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_accept_no_hole_and_all_hole(name):
    image = data.astronaut()[:16, :16]
    np.testing.assert_array_equal(inpaint_baseline(name, image, np.ones((16, 16))), image)
    assert inpaint_baseline(name, image, np.zeros((16, 16))).shape == image.shape


def test_unknown_baselines_are_input_errors():
    with pytest.raises(InputError, match="telea, ns"):
        inpaint_baseline("magic", np.zeros((4, 4, 3), np.uint8), np.ones((4, 4)))
