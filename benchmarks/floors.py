"""What no way of doing it can undercut on this machine: reading rows, compressing, loading and storing them."""

from __future__ import annotations

import io
import os
import subprocess
import sys

_CHUNK = 1 << 18
_BLOCK = 8 << 20


def compress() -> None:
    """Standard input to standard output, by the product's compressor and nothing else."""
    from include.backup_engine.compression import Compressor

    compressor = Compressor("gzip")
    while chunk := os.read(0, _CHUNK):
        sys.stdout.buffer.write(compressor.compress(chunk))
    sys.stdout.buffer.write(compressor.finish())


def read() -> None:
    """Every row of every table, by one plain SELECT each; large tables in ranges of their key."""
    from benchmarks.rows import selects

    lanes = int(os.environ["CORES"])
    client = [
        os.environ["CLIENT"],
        f"--defaults-file={os.environ['SOURCE_CNF']}",
        "--quick",
        "--batch",
        "--raw",
        "--skip-column-names",
    ]
    clients = [
        subprocess.Popen([*client, os.environ["DATABASE"]], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        for _ in range(lanes)
    ]
    for process, statements in zip(clients, selects(lanes), strict=True):
        assert process.stdin is not None
        process.stdin.write(";\n".join([*statements, ""]).encode())
        process.stdin.close()
    if any([process.wait() for process in clients]):
        raise SystemExit("a client has failed")


class _Random(io.RawIOBase):
    """So many bytes that do not compress."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._block = memoryview(os.urandom(_BLOCK))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any writable buffer
        size = min(len(buffer), self._left, _BLOCK)
        buffer[:size] = self._block[:size]
        self._left -= size
        return size


def copy(size: int) -> None:
    """Upload that many bytes with boto3's own transfer manager."""
    import boto3

    sse = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": os.environ["SSE_KEY"]}
    boto3.client("s3").upload_fileobj(
        io.BufferedReader(_Random(size)), os.environ["BUCKET"], "floors/copy", ExtraArgs=sse
    )


def main() -> None:
    """Run one floor, or the preparation of one."""
    step, *arguments = sys.argv[1:]
    if step == "copy":
        copy(int(arguments[0]))
    elif step in ("export", "load"):
        from benchmarks import rows

        rows.export() if step == "export" else rows.load()
    else:
        {"compress": compress, "read": read}[step]()


if __name__ == "__main__":
    main()
