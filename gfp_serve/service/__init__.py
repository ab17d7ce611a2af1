"""The gRPC services: what answers calls, and what every call passes on its way."""
