import shutil
from pathlib import Path

import pytest

from modellix_server.results import Spool
from modellix_server.results.spool import _MEMORY_BYTES


@pytest.fixture
def own_spool(tmp_path):
    spool = Spool(str(tmp_path))
    yield spool
    spool.close()


async def test_scratch_files_are_in_memory_until_that_is_full(own_spool):
    first = own_spool.scratch(_MEMORY_BYTES - 10)
    second = own_spool.scratch(10)
    third = own_spool.scratch(1)
    assert (first.in_memory, second.in_memory, third.in_memory) == (True, True, False)
    assert list(own_spool.folder.iterdir()) == [third.path]
    for scratch in (second, third):
        await scratch.write(b"one ")
        await scratch.write(b"two")
        assert scratch.path.read_bytes() == b"one two"
        scratch.close()
    assert list(own_spool.folder.iterdir()) == []
    fourth = own_spool.scratch(11)
    assert not fourth.in_memory
    first.close()
    fifth = own_spool.scratch(_MEMORY_BYTES)
    assert fifth.in_memory  # everything was given back, and not more than once
    assert not own_spool.scratch(1).in_memory
    fourth.close()
    fifth.close()


async def test_scratch_files_take_few_of_the_files_that_may_be_open(own_spool, monkeypatch):
    monkeypatch.setattr(own_spool, "_files_left", 2)
    held = [own_spool.scratch(10) for _ in range(4)]
    assert [scratch.in_memory for scratch in held] == [True, True, False, False]
    opened = len(list(Path("/proc/self/fd").iterdir()))
    for scratch in held:
        await scratch.write(b"one ")
        await scratch.write(b"two")
        assert scratch.path.read_bytes() == b"one two"
    assert len(list(Path("/proc/self/fd").iterdir())) == opened
    held[0].close()
    assert own_spool.scratch(10).in_memory
    for scratch in held[1:]:
        scratch.close()


async def test_a_folder_that_was_removed_is_made_again(tmp_path):
    spool = Spool(str(tmp_path / "spool"))
    shutil.rmtree(tmp_path / "spool")
    path = spool.path()
    path.write_bytes(b"kept")
    other = Spool(str(tmp_path / "spool"))  # which removes the folders of the dead
    assert path.read_bytes() == b"kept"
    scratch = spool.scratch(1 << 40)
    await scratch.write(b"large")
    assert scratch.path.read_bytes() == b"large"
    scratch.close()
    spool.close()
    other.close()
