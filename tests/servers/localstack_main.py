"""Start LocalStack in this process; run by ``localstack.py`` with the interpreter of LocalStack's own environment."""

import functools
import runpy
import sys
import tempfile
import uuid

from twisted.internet import endpoints

if sys.version_info < (3, 12):  # KMS names key material by uuid5(UUID, bytes), which Python 3.12 brought
    uuid5 = uuid.uuid5
    uuid.uuid5 = lambda space, name: uuid5(space, name if isinstance(name, str) else name.decode("latin-1"))

from localstack.services.s3 import provider

# Both are fixed in LocalStack 4.13: one folder for the objects of all servers of a machine, and all interfaces,
# whatever host GATEWAY_LISTEN names.
provider.DEFAULT_S3_TMP_DIR = tempfile.mkdtemp(prefix="s3-")
endpoints.TCP4ServerEndpoint = functools.partial(endpoints.TCP4ServerEndpoint, interface="127.0.0.1")

runpy.run_module("localstack.runtime.main", run_name="__main__")
