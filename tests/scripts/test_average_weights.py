"""scripts/average_weights.py"""

import subprocess
import sys

import numpy as np

from src.checkpoint import read_network, save_network
from src.models import get_model
from tests.command_line import ROOT


def average(*paths: object) -> subprocess.CompletedProcess:
    command = [sys.executable, ROOT / "scripts" / "average_weights.py", *paths]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_mean_of_two_files_is_written_once(tmp_path):
    files = [tmp_path / "0.ckpt", tmp_path / "1.ckpt"]
    for i, file in enumerate(files):
        info = get_model("ctsdg").info("generator", width=0.5, edge_mode="clean", iteration=10 - i)
        save_network(file, {"weight": np.array([i, 3.0], np.float32)}, info)
    out = tmp_path / "mean.ckpt"
    assert average(out, *files).returncode == 0
    arrays, info, _ = read_network(out)
    np.testing.assert_array_equal(arrays["weight"], [0.5, 3.0])
    assert info == get_model("ctsdg").info("generator", width=0.5, edge_mode="clean", iteration=10)

    written = out.read_bytes()
    refused = average(out, *files)
    assert (refused.returncode, refused.stderr) == (2, f"error: {out} is there already; choose another name\n")
    assert out.read_bytes() == written


def test_files_of_different_networks_are_refused(tmp_path):
    files = [tmp_path / "clean.ckpt", tmp_path / "published.ckpt"]
    for file in files:
        save_network(file, {"w": np.ones(1, np.float32)}, get_model("ctsdg").info("generator", edge_mode=file.stem))
    refused = average(tmp_path / "mean.ckpt", *files)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: {files[1]} is of another network")
    assert not (tmp_path / "mean.ckpt").exists()


def test_files_with_different_parameters_are_refused(tmp_path):
    """As with and without a part that benchmarks/ablation.py leaves out: their settings are the same."""
    files = [tmp_path / "whole.ckpt", tmp_path / "part.ckpt"]
    for file, names in zip(files, ("ab", "a"), strict=True):
        values = {name: np.ones(1, np.float32) for name in names}
        save_network(file, values, get_model("ctsdg").info("generator", edge_mode="clean"))
    for paths in (files, files[::-1]):
        refused = average(tmp_path / "mean.ckpt", *paths)
        assert refused.returncode == 2
        assert refused.stderr.startswith(f"error: {paths[1]} is of another network")
        assert not (tmp_path / "mean.ckpt").exists()
