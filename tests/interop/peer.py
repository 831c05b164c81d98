"""A peer that is not brighter: reads and writes messages with pika, and says what was on the wire.

peer.py read URL QUEUE     takes one message, and prints it as JSON
peer.py write URL          publishes what stands on stdin as JSON
"""

import json
import struct
import sys
import time

import pika

INTEGERS = {"b": ">b", "B": ">B", "s": ">h", "u": ">H", "I": ">i", "i": ">I", "l": ">q", "T": ">Q"}
FLOATS = {"f": ">f", "d": ">d"}

# pika tells neither the tag of a value nor writes every tag, so the bytes of the table are read and written here.
decode_properties = pika.BasicProperties.decode
encode_table = pika.data.encode_table


def keep_bytes(self, encoded, offset=0):
    self.encoded = encoded[offset:]
    return decode_properties(self, encoded, offset)


def encode(pieces, table):
    if not isinstance(table, Tagged):
        return encode_table(pieces, table)
    written = b"".join(name_bytes(name) + write_value(*value) for name, value in table.items())
    pieces.append(struct.pack(">I", len(written)) + written)
    return 4 + len(written)


class Tagged(dict):
    """Headers, each with its tag and its value."""


pika.BasicProperties.decode = keep_bytes
pika.data.encode_table = encode


def name_bytes(name):
    name = name.encode()
    return bytes([len(name)]) + name


def write_value(tag, value):
    if tag == "S":
        text = value.encode()
        return b"S" + struct.pack(">I", len(text)) + text
    if tag == "x":  # of a long string that is no text
        return b"S" + struct.pack(">I", len(value) // 2) + bytes.fromhex(value)
    if tag == "t":
        return b"t" + bytes([value])
    return tag.encode() + struct.pack({**INTEGERS, **FLOATS}[tag], value)


def read_table(data, at):
    (size,) = struct.unpack_from(">I", data, at)
    at, end, table = at + 4, at + 4 + size, {}
    while at < end:
        length = data[at]
        name = data[at + 1 : at + 1 + length].decode()
        at += 1 + length
        tag = chr(data[at])
        at += 1
        if tag in ("S", "x"):
            (length,) = struct.unpack_from(">I", data, at)
            value = data[at + 4 : at + 4 + length].decode()
            at += 4 + length
        elif tag == "t":
            value, at = bool(data[at]), at + 1
        elif tag == "V":
            value = None
        else:
            form = {**INTEGERS, **FLOATS}[tag]
            (value,) = struct.unpack_from(form, data, at)
            at += struct.calcsize(form)
        table[name] = [tag, value]
    return table


def headers_of(encoded):
    """The table of headers: behind the flags, the content type and the content encoding."""
    (flags,) = struct.unpack_from(">H", encoded, 0)
    at = 2
    for bit in (15, 14):
        if flags & (1 << bit):
            at += 1 + encoded[at]
    return read_table(encoded, at) if flags & (1 << 13) else {}


def read(channel, queue):
    until = time.monotonic() + 30
    while time.monotonic() < until:
        method, properties, body = channel.basic_get(queue, auto_ack=True)
        if method:
            names = [name for name in vars(properties) if name not in ("encoded", "headers")]
            said = {name: getattr(properties, name) for name in names if getattr(properties, name) is not None}
            message = {
                "exchange": method.exchange,
                "routing_key": method.routing_key,
                "properties": said,
                "headers": headers_of(properties.encoded),
                "body": body.decode(),
            }
            print(json.dumps(message))
            return
        time.sleep(0.01)
    sys.exit("nothing came to " + queue)


def write(channel):
    message = json.load(sys.stdin)
    properties = pika.BasicProperties(**message["properties"])
    properties.headers = Tagged(message["headers"])
    channel.confirm_delivery()
    channel.basic_publish(
        message["exchange"], message["routing_key"], message["body"].encode(), properties, mandatory=True
    )


def main():
    command, url, *rest = sys.argv[1:]
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    read(channel, *rest) if command == "read" else write(channel)
    connection.close()


main()
