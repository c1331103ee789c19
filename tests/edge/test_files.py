"""Files are there whole or not at all, whatever stops their writing."""

import errno
import os
import stat

import pytest

from edge.errors import BundleError, EdgeError
from edge.files import whole_file, write_whole


@pytest.fixture
def kept(tmp_path):
    """A file that is to be replaced."""
    path = tmp_path / "kept.bin"
    path.write_bytes(b"old")
    return path


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("stop", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), SystemExit(1)])
def test_a_write_that_is_stopped_leaves_the_old_file_and_nothing_else(kept, stop):
    with pytest.raises(type(stop)), whole_file(kept) as file:
        file.write(b"half of the ne")
        raise stop
    assert kept.read_bytes() == b"old"
    assert names(kept.parent) == ["kept.bin"]


def test_the_old_file_is_there_until_the_new_one_is_whole(kept):
    with whole_file(kept) as file:
        file.write(b"new")
        file.flush()
        assert kept.read_bytes() == b"old"
    assert kept.read_bytes() == b"new"
    assert names(kept.parent) == ["kept.bin"]


def test_the_unfinished_file_lies_where_it_is_told_to(tmp_path):
    (tmp_path / "inner").mkdir()
    with whole_file(tmp_path / "inner" / "a", beside=tmp_path) as file:
        file.write(b"new")
        assert names(tmp_path / "inner") == [] and len(names(tmp_path)) == 2
    assert names(tmp_path) == ["inner"] and names(tmp_path / "inner") == ["a"]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_permissions_are_those_of_any_new_file(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_whole(tmp_path / "a", b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


def test_a_name_may_be_as_long_as_the_file_system_takes(tmp_path):
    write_whole(tmp_path / (255 * "a"), b"new")
    with pytest.raises(EdgeError, match="File name too long"):
        write_whole(tmp_path / (256 * "a"), b"new")
    assert names(tmp_path) == [255 * "a"]


def test_the_folder_is_made(tmp_path):
    write_whole(tmp_path / "a" / "b" / "c", b"new")
    assert (tmp_path / "a" / "b" / "c").read_bytes() == b"new"


@pytest.mark.parametrize("old", [True, False])
def test_a_full_disk_is_told_in_one_line_of_the_kind_asked_for(tmp_path, monkeypatch, old):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "a"
    if old:
        path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BundleError) as caught:
        write_whole(path, b"new", BundleError)
    untouched = "; the file that was there before is untouched" if old else ""
    assert str(caught.value) == f"cannot write {path}: No space left on device{untouched}"
    assert names(tmp_path) == (["a"] if old else [])


def test_what_is_no_plain_file_is_not_replaced(tmp_path):
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    for path, told in ((pipe, "it is no plain file"), (folder, "it is a folder")):
        with pytest.raises(EdgeError, match=f"cannot write {path}: {told}"):
            write_whole(path, b"new")
    assert pipe.is_fifo() and folder.is_dir()
