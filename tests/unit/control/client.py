#!/usr/bin/python3
"""A client of the control protocol in another language, against the endpoint named as argument.

Speaks it from the document alone (a DEALER, two frames, msgpack maps); ends with 77 when the
bindings are not there."""
import sys

try:
    import msgpack
    import zmq
except ImportError as missing:
    print(f"skipped: {missing}; apt-get install python3-zmq python3-msgpack")
    sys.exit(77)

PATIENCE_MS = 60000


class Client:
    def __init__(self, endpoint):
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVTIMEO, PATIENCE_MS)
        self.socket.connect(endpoint)
        self.next_id = 1

    def send(self, verb, args=None, number=None):
        number = number or self.next_id
        self.next_id = max(self.next_id, number) + 1
        request = {"v": 1, "id": number, "verb": verb, "args": args or {}}
        self.socket.send_multipart([b"", msgpack.packb(request)])
        return number

    def receive(self):
        empty, payload = self.socket.recv_multipart()
        assert empty == b""
        return msgpack.unpackb(payload, strict_map_key=True)

    def ask(self, verb, args=None):
        number = self.send(verb, args)
        reply = self.receive()
        assert reply["v"] == 1 and reply["id"] == number, reply
        assert reply["more"] is False, reply
        return reply


def main():
    client = Client(sys.argv[1])

    reply = client.ask("status")
    assert reply["ok"] is True
    envelope = reply["result"]
    assert envelope["schema"] == "understudy.status/1", envelope
    assert set(envelope) == {"schema", "time", "node", "cluster", "term", "stale", "data"}
    assert envelope["stale"] is False and envelope["term"] == 4
    assert envelope["data"]["leader"] == "n2"

    reply = client.ask("remove", {"node": "n9"})
    assert reply["ok"] is False and "result" not in reply
    assert reply["error"]["code"] == "not_found" and reply["error"]["exit"] == 7, reply
    assert set(reply["error"]) == {"code", "exit", "message", "hint"}

    reply = client.ask("health")
    assert reply["ok"] is True and reply["exit"] == 1, reply

    assert client.ask("no such verb")["error"]["exit"] == 2
    assert client.ask("report list")["error"]["exit"] == 2

    # A stream: lines under one id until it is cancelled; then silence under that id.
    number = client.send("events", {"follow": True})
    for expected in range(4):
        reply = client.receive()
        assert reply["id"] == number and reply["more"] is True, reply
        assert reply["result"]["schema"] == "understudy.events/1"
        assert reply["result"]["data"]["n"] == expected
    client.send("cancel", number=number)
    assert client.ask("status")["ok"] is True

    # A finite one ends by itself.
    number = client.send("events")
    count = 0
    while True:
        reply = client.receive()
        assert reply["id"] == number and reply["ok"], reply
        count += "result" in reply
        if not reply["more"]:
            break
    assert count == 4, count
    print("spoken")


main()
