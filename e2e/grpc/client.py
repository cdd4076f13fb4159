"""Calls a running server as a client of gRPC that is not ours, and prints what it hears as one line of JSON.

    python client.py HOST:PORT

The scenario `grpc` says what must be in that line. Ends with 1 and a message if a call has no answer that makes sense.
"""

import json
import sys

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

# A server that hangs is a failure, not a check without an end.
HANG_TIMEOUT_S = 30
CALLS_AT_ONCE = 200
MESSAGE_BYTES_MAX = 16 * 1024
# What stands before each message: whether it is compressed, and its length.
PREFIX_BYTES = 5
# A sale with fewer units than there are claims, and one that holds what is reserved.
SALE = "batches"
SALE_OF_ONE = "one"
CLAIMS = 1200
BATCH = 100
PRODUCT_INVENTORY = "/proto.ProductInventoryService/GetMultiProductInventory"

# What a client sends that declares `api` as string 1 and `product_ids` as repeated int32 2: "v1" and [35586, 1, 999999999].
# Such a field is packed by proto3, and has one entry for each number by proto2.
PACKED = b"\x0a\x02v1" + b"\x12\x09" + b"\x82\x96\x02" + b"\x01" + b"\xff\x93\xeb\xdc\x03"
NOT_PACKED = b"\x0a\x02v1" + b"\x10\x82\x96\x02" + b"\x10\x01" + b"\x10\xff\x93\xeb\xdc\x03"


class Client:
    """Knows of the services only what reflection tells."""

    def __init__(self, channel):
        self.channel = channel
        database = ProtoReflectionDescriptorDatabase(channel)
        self.services = sorted(database.get_services())
        self.pool = DescriptorPool(database)

    def future(self, service, method, timeout_s=HANG_TIMEOUT_S, compression=None, **fields):
        """Begins a call."""
        described = self.pool.FindServiceByName(service).methods_by_name[method]
        request = GetMessageClass(described.input_type)(**fields)
        call = self.channel.unary_unary(
            f"/{service}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(described.output_type).FromString,
        )
        return call.future(request, timeout=timeout_s, compression=compression)

    def call(self, service, method, **arguments):
        """The answer to a call."""
        try:
            return self.future(service, method, **arguments).result()
        except grpc.RpcError as error:
            sys.exit(f"{service}/{method} of {arguments}: {error.code().name}: {error.details()}")

    def batches(self, service, method, requests):
        """The answers to a stream of messages, each given by its fields."""
        described = self.pool.FindServiceByName(service).methods_by_name[method]
        message = GetMessageClass(described.input_type)
        call = self.channel.stream_stream(
            f"/{service}/{method}",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=GetMessageClass(described.output_type).FromString,
        )
        return call((message(**fields) for fields in requests), timeout=HANG_TIMEOUT_S)

    def refusal(self, service, method, **arguments):
        """Why a call is refused."""
        call = self.future(service, method, **arguments)
        return refusal(call, f"{service}/{method}")


def refusal(call, name):
    """The status of a call that must fail, and what is in `google.rpc.ErrorInfo`."""
    if call.code() is grpc.StatusCode.OK:
        sys.exit(f"{name} is answered, and must be refused")
    told = {"status": call.code().name}
    # An error if the code or the message in the details is another than that of the call.
    status = rpc_status.from_call(call)
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            told.update(reason=info.reason, domain=info.domain)
    return told


def counted(client):
    one, same = {"counter": "of-grpcio"}, {"window": "of-grpcio"}
    totals = [client.call("onrush.v1.Counters", method, **one).value for method in ("Add", "Add", "Get")]
    windows = [client.call("onrush.v1.Windows", method, **same) for method in ("Hit", "Get")]
    return {
        "counter": totals,
        "counter_unknown": client.refusal("onrush.v1.Counters", "Get", counter="nothing"),
        "window": [window.count for window in windows],
        "window_shape": [[window.span_ms, window.precision_ms] for window in windows],
    }


def rows(client):
    collection = "product_inventory"
    one = client.call("onrush.v1.Catalog", "GetRow", collection=collection, key="35586")
    many = client.call("onrush.v1.Catalog", "GetRows", collection=collection, keys=["35586", "nothing", "1"])
    unknown = {"collection": collection, "key": "nothing"}
    ahead = {"collection": collection, "key": "35586", "min_version": 2**62}
    return {
        "row": {"key": one.row.key, "name": json.loads(one.row.json)["name"]},
        "row_is_same_among_many": one.row == many.rows[0],
        "rows": [row.key for row in many.rows],
        "rows_missing": list(many.missing),
        "row_unknown": client.refusal("onrush.v1.Catalog", "GetRow", **unknown),
        "collection_unknown": client.refusal("onrush.v1.Catalog", "GetRow", collection="nothing", key="1"),
        # The client ends the call by itself too, so this does not show which of them was first.
        "past_deadline": client.refusal("onrush.v1.Catalog", "GetRow", timeout_s=0.1, **ahead),
        "row_ahead": client.refusal("onrush.v1.Catalog", "GetRow", **ahead),
    }


def refused(client):
    def of_bytes(length):
        # 3 bytes of the message say that a key follows, and its length.
        return client.refusal("onrush.v1.Catalog", "GetRow", key="k" * (length - 3))

    # A message that compression would not make smaller is sent as it is.
    compressible = {"counter": "c" * 4096, "compression": grpc.Compression.Gzip}
    compressed = client.future("onrush.v1.Counters", "Add", **compressible)
    return {
        "nearly_large": of_bytes(MESSAGE_BYTES_MAX - PREFIX_BYTES),
        "large": of_bytes(MESSAGE_BYTES_MAX + 1),
        "very_large": of_bytes(64 * MESSAGE_BYTES_MAX),
        "compressed": refusal(compressed, "a compressed message"),
        "compressed_details": compressed.details(),
    }


def at_once(client):
    calls = [client.future("onrush.v1.Counters", "Add", counter="at-once") for _ in range(CALLS_AT_ONCE)]
    try:
        values = sorted(call.result().value for call in calls)
    except grpc.RpcError as error:
        sys.exit(f"one of {CALLS_AT_ONCE} calls at once: {error.code().name}: {error.details()}")
    total = client.call("onrush.v1.Counters", "Get", counter="at-once").value
    return {
        "at_once": {"answers": len(values), "each_its_own": values == list(range(1, CALLS_AT_ONCE + 1)), "total": total}
    }


def short(result):
    """What became of an item of a batch."""
    kind = result.WhichOneof("result")
    if kind == "reserved":
        return "again" if result.reserved.replayed else "new"
    return result.refused.code if kind == "refused" else result.value


def claim(number, sort):
    """One unit for a customer, under a key."""
    lines = [{"stock": "unit", "quantity": 1}]
    return {"customer": f"{sort}-{number}", "lines": lines, "idempotency_key": f"{sort}-{number}"}


def batches(client):
    """More claims than there are units, twice, and then additions."""
    messages = [
        {"sale": SALE, "claims": [claim(number, "batch") for number in range(first, first + BATCH)]}
        for first in range(0, CLAIMS, BATCH)
    ]
    seen = {}
    for what in ("claims", "claims_again"):
        answers = client.batches("onrush.v1.Reservations", "ReserveMany", messages)
        ends = [short(result) for answer in answers for result in answer.results]
        seen[what] = [[end, ends.count(end)] for end in dict.fromkeys(ends)]
        # The first come first: nobody behind a claim that was refused for want of units gets one.
        seen[what + "_in_order"] = ends == sorted(ends, key=lambda end: end == "insufficient_stock")
    sale = client.call("onrush.v1.Sales", "Get", sale=SALE).sale
    stock = sale.stocks[0]
    seen["stock"] = [stock.quantity_total, stock.quantity_held, stock.quantity_confirmed, stock.quantity_available]
    added = [{"additions": [{"counter": "of-batches"}] * BATCH + [{"counter": "a b"}]}] * 5
    ends = [short(result) for answer in client.batches("onrush.v1.Counters", "AddMany", added) for result in answer.results]
    seen["additions_refused"] = [ends.count("invalid_request"), ends[BATCH]]
    seen["additions"] = [end for end in ends if end != "invalid_request"] == list(range(1, 5 * BATCH + 1))
    # Field 2 is a list of messages, and this is a number.
    broken = client.channel.stream_stream("/onrush.v1.Reservations/ReserveMany")(iter([b"\x10\x05"]), timeout=HANG_TIMEOUT_S)
    seen["batch_broken"] = refusal_of_stream(broken)
    empty = client.batches("onrush.v1.Reservations", "ReserveMany", [{"sale": SALE}])
    seen["batch_empty"] = refusal_of_stream(empty)
    return seen


def refusal_of_stream(call):
    """The status of a stream that must fail."""
    try:
        list(call)
    except grpc.RpcError:
        pass
    return refusal(call, "a stream")


def reservations(client):
    """One reservation from its beginning to its end."""
    service = "onrush.v1.Reservations"
    made = client.call(service, "Reserve", sale=SALE_OF_ONE, claim=claim(1, "one"))
    named = {"sale": SALE_OF_ONE, "reservation": made.reservation.reservation}
    again = client.call(service, "Reserve", sale=SALE_OF_ONE, claim=claim(1, "one"))
    steps = [client.call(service, method, **named).reservation.status for method in ("Get", "Confirm", "Release")]
    listed = client.call(service, "List", sale=SALE_OF_ONE, customer="one-1").reservations
    return {
        "reserved_again": [again.replayed, again.reservation == made.reservation],
        "reservation_statuses": [made.reservation.status, *steps],
        "reservations_listed": [one.reservation == named["reservation"] for one in listed],
        "sale_unknown": client.refusal("onrush.v1.Sales", "Get", sale="nothing"),
        "sales": [sale.sale for sale in client.call("onrush.v1.Sales", "List", limit=100).sales],
    }


def products(client, request):
    """What the bytes of a request are answered with."""
    method = client.pool.FindServiceByName("proto.ProductInventoryService").methods_by_name["GetMultiProductInventory"]
    call = client.channel.unary_unary(
        PRODUCT_INVENTORY, response_deserializer=GetMessageClass(method.output_type).FromString
    )
    answer = call(request, timeout=HANG_TIMEOUT_S)
    found = [
        {"id": product.product_id, "warehouses": {of.warehouse_code: of.qty_salable for of in product.data}}
        for product in answer.data
    ]
    return {"code": answer.meta.code, "message": answer.meta.message, "products": found}


def health(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    asked = health_pb2.HealthCheckRequest()
    checked = stub.Check(asked, timeout=HANG_TIMEOUT_S)
    watched = stub.Watch(asked, timeout=HANG_TIMEOUT_S)
    return {
        "health": health_pb2.HealthCheckResponse.ServingStatus.Name(checked.status),
        "health_watch": refusal(watched, "Watch"),
    }


def main(address):
    # A proxy for HTTP that the environment names is not for the server of this check.
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        client = Client(channel)
        seen = {"services": client.services}
        for check in (counted, rows, refused, at_once, batches, reservations):
            seen.update(check(client))
        seen["old_client"] = products(client, PACKED)
        seen["old_client_not_packed"] = products(client, NOT_PACKED)
        seen.update(health(channel))
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
