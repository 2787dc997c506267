"""The commands: each module adds its command to the parser, and holds what it does."""
