"""What this package adds to Airflow: hooks, operators, retry policy. The work itself is done by the engine."""
