"""What a server says about itself through reflection."""

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc


async def listed_methods(channel: grpc.aio.Channel, token: str) -> set[str]:
    """Return every RPC of every service that reflection lists, as package.Service/Method."""
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    header = (("authorization", f"Bearer {token}"),)

    async def ask(**what: str) -> reflection_pb2.ServerReflectionResponse:
        call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(**what)]), metadata=header)
        return await call.read()

    methods = set()
    for service in (await ask(list_services="")).list_services_response.service:
        reply = await ask(file_containing_symbol=service.name)
        for content in reply.file_descriptor_response.file_descriptor_proto:
            described = FileDescriptorProto.FromString(content)
            for each in described.service:
                if f"{described.package}.{each.name}" == service.name:
                    methods |= {f"{service.name}/{method.name}" for method in each.method}
    return methods
