"""A certificate for 127.0.0.1 and the authority that signed it, made anew for each folder."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.servers.processes import find_program


@dataclass(frozen=True)
class Certificate:
    """PEM files: what clients trust (``authority``), and what the server shows (``chain``) and keeps (``key``)."""

    authority: Path
    chain: Path
    key: Path

    @classmethod
    def made_in(cls, folder: Path) -> Self:
        """The certificate in ``folder``, made on the first call."""
        folder.mkdir(parents=True, exist_ok=True)
        made = cls(folder / "authority.pem", folder / "server.pem", folder / "server.key")
        if not made.chain.exists():
            authority_key = folder / "authority.key"
            _openssl("-subj", "/CN=Test authority", "-keyout", authority_key, "-out", made.authority)
            _openssl(
                *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
                *("-addext", "basicConstraints=critical,CA:FALSE"),
                *("-CA", made.authority, "-CAkey", authority_key, "-keyout", made.key, "-out", made.chain),
            )
            authority_key.unlink()
        return made


def _openssl(*options: str | Path) -> None:
    command = [find_program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "365", *options]
    subprocess.run(command, check=True, capture_output=True)
