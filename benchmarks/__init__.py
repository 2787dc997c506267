"""``make bench``: the product, its peers and the floors below all of them, on one server and one S3, in turns.

What is measured, and how to read it: README.md beside this file.
"""
