import numpy as np
import pytest
from PIL import Image

from src.data.dataset import build_training_dataset, iterate
from src.data.images import list_images, normalise
from src.data.orientation import ORIENTATION, as_stored
from src.data.samples import EvaluationSamples, TrainingSamples
from src.errors import InputError
from src.inference.jobs import Job
from src.inference.user_files import Settings, read_job
from tests.defaults import with_defaults

SIZE = 16
NUM_IMAGES, NUM_MASKS = 5, 3


@pytest.fixture
def paths(tmp_path):
    """Five flat images whose red says which one they are, three masks with 1, 2, 3 rows of hole."""
    for folder in ("images/sub", "masks"):
        (tmp_path / folder).mkdir(parents=True)
    for i in range(NUM_IMAGES):
        colour = np.array([10 * i, 100, 200], np.uint8)
        folder = "images/sub" if i == 0 else "images"
        Image.fromarray(np.broadcast_to(colour, (SIZE, SIZE, 3)).copy()).save(tmp_path / folder / f"{i}.png")
    for i in range(NUM_MASKS):
        mask = np.zeros((SIZE, SIZE), np.uint8)
        mask[: i + 1] = 255
        Image.fromarray(mask).save(tmp_path / "masks" / f"{i}.png")
    images = sorted(list_images(tmp_path / "images"), key=lambda path: path.name)
    return images, list_images(tmp_path / "masks")


@pytest.fixture
def samples(paths):
    images, masks = paths
    return with_defaults(TrainingSamples, images, SIZE, seed=7, mask_paths=masks, edge_mode="clean")


def number_of(image):
    """Which of the images it is."""
    return round((float(image[0, 0, 0]) + 1) * 127.5) // 10


def hole_rows(mask):
    return int((1 - mask[0]).sum()) // SIZE


def stream(samples, *args, **options):
    batches = iterate(build_training_dataset(samples, *args, **options))
    return [[column.asnumpy() for column in batch] for batch in batches]


def assert_equal_streams(first, second):
    assert len(first) == len(second)
    for batch, other in zip(first, second, strict=True):
        for column, expected in zip(batch, other, strict=True):
            np.testing.assert_array_equal(column, expected)


def test_a_sample_is_image_mask_edge_and_gray(samples):
    shapes = [(column.shape, column.dtype) for column in samples[0]]
    assert shapes == [((channels, SIZE, SIZE), np.float32) for channels in (3, 1, 1, 1)]


def test_without_edge_mode_there_is_no_structure(paths):
    samples = with_defaults(TrainingSamples, paths[0], SIZE, seed=0)
    assert samples.columns == ("image", "mask")
    assert len(samples[0]) == 2


def test_every_epoch_visits_every_image_once_in_its_own_order(samples):
    epochs = [[samples.image_path(k) for k in range(e * NUM_IMAGES, (e + 1) * NUM_IMAGES)] for e in range(6)]
    assert all(sorted(epoch) == sorted(samples.image_paths) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_masks_are_random_per_sample_and_follow_the_seed(samples, paths):
    def rows(samples):
        return [hole_rows(samples[k][1]) for k in range(20)]

    assert set(rows(samples)) == {1, 2, 3}
    assert rows(samples) == rows(samples)
    assert rows(samples) != rows(with_defaults(TrainingSamples, paths[0], SIZE, seed=8, mask_paths=paths[1]))


def test_index_pairing_repeats_images_in_order_with_mask_i_mod_count(paths):
    samples = with_defaults(TrainingSamples, paths[0], SIZE, seed=0, mask_paths=paths[1], mask_pairing="index")
    pairs = [(number_of(samples[k][0]), hole_rows(samples[k][1]) - 1) for k in range(2 * NUM_IMAGES)]
    assert pairs == 2 * [(0, 0), (1, 1), (2, 2), (3, 0), (4, 1)]
    with pytest.raises(InputError, match="random, index"):
        with_defaults(TrainingSamples, paths[0], SIZE, seed=0, mask_pairing="sorted")


def test_masks_are_drawn_when_there_are_no_files(paths):
    samples = with_defaults(TrainingSamples, paths[0], SIZE, seed=0, hole_min=0.2, hole_max=0.3)
    masks = [samples[k][1] for k in range(10)]
    assert all(0.2 <= 1 - mask.mean(dtype=float) <= 0.3 for mask in masks)
    assert (masks[0] != masks[1]).any()
    np.testing.assert_array_equal(masks[0], samples[0][1])

    paired = with_defaults(TrainingSamples, paths[0], SIZE, seed=0, mask_pairing="index")
    np.testing.assert_array_equal(paired[1][1], paired[1 + NUM_IMAGES][1])


def test_the_stream_is_the_samples_in_order(samples):
    batches = stream(samples, 0, 3, 2)
    expected = [
        [np.stack(columns) for columns in zip(samples[2 * i], samples[2 * i + 1], strict=True)] for i in range(3)
    ]
    assert_equal_streams(batches, expected)


def test_workers_and_resuming_do_not_change_the_stream(samples):
    whole = stream(samples, 0, 8, 2, num_parallel_workers=1)
    assert_equal_streams(stream(samples, 0, 8, 2, num_parallel_workers=2), whole)
    assert_equal_streams(stream(samples, 5, 3, 2, num_parallel_workers=1), whole[5:])
    assert_equal_streams(stream(samples, 5, 3, 2, num_parallel_workers=2), whole[5:])


def test_ranks_together_read_the_joint_batch(samples):
    joint = stream(samples, 1, 3, 4)
    ranks = [stream(samples, 1, 3, 2, rank, 2) for rank in (0, 1)]
    together = [[np.concatenate(pair) for pair in zip(*batches, strict=True)] for batches in zip(*ranks, strict=True)]
    assert_equal_streams(together, joint)
    assert (ranks[0][0][1] != ranks[1][0][1]).any()
    with pytest.raises(ValueError, match="rank 2 is not one of 2"):
        build_training_dataset(samples, 0, 1, 2, rank=2, world=2)


def test_no_iteration_is_no_dataset(samples):
    with pytest.raises(ValueError, match="count 0"):
        build_training_dataset(samples, 5, 0, 2)


def test_more_workers_than_cores_are_as_many_as_cores(samples):
    assert len(stream(samples, 0, 2, 2, num_parallel_workers=1000)) == 2


@pytest.mark.parametrize("num_parallel_workers", [1, 2])
def test_a_broken_image_names_itself_in_one_line(samples, tmp_path, num_parallel_workers):
    path = tmp_path / "broken.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:1000])
    broken = with_defaults(TrainingSamples, [*samples.image_paths[:3], path], SIZE, seed=0, mask_pairing="index")
    batches = iterate(build_training_dataset(broken, 0, 4, 2, num_parallel_workers=num_parallel_workers))
    with pytest.raises(InputError) as error:
        list(batches)
    assert str(error.value).startswith(f"{path} cannot be read as an image: image file is truncated")
    assert "\n" not in str(error.value)


def test_evaluation_pairs_image_i_with_mask_i_mod_count(paths):
    samples = with_defaults(EvaluationSamples, *paths, SIZE, edge_mode="clean")
    assert [sample.name for sample in samples] == ["sub/0.png", "1.png", "2.png", "3.png", "4.png"]
    assert [number_of(sample.image) for sample in samples] == [0, 1, 2, 3, 4]
    assert [hole_rows(sample.mask) - 1 for sample in samples] == [0, 1, 2, 0, 1]
    sample = samples[3]
    np.testing.assert_array_equal(normalise(sample.pixels), sample.image)
    assert sample.edge.shape == sample.gray.shape == sample.mask.shape == (1, SIZE, SIZE)
    assert with_defaults(EvaluationSamples, *paths, SIZE)[0].edge is None


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("mask_is_stored", [False, True])
def test_training_and_evaluation_turn_images_and_masks_as_inference_does(orientation, mask_is_stored, tmp_path):
    shown = np.zeros((64, 96), bool)
    shown[:24, 48:] = True
    quarter = orientation in (6, 8)
    if mask_is_stored and not quarter:
        pytest.skip("such a mask has the size of what is shown, and is taken so")
    stored = as_stored(shown, orientation)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image, mask = tmp_path / "p.png", tmp_path / "m.png"
    Image.fromarray(np.repeat(stored[..., None] * np.uint8(255), 3, axis=2)).save(image, exif=exif)
    Image.fromarray(stored if mask_is_stored else shown).save(mask)

    _, hole = read_job(Job(image, mask, tmp_path / "x.png"), with_defaults(Settings))
    np.testing.assert_array_equal(hole, shown)
    evaluated = with_defaults(EvaluationSamples, [image], [mask], SIZE)[0]
    trained = with_defaults(TrainingSamples, [image], SIZE, seed=7, mask_paths=[mask])[0]
    for image, known in ((evaluated.image, evaluated.mask), trained):
        np.testing.assert_array_equal(known[0] == 0, image[0] > 0)  # the hole is where the image is white
        np.testing.assert_array_equal(known[0] == 0, shown[2::4, 3::6])


@pytest.mark.parametrize("batch_size", [1, 2, 5, 8])
def test_evaluation_batches_hold_every_image_in_order(paths, batch_size):
    samples = with_defaults(EvaluationSamples, *paths, SIZE)
    batches = list(samples.batches(batch_size))
    assert [sample.name for batch in batches for sample in batch] == samples.names
    assert all(len(batch) == batch_size for batch in batches[:-1])


@pytest.fixture
def gradient(tmp_path):
    """An image of 60 x 40 whose red is the column, and whose green the row."""
    rows, columns = np.mgrid[:40, :60]
    image = np.stack([columns, rows, 0 * rows], axis=-1).astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "gradient.png")
    return [tmp_path / "gradient.png"]


def windows(paths, scale, count=40, **options):
    samples = with_defaults(TrainingSamples, paths, SIZE, seed=3, window_scale=scale, **options)
    return [np.rint((samples[k][0] + 1) * 127.5) for k in range(count)]


def test_at_scale_1_windows_are_parts_of_the_image_half_of_them_mirrored(gradient):
    whole = np.asarray(Image.open(gradient[0]))
    places, mirrored = set(), 0
    for image in windows(gradient, 1.0):
        flipped = image[0, 0, 0] > image[0, 0, 1]
        mirrored += flipped
        image = image[:, :, ::-1] if flipped else image
        left, top = int(image[0, 0, 0]), int(image[1, 0, 0])
        np.testing.assert_array_equal(image.transpose(1, 2, 0), whole[top : top + SIZE, left : left + SIZE])
        places.add((left, top))
    assert len(places) > 30
    assert 10 < mirrored < 30


def test_windows_of_larger_scales_are_squares_that_fit_into_the_image(gradient):
    sides = []
    for image in windows(gradient, 4.0):
        across, down = np.ptp(image[0]), np.ptp(image[1])  # of a window shrunk to SIZE pixels
        assert abs(across - down) <= 2
        sides.append(across * SIZE / (SIZE - 1))
    assert min(sides) < 1.3 * SIZE
    assert max(sides) > 36  # of 40, the shorter side, though 4 x 16 would be more


def test_windows_follow_from_seed_and_sample_number(gradient):
    np.testing.assert_array_equal(windows(gradient, 2.0), windows(gradient, 2.0))
    by_index = windows(gradient, 2.0, count=3, mask_pairing="index")
    np.testing.assert_array_equal(by_index[0], by_index[2])


def test_windows_lie_within_the_centre_crop(gradient):
    for image in windows(gradient, 2.0, center_crop=20):
        assert image[0].min() >= 20 and image[0].max() < 40
        assert image[1].min() >= 10 and image[1].max() < 30


def test_a_window_scale_between_0_and_1_is_refused(gradient):
    with pytest.raises(InputError, match=r"window_scale 0\.5"):
        with_defaults(TrainingSamples, gradient, SIZE, seed=0, window_scale=0.5)
