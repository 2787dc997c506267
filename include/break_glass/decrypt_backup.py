"""Break glass: decrypt one backup with this file, Python 3.9 or newer, and two packages: cryptography and boto3.

    python decrypt_backup.py FILE --key-arn ARN [--key-arn ARN ...] --output OUT [--sidecar FILE] [--source NAME]
    python decrypt_backup.py FILE --key-arn ARN [--key-arn ARN ...] --digest     [--sidecar FILE] [--source NAME]

FILE is a backup's .encrypted file, under its own name; its sidecar is the .encryption_info file. Both are local paths,
or s3://bucket/key, or s3://bucket/key?versionId=ID. Credentials and endpoint come from where AWS tools take them
(AWS_PROFILE, AWS_ACCESS_KEY_ID, ...). Only the KMS keys that you name are tried, in turn: FILE may be an attacker's.

A file in the present format (v2) opens without its sidecar; with it, more is checked. One in the original format (v1)
needs it. OUT gets its name only when all of it is authentic. --digest writes nothing, and prints SHA-256 and size of
what OUT would hold. --source is the source's name in the policy: the backup must then be one of that database.

Exit codes: 0 done; 2 wrong usage; 3 a file or object could not be read or written; 4 KMS did not open the data key;
5 DO NOT USE IT: not the backup that was made, or not the one that you named; 130 interrupted.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import io
import json
import os
import re
import signal
import sys
import uuid
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

try:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.ciphers import Cipher, aead, algorithms, modes
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    from urllib3.exceptions import HTTPError
except ImportError as missing:
    sys.exit(f"ERROR: {missing}. Install what this needs: python -m pip install cryptography boto3")

USAGE, STORE, KEY, NOT_AUTHENTIC = 2, 3, 4, 5
MIB, SUITE = 1024 * 1024, b"\x04\x78"
FRAME, FINAL_FRAME, FINAL = b"AWSKMSEncryptionClient Frame", b"AWSKMSEncryptionClient Final Frame", 0xFFFFFFFF


class Problem(Exception):
    """The exit code, and what the user reads: cause and remedy in one line."""


def refuse(what: str, unless: bool = False) -> None:
    """Stop, unless all is well: these bytes must not be used."""
    if not unless:
        raise Problem(NOT_AUTHENTIC, f"{what}. Do not use it; take another version of the object, or another backup.")


@contextmanager
def asking(what: str, code: int = STORE) -> Iterator[None]:
    """Turn what a disk, S3 or KMS complains of into a Problem that says what to do."""
    try:
        yield
    except ClientError as error:
        why = re.sub(r"[^A-Za-z0-9.]", "", str(error.response.get("Error", {}).get("Code", "")))
        if why == "InvalidCiphertextException":
            refuse(f"{what}: KMS refuses it ({why}), as it was made for another backup, or altered")
        remedy = "Check names and region, and what this identity may do: s3:GetObject there, kms:Decrypt with this key."
    except (BotoCoreError, HTTPError) as error:
        why, remedy = type(error).__name__, "Check credentials and network; or download the file, and use the copy."
    except OSError as error:
        why, remedy = str(error.strerror), "Check path, permissions and free space, or choose another name."
    else:
        return
    raise Problem(code, f"{what}: {why}. {remedy}")


class Reader:
    """Reads in order; counts, hashes and (of a header) keeps what was read."""

    def __init__(self, name: str, read: Callable[[int], bytes]) -> None:
        self.name, self._read, self.size, self.sha256 = name, read, 0, hashlib.sha256()
        self.kept: bytearray | None = None

    def read(self, size: int) -> bytes:
        """The next bytes; fewer than asked for only at the end."""
        data = bytearray()
        with asking(f"Reading {self.name}"):
            while piece := self._read(min(size - len(data), MIB)):
                data += piece
        self.size += len(data)
        self.sha256.update(data)
        if self.kept is not None:
            self.kept += data
        return bytes(data)

    def exactly(self, size: int) -> bytes:
        """The next bytes, all of them."""
        data = self.read(size)
        refuse(f"{self.name} is cut short at byte {self.size:,}", unless=len(data) == size)
        return data

    def number(self, size: int) -> int:
        """The next big-endian integer."""
        return int.from_bytes(self.exactly(size), "big")

    def field(self) -> bytes:
        """The next byte string, which stands after its length."""
        return self.exactly(self.number(2))


def open_place(place: str, region: str) -> Reader:
    """A local file or an S3 object."""
    with asking(f"Opening {place}"):
        if not place.startswith("s3://"):
            return Reader(Path(place).name, Path(place).open("rb").read)
        path, _, version = place[len("s3://") :].partition("?versionId=")
        bucket, _, key = path.partition("/")
        request: dict[str, Any] = {"Bucket": bucket, "Key": key, **({"VersionId": version} if version else {})}
        answer = boto3.client("s3", region_name=region).get_object(**request)
        return Reader(key.rsplit("/", 1)[-1], answer["Body"].read)


def unwrap(wrapped: Iterable[tuple[str, bytes]], context: dict[str, str]) -> bytes:
    """The data key, from the first copy that KMS opens with the key named beside it and this encryption context."""
    problems: list[Problem] = []
    for arn, blob in wrapped:
        try:
            with asking(f"Unwrapping the data key with {arn}", KEY):
                kms = boto3.client("kms", region_name=arn.split(":")[3])
                return bytes(kms.decrypt(CiphertextBlob=blob, KeyId=arn, EncryptionContext=context)["Plaintext"])
        except Problem as problem:
            problems.append(problem)
    raise Problem(max(problem.args[0] for problem in problems), " ".join(problem.args[1] for problem in problems))


def same_key(arn: str, key_arn: str) -> bool:
    """Whether two ARNs are one key: equal, or a multi-Region key and its replica in another region."""
    return arn == key_arn or (":key/mrk-" in arn and arn.split(":")[4:] == key_arn.split(":")[4:])


def derive(data_key: bytes, salt: bytes, info: bytes) -> bytes:
    """Another key from the data key."""
    return HKDF(hashes.SHA512(), 32, salt=salt, info=info).derive(data_key)


def check_sidecar(sidecar: dict[str, Any], data_key: bytes, message_id: bytes, name: str) -> None:
    """Its MAC (HMAC-SHA256 over the rest of it as canonical JSON), and that it is about this file."""
    rest = {key: value for key, value in sidecar.items() if key != "sidecar_mac"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    mac = hmac.digest(derive(data_key, message_id, b"airflow-mysql-backup/sidecar-mac/1"), text, "sha256")
    refuse("The sidecar was altered", unless=hmac.compare_digest(b64decode(sidecar["sidecar_mac"]["value"]), mac))
    refuse(f"The sidecar is not that of {name}", unless=sidecar["object_name"] == name)


def decrypt_v2(file: Reader, sidecar: dict[str, Any] | None, keys: list[str], source: str | None) -> Iterator[bytes]:
    """Header, frames of equal length, final frame. Each is authenticated before it is released."""
    file.kept = bytearray()
    if file.read(3) != b"\x02" + SUITE:
        refuse(f"{file.name} is not of format v2. If it is of the original format (v1), give its --sidecar; if not")
    message_id = file.exactly(32)
    pairs = Reader("encryption context", io.BytesIO(file.field()[2:]).read)
    found = [(file.field(), file.field(), file.field()) for _ in range(min(file.number(2), 16))]
    framed, frame_length = file.number(1) == 2, file.number(4)
    commitment = file.exactly(32)
    header, file.kept = bytes(file.kept), None
    tag = file.exactly(16)
    refuse("The message header is not one of ours", unless=framed and frame_length <= 64 * MIB)
    context: dict[str, str] = {}
    while length := pairs.read(2):
        name = pairs.exactly(int.from_bytes(length, "big")).decode()
        context[name] = pairs.field().decode()
    made_as = context["object-name"][:99]
    refuse(f"{file.name} was made as {made_as!a} (rename it?)", unless=made_as == file.name.removesuffix(".accounts"))
    refuse(f"{file.name} is no backup", unless=context["purpose"] == "mysql-backup")
    database = uuid.uuid5(uuid.NAMESPACE_OID, f"mysql-backup/{source}")
    refuse(f"{file.name} is not of that source", unless=source is None or context["database-id"] == str(database))

    wrapped = [(arn.decode(), blob) for provider, arn, blob in found if provider == b"aws-kms"]
    if sidecar:  # there, copies under other keys may have been added later
        wrapped += [(key["key_arn"], b64decode(key["ciphertext"])) for key in sidecar["encrypted_data_keys"]]
    mine = dict.fromkeys((key, blob) for key in keys for arn, blob in wrapped if same_key(arn, key))
    if not mine:
        arns = ", ".join(sorted({ascii(arn) for arn, _ in wrapped}))
        raise Problem(KEY, f"{file.name} opens with {arns}, not with {', '.join(keys)}. If one is yours, name it.")
    data_key = unwrap(mine, context)
    refuse("The data key is another one", hmac.compare_digest(derive(data_key, message_id, b"COMMITKEY"), commitment))
    gcm = aead.AESGCM(derive(data_key, message_id, SUITE + b"DERIVEKEY"))
    try:
        gcm.decrypt(bytes(12), tag, header)
        if sidecar:
            check_sidecar(sidecar, data_key, message_id, file.name)
        last, sequence = False, 0
        while not last:
            number, sequence = file.number(4), sequence + 1
            last = number == FINAL
            number = file.number(4) if last else number
            iv = file.exactly(12)
            size = file.number(4) if last else frame_length
            refuse(f"Frame {sequence} is not the next one", unless=number == sequence and size <= frame_length)
            aad = message_id + (FINAL_FRAME if last else FRAME) + sequence.to_bytes(4, "big") + size.to_bytes(8, "big")
            yield gcm.decrypt(iv, file.exactly(size + 16), aad)
    except InvalidTag:
        refuse(f"{file.name} was altered before byte {file.size:,}")
    refuse(f"{file.name} goes on after its end", unless=not file.read(1))


def decrypt_v1(file: Reader, sidecar: dict[str, Any], keys: list[str], source: str | None) -> Iterator[bytes]:
    """One AES-GCM message. What is released is authentic only when the iteration has ended."""
    iv, tag = b64decode(sidecar["iv"]), b64decode(sidecar["auth_tag"])
    refuse("The sidecar's iv or auth_tag is too short", unless=(len(iv), len(tag)) == (12, 16))
    data_key = unwrap([(key, b64decode(sidecar["encrypted_data_key"])) for key in keys], {})
    if "sidecar_mac" in sidecar or "format_version" in sidecar:
        check_sidecar(sidecar, data_key, iv, file.name)
        refuse(f"{file.name} is not of that source", unless=source in (None, sidecar["source"]))
    else:
        print("NOTE: made by the original system: nothing proves its name, date and source.", file=sys.stderr)
    gcm = Cipher(algorithms.AES(data_key), modes.GCM(iv, tag)).decryptor()
    while block := file.read(MIB):
        yield gcm.update(block)
    try:
        gcm.finalize()
    except InvalidTag:
        refuse(f"{file.name} was altered, cut short or extended")


def decrypt(options: argparse.Namespace, write: Callable[[bytes], object]) -> str:
    """Decrypt and check everything; SHA-256 and size of what was released."""
    try:
        region = options.key_arn[0].split(":")[3]
        sidecar, version = None, 2
        if options.sidecar:
            sidecar = json.loads(open_place(options.sidecar, region).read(16 * MIB))
            version = sidecar.get("format_version", 1)
        file = open_place(options.file, region)
        reader: Callable[..., Iterator[bytes]] = {1: decrypt_v1, 2: decrypt_v2}[version]
        digest, size = hashlib.sha256(), 0
        for piece in reader(file, sidecar, options.key_arn, options.source):
            digest.update(piece)
            size += len(piece)
            write(piece)
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        refuse(f"{options.file} or its sidecar is malformed ({type(error).__name__})")
    facts = {"encrypted_file_size": file.size, "original_file_size": size, "ciphertext_sha256": file.sha256.hexdigest()}
    for field, found in facts.items():
        refuse(f"{field} is {found}, not what the sidecar says", unless=(sidecar or {}).get(field) in (None, found))
    return f"{digest.hexdigest()} {size}"


def decrypt_to_file(options: argparse.Namespace) -> None:
    """OUT.partial, for its owner only, is renamed when all of it is authentic, and removed if not."""
    output, partial = Path(options.output), Path(options.output + ".partial")
    if os.path.lexists(output):
        raise Problem(STORE, f"{output} exists. Choose another name; nothing is overwritten.")
    with asking(f"Writing {partial}"):
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as out:
                decrypt(options, out.write)
                out.flush()
                os.fsync(descriptor)
            partial.rename(output)
        finally:
            partial.unlink(missing_ok=True)


def main() -> int:
    """Run; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--key-arn", required=True, action="append", metavar="ARN", help="KMS key that opens it")
    parser.add_argument("--sidecar", metavar="FILE")
    parser.add_argument("--source", metavar="NAME")
    result = parser.add_mutually_exclusive_group(required=True)
    result.add_argument("--output", metavar="OUT", help="a .sql.gz or .sql.zst that does not exist yet")
    result.add_argument("--digest", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that OUT.partial is removed
    try:
        if not all(re.fullmatch(r"arn:[\w-]+:kms:[\w-]+:\d+:key/[\w-]+", arn) for arn in options.key_arn):
            raise Problem(USAGE, "--key-arn is no key's ARN: arn:aws:kms:REGION:ACCOUNT:key/ID, not an alias.")
        if options.digest:
            print(decrypt(options, len))
        else:
            decrypt_to_file(options)
            print(f"{options.output}: authentic and complete")
    except Problem as problem:
        print(f"ERROR: {problem.args[1]}", file=sys.stderr)
        return int(problem.args[0])
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
