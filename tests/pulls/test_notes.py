"""What is kept of pulls for the next run."""

import json

from router.pulls.notes import Notes
from router.pulls.state import Pull

PULL = Pull(id="pull_0", backend="desk", model="hf.co/org/m:Q4", started_at=3.0, restarts=1)


def test_what_a_router_still_has_in_hand_is_its_own(tmp_path):
    notes = Notes(tmp_path / "pulls")
    notes.write(PULL)
    assert Notes(tmp_path / "pulls").left_behind() == []
    notes.hand_over(PULL)
    (note,) = Notes(tmp_path / "pulls").left_behind()
    again = note.pull()
    assert (again.id, again.backend, again.model, again.started_at) == ("pull_0", "desk", "hf.co/org/m:Q4", 3.0)
    assert again.restarts == 2


def test_what_a_router_that_is_gone_had_in_hand_is_left_behind(tmp_path):
    notes = Notes(tmp_path)
    notes.write(PULL)
    file = tmp_path / "pull_0.json"
    said = json.loads(file.read_text())
    file.write_text(json.dumps({**said, "owner": {**said["owner"], "began": "long ago"}}))
    assert [note.id for note in notes.left_behind()] == ["pull_0"]


def test_what_was_forgotten_is_never_noted_again(tmp_path):
    notes = Notes(tmp_path)
    notes.write(PULL)
    notes.forget("pull_0")
    notes.write(PULL)
    notes.hand_over(PULL)
    assert [*tmp_path.iterdir()] == []


def test_a_file_that_is_no_note_is_taken_away(tmp_path):
    for name, text in (("pull_1.json", "{"), ("pull_2.json", "[]"), ("pull_3.json", '{"id": "pull_9"}')):
        (tmp_path / name).write_text(text)
    (tmp_path / "pull_4.json").write_bytes(b"\xff")
    assert Notes(tmp_path).left_behind() == []
    assert [*tmp_path.iterdir()] == []


def test_without_a_folder_or_room_nothing_is_kept_and_nothing_fails(tmp_path):
    notes = Notes(None)
    notes.write(PULL)
    notes.hand_over(PULL)
    notes.forget("pull_0")
    assert notes.left_behind() == []
    (tmp_path / "taken").write_text("a file")
    blocked = Notes(tmp_path / "taken")
    blocked.write(PULL)
    assert blocked.left_behind() == []
