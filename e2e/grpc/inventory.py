"""Asks a running server for the inventory of products, and prints what it hears as one line of JSON.

    python inventory.py HOST:PORT PRODUCT…
"""

import json
import sys

import grpc

from client import Client, refusal


def main(address, *products):
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        ids = [int(product) for product in products]
        service = "proto.ProductInventoryService"
        call = Client(channel).future(service, "GetMultiProductInventory", api="v1", product_ids=ids)
        if call.code() is not grpc.StatusCode.OK:
            told = refusal(call, service)
        else:
            answer = call.result()
            told = {"status": "OK", "code": answer.meta.code, "products": [of.product_id for of in answer.data]}
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
