"""Writing a changed settings file."""

import os
from pathlib import Path

import pytest

from router.config import ConfigError
from router.config_edit import EditRefused
from router.config_edit.changes import remove_backend, set_default_model, update_backend
from router.config_edit.file import diff, edit_file
from router.config_edit.main_model import set_main

TEXT = """\
backends:
  desk: # mine
    type: openai
    url: desk
    api_key: sk-planted-1234
    headers:
      X-Key: sk-planted-5678
models:
  chat: {targets: [desk/m]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "turnout.yaml"
    file.write_text(TEXT)
    file.chmod(0o600)
    return file


def test_the_old_file_is_kept_and_the_change_is_told(file):
    done = edit_file(file, set_default_model("chat"), environ={})
    assert file.read_text() == TEXT + "routing:\n  default_model: chat\n"
    assert done.backup is not None
    assert done.backup.read_text() == TEXT
    assert [path.stat().st_mode & 0o777 for path in (file, done.backup)] == [0o600, 0o600]
    assert done.diff.endswith("+routing:\n+  default_model: chat\n")
    assert sorted(path.name for path in file.parent.iterdir()) == ["turnout.yaml", "turnout.yaml.bak"]


def test_keys_are_not_in_the_diff(file):
    done = edit_file(file, update_backend("desk", {"api_key": "sk-planted-9999", "url": "lab"}), environ={})
    assert "+    url: lab" in done.diff
    assert "+    api_key: [hidden]" in done.diff
    assert "sk-planted-9999" in file.read_text()
    assert "sk-planted" not in done.diff


def test_keys_in_a_list_are_hidden_and_other_lists_are_not():
    text = """\
auth:
  api_keys:
    - sk-planted-1
    - {key: sk-planted-2, name: nightly, models: [coder]}
    - "${KEY}"
    - >-
      sk-planted
      folded
models:
  coder:
    targets:
      - desk/m
"""
    after = text.replace("- sk-planted-1", "- sk-planted-3").replace("folded", "creased").replace("desk/m", "desk/n")
    told = diff(text, after + "routing: {default_model: coder}\n", name="x")
    assert ("planted" in told, "folded" in told, "creased" in told) == (False, False, False)
    shown = ["-    - [hidden]", "+    - [hidden]", '     - "${KEY}"', "-      - desk/m", "+      - desk/n"]
    assert set(shown) < set(told.splitlines())
    assert "default_model: coder" in told


def test_no_change_writes_nothing(file):
    edit_file(file, set_main("desk", "m", alias="chat"), environ={})
    before = file.stat()
    done = edit_file(file, set_main("desk", "m", alias="chat"), environ={})
    assert (done.diff, done.backup) == ("", None)
    assert file.stat().st_mtime_ns == before.st_mtime_ns


def test_a_change_that_breaks_the_settings_is_not_made(file):
    with pytest.raises(ConfigError, match="not in backends"):
        edit_file(file, remove_backend("desk"), environ={})
    assert file.read_text() == TEXT
    assert not file.with_name("turnout.yaml.bak").exists()


def test_what_was_wrong_before_is_no_reason_against_a_change(file):
    file.write_text(TEXT.replace("sk-planted-1234", "${NOT_SET_HERE}"))
    edit_file(file, set_default_model("chat"), environ={})
    assert "${NOT_SET_HERE}" in file.read_text()


def test_a_link_stays_a_link(file, tmp_path):
    link = tmp_path / "link.yaml"
    link.symlink_to(file)
    edit_file(link, set_default_model("chat"), environ={})
    assert link.is_symlink()
    assert "default_model: chat" in file.read_text()


def test_a_byte_order_mark_stays(file):
    file.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    edit_file(file, set_default_model("chat"), environ={})
    assert file.read_bytes().startswith(b"\xef\xbb\xbfbackends:")


def test_a_file_that_cannot_be_written_stays_as_it_was(file, monkeypatch):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EditRefused, match="no space left on device"):
        edit_file(file, set_default_model("chat"), environ={})
    assert file.read_text() == TEXT
    assert [path.name for path in file.parent.iterdir()] == ["turnout.yaml"]
