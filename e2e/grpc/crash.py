"""Reserves over streams of batches until the server is gone, and looks later for every reservation that was answered.

    python crash.py HOST:PORT reserve           prints each answered key with its reservation, as one JSON object
    python crash.py HOST:PORT find < ANSWERED   prints how many of them are found again, and those that are not

The scenario `grpc` kills the server in between.
"""

import itertools
import json
import sys
import threading

import grpc

from client import BATCH, Client, claim

SALE = "crash"
STREAMS = 4
# How many batches a stream sends ahead of its answers. The server reads no more than four.
AHEAD = 6


def reserve(client, name, answered):
    """Claims under keys of this stream, until it breaks."""
    ahead = threading.Semaphore(AHEAD)

    def messages():
        for first in itertools.count(step=BATCH):
            ahead.acquire()
            yield {"sale": SALE, "claims": [claim(number, name) for number in range(first, first + BATCH)]}

    number = itertools.count()
    try:
        for answer in client.batches("onrush.v1.Reservations", "ReserveMany", messages()):
            for result in answer.results:
                key = f"{name}-{next(number)}"
                if result.WhichOneof("result") == "reserved":
                    answered[key] = result.reserved.reservation
            ahead.release()
    except grpc.RpcError:
        pass
    # What waits to send may end now.
    ahead.release()


def reserve_all(client):
    answered = [{} for _ in range(STREAMS)]
    streams = [
        threading.Thread(target=reserve, args=(client, f"stream{at}", answered[at])) for at in range(STREAMS)
    ]
    for stream in streams:
        stream.start()
    for stream in streams:
        stream.join()
    return {key: id for part in answered for key, id in part.items()}


def find(client, answered):
    """The same keys again: each must find the reservation of which the client heard."""
    keys = list(answered)
    batches = [keys[first : first + BATCH] for first in range(0, len(keys), BATCH)]
    messages = ({"sale": SALE, "claims": [claim(*key.split("-")[::-1]) for key in batch]} for batch in batches)
    found, lost = 0, []
    for batch, answer in zip(batches, client.batches("onrush.v1.Reservations", "ReserveMany", messages)):
        for key, result in zip(batch, answer.results):
            if result.reserved.replayed and result.reserved.reservation == answered[key]:
                found += 1
            else:
                lost.append([key, answered[key], str(result)])
    return {"found": found, "lost": lost[:10]}


def main(address, what):
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        client = Client(channel)
        seen = reserve_all(client) if what == "reserve" else find(client, json.load(sys.stdin))
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
