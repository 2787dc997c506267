"""The backup engine: plain Python, no Airflow.

Data flows one way, and the packages are named after its steps::

    mysql (snapshot, dump) -> compression -> crypto (message) -> store (s3)      backup
    store (s3) -> crypto (message) -> compression -> mysql (load, compare)       verify, restore, drill

``backup``, ``verify``, ``restore``, ``drill`` and ``evidence`` are the use cases, one verb per file.
"""
