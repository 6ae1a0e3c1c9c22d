"""The data directory and its logs, as accidents leave them."""

from __future__ import annotations

import pytest

from modellix_server.base.settings import BadSettings
from modellix_server.embedded import logfile
from modellix_server.embedded.data_directory import APP, CannotStartError, DataDirectory, Runtime


@pytest.mark.parametrize("left", [b"", b"null", b"[]", b'{"pid": 1}', b'{"pid": "x", "host": 1}', b"\xff\x00"])
def test_what_a_loss_of_power_leaves_of_the_runtime_file_stops_no_start(tmp_path, left):
    data_directory = DataDirectory(tmp_path / "data")
    data_directory.create()
    (data_directory.root / "runtime.json").write_bytes(left)
    assert data_directory.read_runtime() is None
    with pytest.raises(BadSettings, match=r"runtime\.json is damaged: restart"):
        data_directory.settings({})
    runtime = Runtime(7, "127.0.0.1", 8000, 8100)
    data_directory.write_runtime(runtime)
    assert data_directory.read_runtime() == runtime


@pytest.mark.parametrize("left", [b"", b"null", b"{}", b"\xff"])
def test_damaged_secrets_are_named(tmp_path, left):
    data_directory = DataDirectory(tmp_path / "data")
    data_directory.create()
    (data_directory.root / "secrets.json").write_bytes(left)
    with pytest.raises(CannotStartError, match=r"secrets\.json is damaged"):
        data_directory.dsn(APP)


def test_logs_rotate_while_they_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr(logfile, "ROTATE_AT", 1000)
    path = tmp_path / "logs" / "serve.log"
    with logfile.open_log(path) as log:
        for number in range(3):
            log.write(b"%d" % number * 1500)
            log.flush()
            logfile.rotate(path)
            log.write(b"after %d" % number)
            log.flush()
            assert path.read_bytes() == b"after %d" % number
            logfile.rotate(path)  # small again
            assert path.read_bytes() == b"after %d" % number
    assert path.with_name("serve.log.1").read_bytes() == b"after 1" + b"2" * 1500
    assert logfile.tail(path, after=5000) == "after 2"
    assert logfile.tail(path.with_name("none.log")) == ""
