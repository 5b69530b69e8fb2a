"""What is run for a backend, and what `turnout check` says of its files."""

import sys
from pathlib import Path

import pytest

from router.config import ConfigError, parse
from router.processes import launch as launching
from router.processes.gguf import Model
from router.processes.launch import launches_of, unusable
from router.processes.learned import Learned, Load, memory_of
from tests.processes.test_gguf import QWEN

FULL = """
backends:
  vision:
    type: llama_cpp
    launch:
      command: {command}
      model: {model}
      mmproj: {model}
      lora: [{{path: {model}, scale: 0.5}}]
      context_length: 4096
      parallel: 2
      args: ["-ngl", "99"]
      when: always
      idle_unload: 15m
      memory: 6GiB
groups: {{gpu0: {{members: [vision], memory: 24GiB}}}}
"""


def settings(text: str):
    return parse(text, source="turnout.yaml", environ={})


@pytest.fixture
def model(tmp_path) -> Path:
    path = tmp_path / "Qwen.gguf"
    path.write_bytes(QWEN)
    return path


def test_the_settings_become_a_command_on_a_port_of_this_machine_only(model):
    told = settings(FULL.format(command=sys.executable, model=model))
    launch = launches_of(told, {"vision": "sesame"})["vision"]
    assert launch.command(1234) == [
        *(sys.executable, "--model", str(model), "--alias", "Qwen", "--parallel", "2", "--ctx-size", "8192"),
        *("--mmproj", str(model), "--lora-scaled", f"{model}:0.5", "-ngl", "99"),
        *("--host", "127.0.0.1", "--port", "1234"),
    ]
    assert (launch.terms.group, launch.terms.always, launch.terms.idle_unload_s) == ("gpu0", True, 900)
    assert launch.memory == 6 * 1024**3
    assert "sesame" not in repr(launch)
    assert launch.environment({"OPENAI_API_KEY": "s", "CUDA_VISIBLE_DEVICES": "0"})["LLAMA_API_KEY"] == "sesame"
    assert "OPENAI_API_KEY" not in launch.environment({"OPENAI_API_KEY": "s"})


def test_without_a_llama_server_the_bundled_one_is_run(model, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    told = settings(f"backends: {{a: {{type: llama_cpp, launch: {{model: {model}}}}}}}")
    command = launches_of(told, {"a": ""})["a"].command(1)
    assert command[:3] == [sys.executable, "-P", str(launching.BUNDLED)]


def test_a_model_is_known_before_it_runs(model):
    told = settings(f"backends: {{a: {{type: llama_cpp, launch: {{model: {model}, parallel: 2}}}}}}")
    launch = launches_of(told, {"a": ""})["a"]
    info = launch.info(launch.head())
    assert (info.name, info.context_length, info.trained_length, info.loaded) == ("Qwen", 20480, 40960, False)
    assert info.can("tools")
    assert not info.can("vision")


def test_the_first_guess_of_memory_is_files_and_context(model):
    told = settings(f"backends: {{a: {{type: llama_cpp, launch: {{model: {model}, context_length: 100}}}}}}")
    launch = launches_of(told, {"a": ""})["a"]
    assert launch.guess(Model(size=1000, kv_bytes=7)) == 1000 + 700 + launching.OVERHEAD_BYTES


def complaints(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, source="turnout.yaml", environ={}, also=unusable)
    return str(caught.value)


def test_files_and_programs_that_are_not_there_are_told_with_their_lines(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "text.gguf").write_text("hello there")
    text = FULL.format(command="no-such-server", model="~/none.gguf").replace(
        "mmproj: ~/none.gguf", "mmproj: ~/text.gguf"
    )
    told = complaints(text).splitlines()
    none = f'"{tmp_path}/none.gguf" cannot be read: no such file or directory'
    assert told == [
        'turnout.yaml:6: backends.vision.launch.command: "no-such-server" is no program that can be run',
        f"turnout.yaml:7: backends.vision.launch.model: {none}",
        f'turnout.yaml:8: backends.vision.launch.mmproj: "{tmp_path}/text.gguf" is no GGUF file',
        f"turnout.yaml:9: backends.vision.launch.lora.path: {none}",
    ]


def test_a_path_that_llama_server_could_not_be_told_is_refused(model):
    odd = model.with_name("a,b.gguf")
    odd.write_bytes(QWEN)
    launch = f"{{model: '{model}', command: {sys.executable}, lora: [{{path: '{odd}'}}]}}"
    told = complaints(f"backends: {{a: {{type: llama_cpp, launch: {launch}}}}}")
    assert told.endswith("launch.lora.path: llama-server takes no path with a comma or colon here")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{a: {type: ollama, launch: {model: m}}}", "backends.a: launch is for backends of type llama_cpp"),
        (
            "{a: {type: llama_cpp, url: 'http://h', launch: {model: m}}}",
            "backends.a: with launch there is no url: the router starts the server on a free port",
        ),
        ("{a: {type: llama_cpp}}", 'backends.a: missing key "url"'),
        ("{a: {type: llama_cpp, launch: {}}}", 'backends.a.launch: missing key "model"'),
        (
            "{a: {type: llama_cpp, launch: {model: m, when: never}}}",
            "backends.a.launch.when: must be one of: always, on_demand",
        ),
        (
            "{a: {type: llama_cpp, launch: {model: m, contextlength: 1}}}",
            'backends.a.launch: unknown key "contextlength" (did you mean "context_length"?)',
        ),
    ],
)
def test_what_does_not_go_together_is_told(text, complaint):
    assert complaints(f"backends: {text}") == f"turnout.yaml:1: {complaint}"


def test_a_group_has_room_for_its_members(model):
    member = f"{{type: llama_cpp, launch: {{model: {model}, memory: 20GB, when: always}}}}"
    text = f"backends: {{a: {member}, b: {member}}}\ngroups: {{g: {{members: [a, b], memory: 30GB}}}}"
    assert "its members that run always need more than that" in complaints(text)
    assert "is more than the group g has" in complaints(text.replace("30GB", "10GB"))
    elsewhere = "backends: {a: {type: ollama, url: h}}\ngroups: {g: {members: [a], memory: 1GB}}"
    assert "no member of it has launch" in complaints(elsewhere)


def test_the_buffers_on_gpus_are_what_a_model_takes_there():
    lines = [
        "load_tensors:   CPU_Mapped model buffer size =   500.00 MiB",
        "load_tensors:        CUDA0 model buffer size =  4000.50 MiB",
        "load_tensors:        CUDA1 model buffer size =  1000.00 MiB",
        "llama_kv_cache:      CUDA0 KV buffer size =   100.00 MiB",
        "llama_context:  CUDA_Host  output buffer size =     0.58 MiB",
        "sched_reserve:      CUDA0 compute buffer size =   300.00 MiB",
    ]
    assert memory_of(lines, None) == int(5400.5 * 1024**2)
    assert memory_of(lines[:1], None) == 500 * 1024**2
    assert memory_of([], None) is None


def test_what_was_learned_is_kept_and_a_spoilt_file_begun_anew(tmp_path):
    Learned(tmp_path).learn("mark", Load(5, 1.5))
    assert Learned(tmp_path).of("mark") == Load(5, 1.5)
    (tmp_path / "llama.json").write_text("{")
    assert Learned(tmp_path).of("mark") is None
    assert Learned(None).of("mark") is None
