import fcntl
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from modellix_server.results import Storage
from modellix_server.results.placement import _FLAGS, _READ_FLAGS, _TOP, make_apart


def test_folders_of_a_new_storage_lie_apart_where_the_file_system_can_do_that(tmp_path):
    Storage((tmp_path / "stored").as_uri())
    assert sorted(path.name for path in (tmp_path / "stored").iterdir()) == ["inputs", "results"]
    file = os.open(tmp_path / "stored", os.O_RDONLY)
    try:
        (flags,) = _FLAGS.unpack(fcntl.ioctl(file, _READ_FLAGS, _FLAGS.pack(0)))
    except OSError:
        pytest.skip("the file system has no such flags")
    finally:
        os.close(file)
    assert flags & _TOP or os.statvfs(tmp_path).f_files == 0  # btrfs numbers no files, and knows other flags


def test_a_folder_that_is_there_keeps_its_files(tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "a").write_bytes(b"x")
    Storage(tmp_path.as_uri())
    assert (folder / "a").read_bytes() == b"x"


def test_processes_that_make_it_at_once_leave_one(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        for number in range(20):
            list(threads.map(lambda _, place=tmp_path / f"{number}": make_apart(place / "results"), range(8)))
            assert [path.name for path in (tmp_path / f"{number}").iterdir()] == ["results"]
