"""One llama.cpp server in a process of its own, which lives no longer than the process that started it.

Run as `python -m router.embedded_child --model PATH --alias NAME`, or by its path: it needs nothing of the router.
It says `{"url": "http://127.0.0.1:PORT"}` on one line of stdout when the model is loaded, then stays until its stdin
ends. llama.cpp's errors go to stderr.
"""

import argparse
import ctypes
import importlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1  # linux/prctl.h
ERRORS_ONLY = 1  # llama.cpp's verbosity: 0 is silent even when a model does not load, 2 adds warnings
MAX_THREADS = 8  # a model this small gets slower, not faster, beyond a few


class Options(argparse.Namespace):
    model: Path
    alias: str
    embedding: bool
    context: int
    parallel: int
    chat_template: Path | None


def parse_options(argv: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(description="Serve one GGUF file with llama.cpp until stdin ends.")
    parser.add_argument("--model", type=Path, required=True, help="the GGUF file")
    parser.add_argument("--alias", required=True, help="the model's name in /v1/models and in replies")
    parser.add_argument("--embedding", action="store_true", help="serve embeddings, mean pooled")
    parser.add_argument("--context", type=int, default=2048, help="tokens that one request may use")
    parser.add_argument("--parallel", type=int, default=1, help="requests served at once; more wait")
    parser.add_argument("--chat-template", type=Path, help="a Jinja file in place of the model's own template")
    return parser.parse_args(argv, namespace=Options())


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends. Linux only; elsewhere stdin tells."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def worker_threads() -> int:
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else (os.cpu_count() or 1)
    return min(cores - 1 if cores > 2 else cores, MAX_THREADS)  # one core is left for the router


def start_server(options: Options) -> Any:
    """Load the model and listen on a free port; returns when both are done. The caller keeps the server alive."""
    # Threads that spin while they wait make two of these servers, started at once on two cores, ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when the library is loaded
    llama = importlib.import_module("xllamacpp")  # by name: without stubs, every use of an import is an unknown type
    params = llama.CommonParams()
    params.model.path = str(options.model)
    params.model_alias = {options.alias}
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.cors_origins = "localhost"  # no key guards this port, so no web page from elsewhere may read from it
    params.ui, params.offline, params.verbosity = False, True, ERRORS_ONLY
    params.endpoint_metrics = True
    params.n_parallel = options.parallel
    params.n_ctx = options.context * options.parallel  # llama.cpp divides it among the slots
    params.fit_params, params.cache_ram_mib = False, 0  # neither shrink the context nor keep old prompts in memory
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = worker_threads()
    params.use_jinja = True
    if options.chat_template is not None:
        params.chat_template = options.chat_template.read_text(encoding="utf-8")
    if options.embedding:
        params.embedding = True
        params.pooling_type = llama.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        params.n_batch = params.n_ubatch = options.context  # an input must fit in one physical batch
    return llama.Server(params)


def main() -> None:
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to decide on; SIGTERM keeps its default
    options = parse_options()
    announcement = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else is written to stdout joins the log
    try:
        server = start_server(options)
    except (ImportError, OSError, RuntimeError) as error:
        sys.exit(f"llama.cpp did not start: {error}")
    with announcement:
        announcement.write(json.dumps({"url": server.listening_address}) + "\n")
    sys.stdin.buffer.read()
    os._exit(0)  # a generation under way would hold up the orderly way, and nobody is left to read it


if __name__ == "__main__":
    main()
