"""The engine, its break-glass tool, and what surrounds them (policy, IAM, SQL grants)."""
