"""The bucket: upload, read, list, and the catalogue of backups; and local files for the staged variant.

aws        client settings, what S3's answers and errors mean
multipart  one stream of unknown length -> one object
download   one pinned version of an object -> one stream, resumed after a cut
s3         the vault: one bucket as one role sees it
settings   how the bucket is set up, for the preflight
catalog    which backups there are, from the bucket alone
staging    private local files, when a backup runs as separate tasks
"""
