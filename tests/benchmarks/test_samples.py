from benchmarks.samples import main
from model_utils.entry import run
from tests.command_line import words
from tests.training.conftest import write_images


def test_a_sample_has_a_price_in_each_edge_mode(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("benchmarks.samples.SAMPLES", 2)
    run(main, words({"data_root": write_images(tmp_path, 2), "image_size": 128}))
    header, _, *rows = capsys.readouterr().out.splitlines()
    assert header.startswith("| 128x128, samples of |")
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [name for name, *_ in cells] == ["CTSDG", "CTSDG, --edge_mode clean", "DGTS and its upsampler"]
    milliseconds = {name: float(number) for name, number, _ in cells}
    assert 0 < milliseconds["DGTS and its upsampler"] < milliseconds["CTSDG, --edge_mode clean"]
