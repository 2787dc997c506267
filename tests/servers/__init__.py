"""Private servers on loopback, as context managers: MariaDB, LocalStack (S3 and KMS) and Airflow.

Each keeps its data and its log in a folder of its own, takes a free port, and is gone, with everything that it
started, when the ``with`` block ends or the process that opened it dies. ``setup.sh`` installs what they need.
"""
