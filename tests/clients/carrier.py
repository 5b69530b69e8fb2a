"""carrier.py PORT SOCKET: brings the loopback interface up, and carries what comes to PORT there to a socket outside.

Runs alone in a network namespace of its own, which others then join.
"""

import asyncio
import contextlib
import fcntl
import socket
import struct
import sys

SET_FLAGS = 0x8914
UP_AND_RUNNING = 0x1 | 0x40


def bring_up_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sh22x", b"lo", UP_AND_RUNNING))


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


Side = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def carry(here: Side, there: Side) -> None:
    """Until either side has said all; half of a connection is of no use to HTTP."""
    both = [asyncio.create_task(copy(here[0], there[1])), asyncio.create_task(copy(there[0], here[1]))]
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in both:
            task.cancel()
        for writer in (here[1], there[1]):
            writer.close()


async def main(port: int, path: str) -> None:
    async def arrived(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await carry((reader, writer), await asyncio.open_unix_connection(path))

    server = await asyncio.start_server(arrived, "127.0.0.1", port)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    bring_up_loopback()
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
