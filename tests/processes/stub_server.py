"""A server that behaves as badly as it is told to: `--act WORD[=VALUE]`, any number of times; else as llama-server.

load=S       answers 503 for so long before it is ready
mute=S       does not listen for so long
hang         never listens
exit=N       says why and ends at once
stubborn     ignores SIGTERM
leaves=FILE  starts a child of its own, which ignores SIGTERM, and writes its pid
crowded=DIR  runs out of memory while another one like it is there
says=TEXT    answers chats with that, streamed
stall=FILE   sends the first half of an answer, and the rest when there is such a file
notes=FILE   writes its environment's key and mark
"""

import http.server
import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

SLEEPER = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"


def main() -> None:
    words = sys.argv[1:]
    acts = dict((word + "=").split("=")[:2] for flag, word in pairwise(words) if flag == "--act")
    port = int(words[words.index("--port") + 1])
    print("stub: begins", *sorted(acts), flush=True)
    if "stubborn" in acts:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "notes" in acts:
        Path(acts["notes"]).write_text(f"{os.environ.get('LLAMA_API_KEY')} {os.environ.get('SOME_SECRET')}")
    if "leaves" in acts:
        left = subprocess.Popen([sys.executable, "-S", "-c", SLEEPER], stdout=subprocess.PIPE)
        left.stdout.readline()
        Path(acts["leaves"]).write_text(str(left.pid))
    if "exit" in acts:
        sys.exit(int(acts["exit"]))
    if "crowded" in acts:
        others = [file.name for file in Path(acts["crowded"]).iterdir() if alive(file.name)]
        if others:
            print("ggml_backend_alloc: cudaMalloc failed: out of memory", flush=True)
            sys.exit(1)
        Path(acts["crowded"], str(os.getpid())).touch()
    if "hang" in acts:
        time.sleep(600)
    time.sleep(float(acts.get("mute", 0)))
    serve(port, acts, ready_at=time.monotonic() + float(acts.get("load", 0)))


def alive(pid: str) -> bool:
    stat = Path("/proc", pid, "stat")
    return stat.exists() and stat.read_text().rpartition(") ")[2][0] not in "ZX"


def serve(port: int, acts: dict[str, str], *, ready_at: float) -> None:
    class Answers(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            self.tell({"content": acts["says"]}, None)
            while "stall" in acts and not Path(acts["stall"]).exists():
                time.sleep(0.01)
            self.tell({}, "stop")
            self.wfile.write(b"data: [DONE]\n\n")

        def tell(self, delta: dict[str, str], finish_reason: str | None) -> None:
            choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
            chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())

        def do_GET(self) -> None:
            is_ready = time.monotonic() >= ready_at
            self.send_response(200 if is_ready else 503)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            return

    http.server.ThreadingHTTPServer(("127.0.0.1", port), Answers).serve_forever()


if __name__ == "__main__":
    main()
