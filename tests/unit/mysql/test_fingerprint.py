"""What of a fingerprint depends on the server's version."""

from __future__ import annotations

import pytest

from include.backup_engine.mysql.fingerprint import has_crc32c


@pytest.mark.parametrize(
    ("version", "has"),
    [
        ("10.6.22-MariaDB-log", False),
        ("10.7.8-MariaDB", False),
        ("10.8.1-MariaDB", True),
        ("10.11.19-MariaDB-0+deb12u1-log", True),
        ("11.8.9-MariaDB", True),
        ("5.5.68-MariaDB", False),
    ],
)
def test_servers_without_the_function_are_known(version: str, has: bool) -> None:
    assert has_crc32c(version) == has
