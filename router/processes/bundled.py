"""llama-server's command line over the llama.cpp of the extra `demo`, for machines without a llama-server of their own.

Run by its path: it needs nothing of the router. It takes the flags that the router itself uses and a few more; its log
goes to stderr, and it stays until a signal ends it.
"""

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LOG_LOADS = 4  # llama.cpp's verbosity: the sizes of buffers are told from here on, prompts are not
MAX_THREADS = 8


class Flags(argparse.Namespace):
    model: str
    mmproj: str | None
    lora_scaled: str
    host: str
    port: int
    alias: str
    ctx_size: int
    parallel: int
    gpu_layers: int
    embedding: bool
    threads: int
    batch_size: int | None
    ubatch_size: int | None
    chat_template_file: Path | None


def flags(argv: Sequence[str] | None = None) -> Flags:
    """Raises SystemExit for a flag that is not known here."""
    parser = argparse.ArgumentParser(prog="llama.cpp of the extra `demo`", allow_abbrev=False)
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("--mmproj")
    parser.add_argument("--lora-scaled", default="")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("-a", "--alias", required=True)
    parser.add_argument("-c", "--ctx-size", type=int, default=0)
    parser.add_argument("-np", "--parallel", type=int, default=1)
    parser.add_argument("-ngl", "--gpu-layers", "--n-gpu-layers", type=int, default=-1)
    parser.add_argument("-t", "--threads", type=int, default=_threads())
    parser.add_argument("-b", "--batch-size", type=int)
    parser.add_argument("-ub", "--ubatch-size", type=int)
    parser.add_argument("--embedding", "--embeddings", action="store_true", dest="embedding")
    parser.add_argument("--chat-template-file", type=Path)
    for always_so in ("--no-ui", "--no-webui", "--offline", "--metrics", "--jinja"):
        parser.add_argument(always_so, action="store_true")
    return parser.parse_args(argv, namespace=Flags())


def _threads() -> int:
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else (os.cpu_count() or 1)
    return min(cores - 1 if cores > 2 else cores, MAX_THREADS)  # one core is left for the router


def start(given: Flags) -> Any:
    """Loads the model and listens; the caller keeps the server alive."""
    # Threads that spin while they wait make two of these servers on two cores ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when the library is loaded
    llama = importlib.import_module("xllamacpp")  # by name: without stubs, every use of an import is an unknown type
    params = llama.CommonParams()
    params.model.path, params.model_alias = given.model, {given.alias}
    params.hostnames, params.port = [given.host], given.port
    params.cors_origins = "localhost"  # no key guards this port, so no web page from elsewhere may read from it
    params.ui, params.offline, params.endpoint_metrics, params.use_jinja = False, True, True, True
    params.verbosity = LOG_LOADS
    params.n_parallel, params.n_ctx, params.n_gpu_layers = given.parallel, given.ctx_size, given.gpu_layers
    params.fit_params, params.cache_ram_mib = False, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = given.threads
    if key := os.environ.get("LLAMA_API_KEY"):
        params.api_keys = [key]
    if given.mmproj:
        params.mmproj.path = given.mmproj
    params.lora_adapters = [_lora(llama, written) for written in given.lora_scaled.split(",") if written]
    if given.chat_template_file is not None:
        params.chat_template = given.chat_template_file.read_text(encoding="utf-8")
    if given.embedding:
        params.embedding = True
        params.pooling_type = llama.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.n_batch = given.batch_size or params.n_batch
    params.n_ubatch = given.ubatch_size or params.n_ubatch
    return llama.Server(params)


def _lora(llama: Any, written: str) -> Any:
    path, _, scale = written.rpartition(":")
    adapter = llama.CommonAdapterLoraInfo()
    adapter.path, adapter.scale = path, float(scale)
    return adapter


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the router to decide on
    os.dup2(2, 1)
    try:
        server = start(flags())
    except (ImportError, OSError, RuntimeError) as error:
        sys.exit(f"llama.cpp did not start: {error}")
    while server is not None:
        signal.pause()


if __name__ == "__main__":
    main()
