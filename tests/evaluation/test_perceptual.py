"""LPIPS and FID: what the reference implementations compute, from files made as theirs are."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor
from PIL import Image
from skimage import data

import eval as entry_point
from model_utils.entry import run
from src.checkpoint import save_network
from src.convert import perceptual as converters
from src.convert.names import PYTORCH, pair_names, parameter_shapes
from src.data.images import normalise
from src.errors import InputError
from src.evaluation.buckets import Score, Scores
from src.evaluation.fid import frechet_distance
from src.evaluation.perceptual import CELLS, load_networks
from tests.command_line import words
from tests.evaluation.references import import_references
from tests.parity.official import as_tensors, run_convert, write_state
from tests.parity.rule_weights import rule_state


def weights_by_rule(metric: str) -> tuple[dict[str, np.ndarray], list]:
    """The state dict of other code's file or files, and the pairs of our names and theirs."""
    shapes = parameter_shapes(CELLS[metric][1]())
    table = converters.inception_table() if metric == "fid" else converters.lpips_table(metric)
    pairs = [(ours, theirs) for ours, theirs in pair_names(table, PYTORCH, shapes) if ours]
    state = rule_state({theirs: shapes[ours] for ours, theirs in pairs})
    # Linear layers have no negative weights: a distance is not less than 0.
    return {name: np.abs(a) if name.startswith("lin") else a for name, a in state.items()}, pairs


def photos(side: int) -> np.ndarray:
    """Four crops of photos: float32 (4, 3, side, side) in [-1, 1]."""
    whole = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]
    return np.stack([normalise(np.ascontiguousarray(photo[100 : 100 + side, 150 : 150 + side])) for photo in whole])


@pytest.mark.slow
@pytest.mark.parametrize(("metric", "net"), [("lpips", "alex"), ("lpips_vgg", "vgg")])
def test_lpips_is_the_references(metric, net, tmp_path):
    """The trunk's weights by rule, as nobody may ship torchvision's; the linear layers that lpips ships."""
    lpips, _, _ = import_references()
    linear = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth"
    state = {name: array for name, array in weights_by_rule(metric)[0].items() if name.startswith("features.")}
    classifier = {"classifier.6.weight": np.zeros((2, 2), np.float32), "classifier.6.bias": np.zeros(2, np.float32)}
    whole = write_state(tmp_path / "torchvision.pth", state | classifier)
    run_convert("torchvision", metric, whole, tmp_path / f"{metric}.ckpt", "--lpips_linear", str(linear))

    reference = lpips.LPIPS(net=net, pnet_rand=True, model_path=str(linear), verbose=False)
    names = {name: f"features.{name.split('.', 1)[1]}" for name in reference.net.state_dict()}  # slice1.0.weight …
    reference.net.load_state_dict(as_tensors({name: state[theirs] for name, theirs in names.items()}))

    a, b = photos(96), np.roll(photos(96), 1, axis=0)
    expected = reference(*map(as_tensor, (a, b))).detach().numpy().reshape(-1)
    (found,) = load_networks([metric], str(tmp_path))[metric](a, b)
    assert found.shape == (4,)
    assert expected.min() > 0.01
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=0)


def as_tensor(array: np.ndarray):
    import torch

    return torch.from_numpy(array)


@pytest.mark.slow
def test_fid_is_the_references(tmp_path, monkeypatch):
    """Features, and distances of sets of a few of them: the reference takes a root of a 2048x2048 matrix for all."""
    _, inception, fid_score = import_references()
    state, _ = weights_by_rule("fid")
    extras = {"fc.weight": np.zeros((1008, 2048), np.float32), "fc.bias": np.zeros(1008, np.float32)}
    extras |= {name: np.array(0) for name in inception_names(inception) if name.endswith("num_batches_tracked")}
    path = write_state(tmp_path / "inception.pth", state | extras)
    run_convert("official", "fid", path, tmp_path / "fid.ckpt")

    monkeypatch.setattr(inception, "load_state_dict_from_url", lambda *_, **__: as_tensors(state | extras))
    reference = inception.InceptionV3().eval()
    images = np.concatenate([photos(128), photos(128)[:, :, ::-1, ::-1]])
    expected = reference(as_tensor((images + 1) / 2))[0].numpy().reshape(8, 2048)
    (found,) = load_networks(["fid"], str(tmp_path))["fid"](images)
    assert expected.std() > 0.01
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())

    for number in (3, 30):  # features: fewer than images, and more
        a, b = (part[:, :: 2048 // number].astype(float) for part in (found[:4], found[3:]))
        moments = [moment for part in (a, b) for moment in (part.mean(axis=0), np.cov(part, rowvar=False))]
        reference_distance = fid_score.calculate_frechet_distance(*moments)
        assert frechet_distance(a, b) == pytest.approx(reference_distance, rel=1e-4)


def inception_names(inception) -> list[str]:
    return list(inception._inception_v3(num_classes=1008, aux_logits=False, weights=None).state_dict())


def test_frechet_distance_by_hand():
    u, v = np.array([3.0, 4, 0]), np.array([0.0, 1, 0])
    a, b = np.stack([u, -u]), 7 + np.stack([v, -v])  # covariances 2 uuᵀ and 2 vvᵀ, whose product has the root 2 |u·v|
    assert frechet_distance(a, b) == pytest.approx(3 * 49 + 2 * 25 + 2 * 1 - 2 * 2 * 4)
    many = np.random.default_rng(0).standard_normal((50, 3))
    assert frechet_distance(many, many) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(many, 2 * many) == pytest.approx(
        (many.mean(axis=0) ** 2).sum() + np.trace(np.cov(many, rowvar=False))
    )


def test_lpips_is_0_for_equal_images_and_grows_with_noise(mode):
    image, noise = photos(64)[:1], np.random.default_rng(0).standard_normal((1, 3, 64, 64)).astype(np.float32)
    cell = with_rule_weights("lpips")
    distances = [float(cell(Tensor(image), Tensor(image + share * noise)).asnumpy()[0]) for share in (0, 0.05, 0.5)]
    assert distances[0] == 0
    assert 0 < distances[1] < distances[2]


def with_rule_weights(metric: str):
    cell = CELLS[metric][1]()
    state, pairs = weights_by_rule(metric)
    for ours, theirs in pairs:
        cell.parameters_dict()[ours].set_data(Tensor(state[theirs]))
    return cell


def test_files_that_do_not_fit_are_refused(tmp_path):
    pytest.importorskip("torch")
    state, _ = weights_by_rule("lpips")
    trunk, linear = ({n: a for n, a in state.items() if n.startswith(s)} for s in ("features", "lin"))
    path, other = write_state(tmp_path / "alexnet.pth", trunk), write_state(tmp_path / "alex.pth", linear)
    with pytest.raises(InputError, match="needs --lpips_linear as well"):
        run_convert("torchvision", "lpips", path, tmp_path / "lpips.ckpt")
    with pytest.raises(InputError, match=r"alexnet.pth with .*alex.pth does not fit: missing: features.2.weight"):
        run_convert("torchvision", "lpips_vgg", path, tmp_path / "lpips.ckpt", "--lpips_linear", str(other))
    with pytest.raises(InputError, match=r"--lpips_linear .*: fid does not use it"):
        run_convert("official", "fid", path, tmp_path / "fid.ckpt", "--lpips_linear", str(other))
    run_convert("torchvision", "lpips", path, tmp_path / "fid.ckpt", "--lpips_linear", str(other))
    with pytest.raises(InputError, match=r"fid.ckpt holds lpips alexnet, not fid"):
        load_networks(["fid"], str(tmp_path))


def test_fid_needs_two_images():
    scores, features = Scores(["psnr", "fid"]), np.eye(3, 2048, dtype=np.float32)
    scores.add(Score("a", 0.1, 30, 0.9, 0.01, features=(features[0], features[1])))
    assert scores.summary()["overall"] == {"psnr": 30, "fid": None, "count": 1}
    scores.add(Score("b", 0.3, 30, 0.9, 0.01, features=(features[2], features[1])))
    assert scores.summary()["buckets"]["0-20%"]["fid"] is None
    assert scores.summary()["buckets"]["40-60%"]["fid"] is None
    # Ours differ from their mean by ±(e0 - e2) / 2, which makes a variance of 1; the others not at all.
    assert scores.summary()["overall"]["fid"] == pytest.approx(1 + 0.25 + 0.25 + 1)


@pytest.fixture
def options(checkpoint, tmp_path) -> dict:
    """Three images whose masks fall in two buckets."""
    for folder in ("pictures", "masks"):
        (tmp_path / folder).mkdir()
    for i, photo in enumerate(photos(128)[:3]):
        Image.fromarray(np.uint8(127.5 * (photo.transpose(1, 2, 0) + 1))).save(tmp_path / "pictures" / f"{i}.png")
        hole = np.zeros((128, 128), bool)
        hole[30 : (50, 50, 80)[i]] = True
        Image.fromarray(hole).save(tmp_path / "masks" / f"{i}.png")
    options = {"checkpoint_path": checkpoint, "output_path": tmp_path / "scores", "mode": "pynative"}
    return options | {"data_root": tmp_path / "pictures", "eval_masks_root": tmp_path / "masks"}


@pytest.mark.slow
def test_eval_reports_them(options, tmp_path):
    for metric in ("lpips", "fid"):
        save_network(tmp_path / f"{metric}.ckpt", with_rule_weights(metric), CELLS[metric][0])
    more = {"metrics": "psnr,lpips,fid", "metrics_path": tmp_path, "baselines": "telea", "eval_batch_size": 2}
    run(entry_point.main, words(options | more))
    metrics = json.loads((tmp_path / "scores" / "metrics.json").read_text())
    rows = list(csv.DictReader((tmp_path / "scores" / "per_image.csv").open()))
    assert list(rows[0])[4:] == ["psnr", "lpips", "telea_psnr", "telea_lpips"]
    assert metrics["overall"]["lpips"] == pytest.approx(np.mean([float(row["lpips"]) for row in rows]))
    assert all(float(row["lpips"]) > 0 for row in rows)
    assert (metrics["buckets"]["0-20%"]["count"], metrics["buckets"]["20-40%"]["count"]) == (2, 1)
    assert metrics["buckets"]["20-40%"]["fid"] is None
    assert metrics["overall"]["fid"] != metrics["buckets"]["0-20%"]["fid"] > 0
    assert metrics["baselines"]["telea"]["overall"]["fid"] > 0
    table = (tmp_path / "scores" / "metrics.md").read_text().splitlines()
    assert table[0] == "| Hole | Method | PSNR | LPIPS | FID | Images |"
    assert table[4].startswith("| 20-40% | ctsdg |")
    assert table[4].endswith("| - | 1 |")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"metrics": "psnr,lpips"}, "--metrics lpips: --metrics_path is missing, the folder of lpips.ckpt"),
        ({"metrics": "fid", "metrics_path": "none"}, "--metrics fid: none/fid.ckpt does not exist; docs/evaluation.md"),
        ({"metrics": "psnr,vmaf"}, "--metrics psnr,vmaf: choose from psnr, ssim, mae, lpips, lpips_vgg, fid"),
        ({"metrics": ","}, "--metrics is empty"),
    ],
)
def test_what_is_missing_is_one_line(options, more, expected, capsys):
    with pytest.raises(SystemExit) as stop:
        run(entry_point.main, words(options | more))
    error = capsys.readouterr().err
    assert (stop.value.code, error.count("\n")) == (2, 1)
    assert error.startswith(f"error: {expected}")
    assert not options["output_path"].exists()
