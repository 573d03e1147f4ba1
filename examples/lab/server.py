"""Calls of a Portcullis server over gRPC, whose messages are learnt from the server itself by reflection."""

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

# Longest time that one call may take, in seconds.
TIMEOUT_S = 10


class Server:
    """A server at an address such as `127.0.0.1:50051`; messages are dictionaries in protobuf's JSON form."""

    def __init__(self, address, principal):
        self.channel = grpc.insecure_channel(address)
        self.pool = DescriptorPool(ProtoReflectionDescriptorDatabase(self.channel))
        self.metadata = [("portcullis-principal", principal)]

    def call(self, service, method, message):
        """The answer of a method; a refusal is raised as `grpc.RpcError`."""
        service = f"portcullis.v1.{service}"
        found = self.pool.FindServiceByName(service).methods_by_name[method]
        request, answer = (message_factory.GetMessageClass(kind) for kind in (found.input_type, found.output_type))
        call = self.channel.unary_unary(
            f"/{service}/{method}",
            request_serializer=request.SerializeToString,
            response_deserializer=answer.FromString,
        )
        reply = call(json_format.ParseDict(message, request()), metadata=self.metadata, timeout=TIMEOUT_S)
        return json_format.MessageToDict(
            reply, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )

    def create(self, kind, document):
        """Makes a document, for example of kind `Metric`, unless its key is taken: then it stays as it is."""
        try:
            self.call("AdminService", f"Create{kind}", {kind.lower(): document})
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.ALREADY_EXISTS:
                raise
