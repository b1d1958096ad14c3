"""One process a run folder."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from vlzoo.errors import TrainingError
from vlzoo.runs import lock as module
from vlzoo.runs.lock import LOCK, locked

HOLD = """
import sys, time
from pathlib import Path
from vlzoo.runs.lock import locked
with locked(Path(sys.argv[1]), print):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the folder `run`."""
    started = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True)
    assert started.stdout and started.stdout.readline() == "held\n"
    yield started
    started.kill()
    started.wait()


def silent(line: str) -> None:
    raise AssertionError(line)


def test_a_second_process_is_told_who_holds_it(tmp_path, holder):
    with pytest.raises(TrainingError) as refused, locked(tmp_path / "run", silent):
        pass
    assert f"is being trained already, by process {holder.pid} on {socket.gethostname()}, since 20" in str(
        refused.value
    )
    assert f"kill {holder.pid}" in str(refused.value)
    assert (tmp_path / "run").is_dir()  # the other's is left alone
    assert json.loads((tmp_path / "run" / LOCK).read_text())["pid"] == holder.pid


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_dies_does_not_leave_it_behind(tmp_path, holder, number):
    holder.send_signal(number)
    holder.wait()
    assert (tmp_path / "run" / LOCK).exists()
    with locked(tmp_path / "run", silent):
        assert json.loads((tmp_path / "run" / LOCK).read_text())["pid"] == os.getpid()
    assert not (tmp_path / "run").exists() or not (tmp_path / "run" / LOCK).exists()


def test_a_forked_process_does_not_hold_it(tmp_path):
    # Data workers are forked, and live on for a moment when the run is killed.
    inside, outside = os.pipe()
    with locked(tmp_path / "run", silent):
        child = os.fork()
        if child == 0:
            os.close(outside)
            os.read(inside, 1)
            os._exit(0)
    try:
        code = HOLD.replace("time.sleep(60)", "pass")
        out = subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], capture_output=True, text=True)
        assert out.stdout == "held\n", out.stderr
    finally:
        os.close(outside)
        os.waitpid(child, 0)
        os.close(inside)


def test_folders_that_were_made_for_nothing_go_away(tmp_path):
    with locked(tmp_path / "a" / "b" / "run", silent):
        assert (tmp_path / "a" / "b" / "run" / LOCK).exists()
    assert list(tmp_path.iterdir()) == []
    with locked(tmp_path / "a" / "run", silent):
        (tmp_path / "a" / "run" / "kept").write_text("")
    assert [each.name for each in (tmp_path / "a" / "run").iterdir()] == ["kept"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EROFS])
def test_a_disk_without_locks_is_said_and_stops_nothing(tmp_path, monkeypatch, number):
    def refuse(*_) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module.fcntl, "lockf", refuse)
    said: list[str] = []
    with locked(tmp_path, said.append):
        pass
    assert said == [f"{tmp_path}: can't be locked ({os.strerror(number)}): see that no other process trains into it"]


def test_a_system_without_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "fcntl", None)
    said: list[str] = []
    with locked(tmp_path, said.append):
        pass
    assert "can't be locked" in said[0]


def test_a_place_where_no_folder_can_be_is_left_to_others(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        with locked(folder, silent):
            pass
    assert Path(tmp_path / "file").read_text() == ""
