"""Tests, the demo, and the private servers that both use."""
