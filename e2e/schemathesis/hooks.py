"""How schemathesis writes a body of lines of JSON: the document has the schema of one line."""

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def one_line(context, value):
    line = value if isinstance(value, bytes) else json.dumps(value, default=str).encode()
    return line + b"\n"
