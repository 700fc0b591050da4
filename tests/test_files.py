import pytest

from src.errors import InputError
from src.files import make_folder, refuse_existing, staged


def test_files_appear_together_and_whole(tmp_path):
    (tmp_path / "a").write_text("old")
    with staged(tmp_path) as folder:
        (folder / "a").write_text("new")
        (folder / "b").write_text("new")
        assert (tmp_path / "a").read_text() == "old"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "new", "b": "new"}


def test_a_failure_leaves_everything_as_it_was(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(KeyboardInterrupt), staged(tmp_path) as folder:
        (folder / "a").write_text("ne")
        raise KeyboardInterrupt
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "old"}


def test_files_are_replaced_only_when_asked_and_folders_never(tmp_path):
    (tmp_path / "a").write_text("")
    refuse_existing([tmp_path / "b"], overwrite=False)
    refuse_existing([tmp_path / "a"], overwrite=True)
    with pytest.raises(InputError, match="a exists; --overwrite replaces it"):
        refuse_existing([tmp_path / "b", tmp_path / "a"], overwrite=False)
    with pytest.raises(InputError, match="is a folder; give the name of a file"):
        refuse_existing([tmp_path], overwrite=True)


def test_a_folder_is_made_unless_a_file_is_in_its_place(tmp_path):
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file is a file; give a folder"):
        make_folder(tmp_path / "file")
    with pytest.raises(NotADirectoryError):
        make_folder(tmp_path / "file" / "below")
