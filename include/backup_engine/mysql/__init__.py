"""The database side: one snapshot, its dump, its census and fingerprints, and the way back in.

``server`` and ``privileges`` say what we are connected to; ``client`` runs the dump program; ``snapshot``
makes all of them read one state; ``dump``, ``census`` and ``fingerprint`` read it; ``statements`` and
``load`` put it into another database.
"""
