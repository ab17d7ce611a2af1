"""The HTTP port: the same calls as over gRPC, as JSON, for browsers, curl and tools that know no gRPC."""
