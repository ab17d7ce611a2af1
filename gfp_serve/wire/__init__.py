"""Messages and statuses of the wire <-> values and errors of Python, for server and client alike."""
