"""The commands: parse, call the library, print."""

import os

# gRPC would print lines of its own form beside ours, e.g. at every TLS handshake that fails. It reads this when it is
# imported. GRPC_VERBOSITY=INFO in the environment shows them.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
