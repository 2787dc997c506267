"""Who takes part: the product, its peers, and the floors. Each is the shell script that an administrator would write.

All dumps are consistent in the same way (one transaction) and hold the same objects; all that upload encrypt first,
and ask S3 to encrypt with the same KMS key. ``dump`` and the client are the server's own: mariadb-dump and mariadb, or
mysqldump and mysql.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from include.backup_engine.records import Flavour

Kind = Literal["product", "peer", "floor"]

PRELUDE = r"""
dump() { exec "$DUMP" --defaults-file="$SOURCE_CNF" --single-transaction --quick --routines --events --triggers \
    --hex-blob --tz-utc --no-tablespaces --default-character-set=utf8mb4 --max-allowed-packet=1G \
    $DUMP_OPTIONS "$DATABASE"; }
load() { exec "$CLIENT" --defaults-file="$TARGET_CNF" --max-allowed-packet=1G --binary-mode --comments "$RESTORED"; }
seal() { exec age --encrypt --identity "$WORK/age.key" -; }
unseal() { exec age --decrypt --identity "$WORK/age.key" -; }
upload() { exec aws s3 cp --only-show-errors --sse aws:kms --sse-kms-key-id "$SSE_KEY" - "s3://$BUCKET/$1"; }
first_error() { grep --max-count 1 CRITICAL "$WORK/$1.log" | tail --bytes 200 || true; }
download() { exec aws s3 cp --only-show-errors "s3://$BUCKET/$1" -; }
"""
"""Shell functions for pipelines. Each ends its shell, so that a pipeline has no more processes than programs. What a
script writes to ``$INCOMPLETE`` is reported beside its figures."""

_AGE_KEY = 'test -e "$WORK/age.key" || age-keygen --output "$WORK/age.key"'


@dataclass(frozen=True)
class Contestant:
    """One way to do it.

    :param script: what is measured; bash, with :data:`PRELUDE` and ``-euo pipefail``.
    :param needs: programs without which it is absent.
    :param servers: flavours of server that it works with.
    :param peer: by which name ``BENCH_PEERS`` chooses it; a restore goes with the backup of that name.
    :param prepare: a script that runs before it, unmeasured.
    :param prefix: where its objects lie in the bucket; their bytes are counted.
    :param follows: whether it works on what the contestant before it has left.
    :param remark: what a reader must know to compare it.
    """

    name: str
    kind: Kind
    script: str
    needs: tuple[str, ...] = ()
    servers: tuple[Flavour, ...] = ("mariadb", "mysql")
    peer: str = ""
    prepare: str = ""
    prefix: str = ""
    follows: bool = False
    remark: str = ""

    def absent(self, environment: Mapping[str, str], server: Flavour) -> str:
        """Why it cannot take part; empty when it can."""
        if server not in self.servers:
            return f"it does not work with {SERVER_NAMES[server]}"
        missing = [program for program in self.needs if shutil.which(program, path=environment["PATH"]) is None]
        return f"{', '.join(missing)} is not installed" if missing else ""


SERVER_NAMES: Mapping[Flavour, str] = {"mariadb": "MariaDB", "mysql": "MySQL"}


PRODUCT = "product"
PRODUCT_PREFIX = "private/db_backups/bench/"
ORIGINAL = "dump | gzip | openssl | S3"
BARE_DUMP = "dump > /dev/null"
ISAL_DUMP = "dump | ISA-L > /dev/null"
RAW_COPY = "raw copy to S3"
PHYSICAL = "mariadb-backup | zstd | age | S3"
PROOF = "product: proof"
CLIENT = "gunzip | client"
MYLOADER = "myloader"
LOAD_DATA = "LOAD DATA"

BACKUPS = (
    Contestant(
        PRODUCT,
        "product",
        "exec python -m benchmarks.product backup",
        prefix=PRODUCT_PREFIX,
        remark="the `backup` task's work in a process of its own: snapshot, dump, fingerprints of every table, gzip by "
        "ISA-L, hashes, AES-256-GCM, multipart upload, sidecar",
    ),
    Contestant(
        "product, fingerprints: off",
        "product",
        "exec python -m benchmarks.product backup unhashed",
        prefix="private/db_backups/unhashed/",
        remark="the same without what no peer does: the server hashes no table",
    ),
    Contestant(
        "product, parallel: 2",
        "product",
        "exec python -m benchmarks.product backup parallel",
        prefix="private/db_backups/parallel/",
        remark="the same by two dump programs in one snapshot, each with a share of the tables",
    ),
    Contestant(
        ORIGINAL,
        "peer",
        'dump | gzip -6 | openssl enc -aes-256-ctr -pbkdf2 -pass "file:$SECRET" | upload peers/gzip/dump',
        ("gzip", "openssl"),
        peer="gzip",
        prefix="peers/gzip/",
        remark="the original's way; `openssl enc` has no GCM, so nothing is authenticated",
    ),
    Contestant(
        "dump | pigz | age | S3",
        "peer",
        "dump | pigz -6 | seal | upload peers/pigz/dump",
        ("pigz", "age"),
        peer="pigz",
        prepare=_AGE_KEY,
        prefix="peers/pigz/",
    ),
    Contestant(
        "dump | zstd | age | S3",
        "peer",
        "dump | zstd -3 -T2 -q | seal | upload peers/zstd/dump",
        ("zstd", "age"),
        peer="zstd",
        prepare=_AGE_KEY,
        prefix="peers/zstd/",
    ),
    Contestant(
        "mydumper, tar | age | S3",
        "peer",
        """
        mydumper --socket "$SOURCE_SOCKET" --user root --database "$DATABASE" --outputdir "$WORK/mydumper" \\
            --threads "$CORES" --compress --trx-consistency-only --triggers --events --routines --verbose 1 \\
            2> "$WORK/mydumper.log" || echo "mydumper ends with exit code $? ($(first_error mydumper))" > "$INCOMPLETE"
        tar -cf - -C "$WORK" mydumper | seal | upload peers/mydumper/dump
        """,
        ("mydumper", "age"),
        peer="mydumper",
        prepare=f'rm -rf "$WORK/mydumper"; {_AGE_KEY}',
        prefix="peers/mydumper/",
        remark="Debian's mydumper cannot stream: it writes clear text to the disk first",
    ),
    Contestant(
        PHYSICAL,
        "peer",
        """
        mariadb-backup --defaults-file="$SOURCE_CNF" --backup --stream=xbstream --parallel="$CORES" \\
            --target-dir="$WORK/physical" | zstd -3 -T2 -q | seal | upload peers/physical/files
        """,
        ("mariadb-backup", "zstd", "age"),
        ("mariadb",),
        peer="mariadb-backup",
        prepare=f'rm -rf "$WORK/physical"; mkdir "$WORK/physical"; {_AGE_KEY}',
        prefix="peers/physical/",
        remark="physical: the whole server, indexes included; needs the server's own disk and the same version",
    ),
    Contestant(
        "dump | restic to S3",
        "peer",
        "dump | restic backup --quiet --stdin --stdin-filename dump.sql",
        ("restic",),
        peer="restic",
        prepare='rm -rf "$WORK/.cache"; restic init --quiet --repository-version 2',
        prefix="peers/restic/",
        remark="a new repository each time, so that nothing is there already",
    ),
    Contestant(BARE_DUMP, "floor", "dump > /dev/null"),
    Contestant(ISAL_DUMP, "floor", "dump | python -m benchmarks.floors compress > /dev/null"),
    Contestant(
        "all rows by plain SELECTs",
        "floor",
        "exec python -m benchmarks.floors read",
        remark="as many clients as cores, over disjoint tables and key ranges, into /dev/null",
    ),
    Contestant(
        RAW_COPY,
        "floor",
        'exec python -m benchmarks.floors copy "$STORED_BYTES"',
        prefix="floors/",
        remark="as many random bytes as the product has stored, by boto3's own upload",
    ),
)

RESTORES = (
    Contestant(
        PRODUCT,
        "product",
        "exec python -m benchmarks.product restore",
        remark="reads and authenticates the whole backup from S3, then reads it again and loads it",
    ),
    Contestant(
        PROOF,
        "product",
        "exec python -m benchmarks.product prove",
        follows=True,
        remark="counts, hashes and compares every table and object of that copy, runs every view",
    ),
    Contestant(
        "S3 | age | pigz | client",
        "peer",
        "download peers/pigz/dump | unseal | pigz -dc | load",
        ("pigz", "age"),
        peer="pigz",
        remark="loads before it knows that the whole is authentic",
    ),
    Contestant(
        CLIENT,
        "peer",
        'gunzip --stdout "$WORK/dump.sql.gz" | load',
        ("gunzip",),
        peer="gzip",
        prepare='test -e "$WORK/dump.sql.gz" || dump | gzip -6 > "$WORK/dump.sql.gz"',
        remark="from a file on this machine: nothing is downloaded or decrypted",
    ),
    Contestant(
        MYLOADER,
        "peer",
        """
        myloader --socket "$TARGET_SOCKET" --user root --directory "$WORK/mydumper" --database "$RESTORED" \\
            --source-db "$DATABASE" --threads "$CORES" --verbose 1 \\
            2> "$WORK/myloader.log" || echo "myloader ends with exit code $? ($(first_error myloader))" > "$INCOMPLETE"
        """,
        ("myloader", "mydumper"),
        peer="mydumper",
        prepare='"$CLIENT" --defaults-file="$TARGET_CNF" --execute "SET GLOBAL sql_mode = NO_AUTO_VALUE_ON_ZERO"',
        remark="from mydumper's folder on this machine: nothing is downloaded or decrypted; the server gets a sql_mode "
        "in which the dump can be loaded, because myloader sets none",
    ),
    Contestant(
        LOAD_DATA,
        "floor",
        "exec python -m benchmarks.floors load",
        prepare='test -e "$WORK/rows/complete" || python -m benchmarks.floors export',
        remark="the rows alone, as many connections as cores, indexes and foreign keys built afterwards",
    ),
)

PEERS = tuple(contestant.peer for contestant in BACKUPS if contestant.peer)
