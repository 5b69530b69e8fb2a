"""The log on stderr: readable on a terminal, one JSON object a line elsewhere. Written by a thread of its own."""

import atexit
import logging
import sys
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener
from queue import SimpleQueue
from typing import Any, TextIO

import msgspec
from rich.console import Console
from rich.logging import RichHandler

from router.usage.request_log import RequestLine


class JsonLines(logging.Formatter):
    """One JSON object for each record; the fields of a request stand beside time, level and logger."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        message: object = record.msg
        if isinstance(message, RequestLine):
            line.update(message.fields())
        else:
            line["message"] = record.getMessage()
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class _Queued(QueueHandler):
    """Leaves all formatting to the thread that writes."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record


def log_to(stream: TextIO, level: str) -> QueueListener:
    """Sends our records from this level on, and warnings of others, to a stream; stopping the listener writes all."""
    handler: logging.Handler
    if stream.isatty():
        handler = RichHandler(console=Console(file=stream), show_path=False, rich_tracebacks=False)
    else:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(JsonLines())
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # asked of every record, never shown
    records: SimpleQueue[logging.LogRecord] = SimpleQueue()
    listener = QueueListener(records, handler)
    listener.start()
    logging.basicConfig(level=logging.WARNING, handlers=[_Queued(records)])
    logging.getLogger("router").setLevel(level.upper())
    return listener


def log_to_terminal(level: str) -> None:
    """Logs to stderr until the process ends."""
    atexit.register(log_to(sys.stderr, level).stop)
