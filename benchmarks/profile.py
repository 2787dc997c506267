"""Where the processor time of backup and restore goes: each of their steps alone, on the shape's own dump."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.contestants import BACKUPS, BARE_DUMP, LOAD_DATA, PRODUCT, RAW_COPY, Contestant
from benchmarks.product import SOURCE, Told
from benchmarks.results import Row, Share
from benchmarks.rounds import Rounds
from benchmarks.stage import Stage
from include.backup_engine.commands.desk import Desk
from include.backup_engine.compression import Compressor
from include.backup_engine.connections import connection_from_environment, mysql_endpoint
from include.backup_engine.crypto.message import Encryptor
from include.backup_engine.mysql.census import add_fingerprints, take_census
from include.backup_engine.mysql.server import identify
from include.backup_engine.mysql.statements import split_statements
from include.backup_engine.mysql.stream import StreamScanner
from include.backup_engine.names import BackupName, encryption_context
from include.backup_engine.report import Reporter
from include.backup_engine.verify import verify

_SAMPLE_BYTES = 256 << 20
_CHUNK = 1 << 18

_FINGERPRINTS = Contestant("profile: fingerprints", "floor", "exec python -m benchmarks.profile fingerprints")
_STREAM = Contestant("profile: stream", "floor", "dump | python -m benchmarks.profile stream")
_READ = Contestant("profile: read", "floor", "exec python -m benchmarks.profile read")
_NOTHING = Contestant("profile: start", "floor", "exec python -m benchmarks.profile nothing")


def profile(stage: Stage, rounds: Rounds) -> list[Share]:
    """The steps of a backup, one after the other; in the product they overlap. Needs the rounds to be over."""
    start, fingerprints, stream = (
        rounds.measure(contestant, stage.source) for contestant in (_NOTHING, _FINGERPRINTS, _STREAM)
    )
    dump, copied = _cheapest(rounds.backups, BARE_DUMP), _cheapest(rounds.backups, RAW_COPY)
    shares = [Share(name="start: interpreter and imports", client_cpu=start.client_cpu)]
    if dump:
        shares.append(Share(name="dump program", client_cpu=dump[0], server_cpu=dump[1]))
    fingerprints_cpu = max(0.0, fingerprints.client_cpu - start.client_cpu)
    shares.append(
        Share(name="census and fingerprints", client_cpu=fingerprints_cpu, server_cpu=fingerprints.server_cpu)
    )
    if stream.told:
        shares += [Share(name=name, client_cpu=seconds) for name, seconds in stream.told.seconds.items()]
    if copied:
        shares.append(Share(name="upload by boto3", client_cpu=max(0.0, copied[0] - start.client_cpu)))
    return shares


def profile_of_restore(stage: Stage, rounds: Rounds) -> list[Share]:
    """The steps of a restore, one after the other; in the product they overlap. Needs the rounds to be over."""
    start = rounds.measure(_NOTHING, stage.source)
    rounds.backup(next(contestant for contestant in BACKUPS if contestant.name == PRODUCT))
    read = rounds.measure(_READ, stage.source)
    rounds.clean()
    shares = [Share(name="start: interpreter and imports", client_cpu=start.client_cpu)]
    if read.told:
        shares += [Share(name=name, client_cpu=seconds) for name, seconds in read.told.seconds.items()]
    if loaded := _cheapest(rounds.restores, LOAD_DATA):
        shares.append(Share(name="load the rows, as the floor does", client_cpu=0.0, server_cpu=loaded[1]))
    return shares


def _cheapest(rows: Iterable[Row], name: str) -> tuple[float, float] | None:
    found = [(sample.client_cpu, sample.server_cpu) for row in rows if row.name == name for sample in row.good]
    return min(found, default=None)


def fingerprints() -> None:
    """What the second connection of a backup does."""
    database = Desk(SOURCE).policy.source(SOURCE).database
    with mysql_endpoint(connection_from_environment("source_mysql")).connect(database) as connection:
        flavour = identify(connection).flavour
        add_fingerprints([connection], database, take_census(connection, flavour, database))


def stream() -> Told:
    """What happens to the dump on its way, in processor seconds for the whole of it, measured on its beginning."""
    chunks, total = [], 0
    while chunk := os.read(0, _CHUNK):
        if total < _SAMPLE_BYTES:
            chunks.append(chunk)
        total += len(chunk)
    sample = sum(map(len, chunks))
    seconds: dict[str, float] = {}

    def timed(name: str, work: Iterable[bytes]) -> list[bytes]:
        started = time.process_time()
        done = list(work)
        seconds[name] = (time.process_time() - started) * total / max(sample, 1)
        return done

    timed("read the stream's structure", (piece.data for piece in StreamScanner().scan(chunks)))
    compressor = Compressor("gzip")
    compressed = timed("compress", map(compressor.compress, chunks))
    desk = Desk(SOURCE)
    context = encryption_context(SOURCE, BackupName(datetime.now(UTC)), "profile")
    encryptor = Encryptor(desk.keyring.generate(desk.policy.vault.data_key_id, context), context)
    encrypted = timed("encrypt, hashes included", encryptor.encrypt(compressed))
    timed("hash the parts for S3", (hashlib.sha256(block).digest() for block in encrypted))
    return Told(seconds=seconds, sql_bytes=total)


def read() -> Told:
    """What happens to a stored backup before a server sees it, in processor seconds."""
    desk = Desk(SOURCE)
    stored = desk.stored("latest")
    seconds: dict[str, float] = {}
    started = time.process_time()
    verify(stored, desk.policy, desk.keyring, Reporter())
    seconds["read and authenticate the whole, check its structure"] = time.process_time() - started
    started = time.process_time()
    for _ in split_statements(stored.sql()):
        pass
    seconds["read again, decrypt, decompress, split into statements"] = time.process_time() - started
    return Told(seconds=seconds)


def main() -> None:
    """Measure one step."""
    step = sys.argv[1]
    if step == "fingerprints":
        fingerprints()
    elif step != "nothing":
        told = {"stream": stream, "read": read}[step]()
        Path(os.environ["TOLD"]).write_text(told.model_dump_json())


if __name__ == "__main__":
    main()
