"""Encryption of backups: data keys from KMS, the two file formats, and the sidecar that describes a backup."""
