"""``python -m tests.demo.surgicase --socket S --size-mb 200``: makes the demo database on a running server."""

from __future__ import annotations

import argparse
import os
import time

from tests.demo.surgicase import connector, generate


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.demo.surgicase", description=__doc__)
    parser.add_argument("--socket", help="path of the server's socket; without it: --host and --port")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3306)
    parser.add_argument("--user", default="root", help="the password is taken from MYSQL_PWD")
    parser.add_argument("--database", default="surgicase")
    parser.add_argument("--size-mb", type=int, default=200, help="sum of data_length in 10^6 bytes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--flavour", choices=["mariadb", "mysql"], help="default: ask the server")
    options = parser.parse_args()
    connect = connector(options.socket, options.host, options.port, options.user, os.environ.get("MYSQL_PWD", ""))
    began = time.monotonic()
    generate(connect, options.database, options.size_mb, options.seed, options.flavour)
    print(f"{options.database}: about {options.size_mb} MB in {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
