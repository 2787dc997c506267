"""Operators: each wires hooks to one use case of the engine."""
