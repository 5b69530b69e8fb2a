"""Which file is read, and what is said of one that cannot be."""

from pathlib import Path

import pytest

from router.config import MAX_BYTES, ConfigError, find, load
from router.settings import Settings


def complaint(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path, environ={})
    return str(caught.value).replace(str(path), "FILE")


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_nothing_is_found_in_an_empty_folder(tmp_path):
    assert find({}, tmp_path) is None
    assert find({"HOME": str(tmp_path), "TURNOUT_CONFIG": ""}, tmp_path) is None


def test_the_first_of_the_known_places_wins(tmp_path):
    home, xdg, cwd = tmp_path / "home", tmp_path / "xdg", tmp_path / "cwd"
    cwd.mkdir()
    environ = {"HOME": str(home)}
    in_home = write(home / ".config/turnout/turnout.yaml")
    assert find(environ, cwd) == in_home
    in_xdg = write(xdg / "turnout/turnout.yaml")
    environ["XDG_CONFIG_HOME"] = str(xdg)
    assert find(environ, cwd) == in_xdg
    for name in ("turnout.json", "turnout.yml", "turnout.yaml"):
        written = write(cwd / name)
        assert find(environ, cwd) == written
    environ["TURNOUT_CONFIG"] = "other.yaml"
    assert find(environ, cwd) == cwd / "other.yaml"


def test_the_file_of_the_environment_is_taken_even_if_it_is_missing(tmp_path):
    absolute = tmp_path / "nowhere.yaml"
    assert find({"TURNOUT_CONFIG": str(absolute)}, Path("/")) == absolute


def test_a_broken_link_and_a_folder_are_found_and_not_passed_over(tmp_path):
    (tmp_path / "turnout.yml").symlink_to("gone.yaml")
    assert complaint(find({}, tmp_path)) == "FILE: no such file"
    (tmp_path / "turnout.yaml").mkdir()
    assert complaint(find({}, tmp_path)) == "FILE: is a directory, not a file"


def test_without_any_file_the_defaults_hold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load(environ={}) == Settings()


def test_the_file_beside_is_read_and_called_by_its_short_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "turnout.yaml", "server: {port: 1}")
    assert load(environ={}).server.port == 1
    write(tmp_path / "turnout.yaml", "server: {port: x}")
    with pytest.raises(ConfigError, match=r"^turnout\.yaml:1: server\.port: must be a whole number, got text$"):
        load(environ={})


def test_a_named_file_goes_before_all_others(tmp_path):
    named, other = write(tmp_path / "a.yaml", "server: {port: 1}"), write(tmp_path / "b.yaml", "server: {port: 2}")
    assert load(named, environ={"TURNOUT_CONFIG": str(other)}).server.port == 1
    assert load(environ={"TURNOUT_CONFIG": str(other)}).server.port == 2


def test_a_file_gets_its_variables_from_the_environment_given(tmp_path):
    assert load(write(tmp_path / "a.json", '{"server": {"port": "${P}"}}'), environ={"P": "5"}).server.port == 5


def test_a_missing_file_is_told(tmp_path):
    assert complaint(tmp_path / "gone.yaml") == "FILE: no such file"


def test_a_folder_is_told(tmp_path):
    assert complaint(tmp_path) == "FILE: is a directory, not a file"


def test_a_file_that_cannot_be_opened_is_told(tmp_path):
    loop = tmp_path / "loop.yaml"
    loop.symlink_to(loop)
    assert complaint(loop) == "FILE: cannot be read: too many levels of symbolic links"
    assert complaint(write(tmp_path / "plain") / "turnout.yaml") == "FILE: cannot be read: not a directory"


def test_a_file_in_another_encoding_is_told_with_its_line(tmp_path):
    path = tmp_path / "turnout.yaml"
    path.write_bytes("server:\n  host: café\n".encode("latin-1"))
    assert complaint(path) == "FILE:2: is not UTF-8 text"


def test_a_byte_order_mark_does_no_harm(tmp_path):
    path = tmp_path / "turnout.yaml"
    path.write_bytes(b"\xef\xbb\xbfserver: {port: 9}\n")
    assert load(path, environ={}).server.port == 9


def test_an_empty_file_means_the_defaults(tmp_path):
    assert load(write(tmp_path / "turnout.yaml"), environ={}) == Settings()


def test_a_file_far_too_large_is_not_read_to_its_end(tmp_path):
    path = write(tmp_path / "model.gguf")
    with path.open("wb") as file:
        file.truncate(100 * MAX_BYTES)
    assert complaint(path) == f"FILE: is larger than {MAX_BYTES} bytes: this is no config file"
