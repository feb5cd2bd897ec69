#!/usr/bin/env python3
"""The contract check: botocore and our wire must understand each other, whole.

For every operation that a service lists, in every protocol that botocore can speak to it:
  - botocore's serializer fills a request with every member, its signer signs it; the signature must verify, and our
    decoder must read all of it back;
  - we encode an answer with every member; botocore's parser must read all of it back;
  - each modelled error that we answer must reach botocore with its code, message and request id.
Each is done with all members, then with random ones (seeded), so that all enum values and shapes get their turn.

    check.py CONTRACT_BINARY [SERVICE...]        (the binary is `cargo build -p zonal-contract`)
"""

import argparse
import base64
import datetime
import json
import pathlib
import random
import subprocess
import sys

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.parsers
import botocore.serialize
import botocore.session

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = "é&<>'\"+%/= x;\n€𝄞,\\"
ROUNDS = 6
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


class Filler:
    """Makes a value of a shape: everything in it (share 1), or each optional member with that probability."""

    def __init__(self, seed, share, tick=125):
        self.random = random.Random(seed)
        self.share = share
        self.counter = 0
        # Times are multiples of so many milliseconds.
        self.tick = tick

    def value(self, shape, depth=0, ancestors=(), location=None):
        self.counter += 1
        return getattr(self, "_" + shape.type_name)(shape, depth, ancestors, location)

    def _structure(self, shape, depth, ancestors, _):
        members = {
            name: inner
            for name, inner in shape.members.items()
            # Recursion goes round once.
            if self.names(inner).isdisjoint(n for n in ancestors if ancestors.count(n) > 1)
        }
        if getattr(shape, "is_tagged_union", False) and members:
            name = self.random.choice(sorted(members))
            members = {name: members[name]}
            required = set(members)
        else:
            required = set(shape.required_members)
        if members and not required:
            # An empty structure can't travel in every protocol.
            required = {self.random.choice(sorted(members))}
        return {
            name: self.value(inner, depth + 1, ancestors + (shape.name,), inner.serialization.get("location"))
            for name, inner in members.items()
            if name in required or self.random.random() < self.share
        }

    def names(self, shape):
        if shape.type_name == "list":
            return self.names(shape.member)
        if shape.type_name == "map":
            return self.names(shape.value)
        return {shape.name} if shape.type_name == "structure" else set()

    def count(self, shape):
        low = max(int(shape.metadata.get("min", 1)), 1)
        high = int(shape.metadata.get("max", 3))
        return max(low, min(high, self.random.choice((1, 2, 3))))

    def _list(self, shape, depth, ancestors, _):
        return [self.value(shape.member, depth + 1, ancestors) for _ in range(self.count(shape))]

    def _map(self, shape, depth, ancestors, _):
        keys = getattr(shape.key, "enum", None) or [self.value(shape.key) for _ in range(self.count(shape))]
        keys = keys[: max(self.count(shape), 1)]
        return {key: self.value(shape.value, depth + 1, ancestors) for key in keys}

    def _string(self, shape, _depth, _ancestors, location):
        values = getattr(shape, "enum", None)
        if values:
            return values[(self.counter + self.random.randrange(len(values))) % len(values)]
        low = int(shape.metadata.get("min", 0))
        high = min(int(shape.metadata.get("max", 1 << 20)), max(low, 48))
        # A header and a path hold less than a body does.
        base = f"v{self.counter} a/b+c" if location in ("uri", "header") else f"{self.counter}{TEXT}"
        return (base * (low // len(base) + 1))[: max(low, min(high, len(base)))] if high else ""

    _character = _string

    def bounded(self, shape, low, high):
        low = int(max(low, shape.metadata.get("min", low)))
        high = int(min(high, shape.metadata.get("max", high)))
        return self.random.choice((low, high, self.random.randint(low, high)))

    def _integer(self, shape, *_):
        return self.bounded(shape, -(2**31), 2**31 - 1)

    def _long(self, shape, *_):
        return self.bounded(shape, -(2**63), 2**63 - 1)

    def _double(self, shape, *_):
        return self.bounded(shape, -1000, 1000) + self.random.choice((0.0, 0.5, 0.1)) * (
            0 if "max" in shape.metadata else 1
        )

    _float = _double

    def _boolean(self, *_):
        return self.random.random() < 0.5

    def _timestamp(self, *_):
        return EPOCH + datetime.timedelta(milliseconds=self.random.randrange(0, 4_000_000_000_000, self.tick))

    def _blob(self, *_):
        return self.random.randbytes(self.random.randrange(1, 40))


def plain(value):
    """As our side writes it: times as ISO 8601, bytes as base64, what is empty left out."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if not isinstance(v, (list, dict)) or v}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.datetime):
        value = value.astimezone(datetime.timezone.utc)
        return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"
    return value


def difference(expected, found, path=""):
    """The first place where two values differ, or None."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted(set(expected) | set(found)):
            if key not in found:
                return f"{path}/{key}: lost {expected[key]!r}"
            if key not in expected:
                return f"{path}/{key}: appeared {found[key]!r}"
            inner = difference(expected[key], found[key], f"{path}/{key}")
            if inner:
                return inner
        return None
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for index, (a, b) in enumerate(zip(expected, found)):
            inner = difference(a, b, f"{path}/{index}")
            if inner:
                return inner
        return None
    if isinstance(expected, float) or isinstance(found, float):
        same = isinstance(found, (int, float)) and abs(expected - found) <= 1e-9 * max(1, abs(expected))
    else:
        same = expected == found
    return None if same else f"{path}: {expected!r} became {found!r}"


class Wire:
    """Our side, a process that answers lines."""

    def __init__(self, binary):
        self.process = subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the wire died of {question}")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        return self.process.wait(timeout=10)


class Check:
    def __init__(self, wire, session):
        self.wire = wire
        self.session = session
        self.counts = {"inputs": 0, "outputs": 0, "errors": 0}
        self.failures = []

    def fail(self, what, why):
        self.failures.append(f"{what}: {why}")

    def service(self, service):
        model = self.session.get_service_model(service)
        text = (ROOT / "services" / service / "shapes").read_text()
        operations = [line.split()[1] for line in text.splitlines() if line.startswith("operation ")]
        for protocol in model.metadata.get("protocols", [model.metadata["protocol"]]):
            for name in operations:
                for round_ in range(ROUNDS):
                    seed, share = f"{service}.{name}.{round_}", 1 if round_ < 3 else 0.5
                    self.input(model, name, protocol, seed, share)
                    self.output(model, name, protocol, seed, share)
                self.errors(model, name, protocol)

    def input(self, model, name, protocol, seed, share):
        what = f"{model.service_name} {name} input ({protocol}, {seed})"
        operation = model.operation_model(name)
        shape = operation.input_shape
        # Botocore's CBOR serializer fails on milliseconds.
        precision, tick = (botocore.serialize.TIMESTAMP_PRECISION_DEFAULT, 1000) if protocol == "smithy-rpc-v2-cbor" else (
            botocore.serialize.TIMESTAMP_PRECISION_MILLISECOND, 125)
        parameters = Filler(seed, share, tick).value(shape) if shape is not None else {}
        serializer = botocore.serialize.SERIALIZERS[protocol](timestamp_precision=precision)
        request = serializer.serialize_to_request(parameters, operation)
        botocore.awsrequest.prepare_request_dict(request, "http://localhost:4566")
        prepared = botocore.awsrequest.create_request_object(request)
        keys = botocore.credentials.Credentials("AKIDEXAMPLE", "the/secret+key")
        botocore.auth.SigV4Auth(keys, model.signing_name, "us-east-1").add_auth(prepared)
        prepared = prepared.prepare()
        body = prepared.body or b""
        headers = {k: v.decode() if isinstance(v, bytes) else str(v) for k, v in prepared.headers.items()}
        # The connection adds the host.
        headers.setdefault("Host", "localhost:4566")
        answer = self.wire.ask(
            do="decode",
            secret=keys.secret_key,
            method=prepared.method,
            uri=prepared.url.split("4566", 1)[1] or "/",
            headers=headers,
            body=base64.b64encode(body.encode() if isinstance(body, str) else body).decode(),
        )
        self.counts["inputs"] += 1
        if "input" not in answer:
            return self.fail(what, answer.get("error") or answer)
        named = answer["identified"]
        if (named["service"], named["operation"]) != (model.service_name, name):
            return self.fail(what, f"taken for {named}")
        expected = plain(parameters)
        found = answer["input"]
        different = difference(expected, found)
        if different:
            self.fail(what, different)

    def output(self, model, name, protocol, seed, share):
        what = f"{model.service_name} {name} output ({protocol}, {seed})"
        operation = model.operation_model(name)
        shape = operation.output_shape
        wanted = Filler(seed, share).value(shape) if shape is not None else {}
        answer = self.wire.ask(
            do="encode", service=model.service_name, operation=name, protocol=protocol, output=plain(wanted)
        )
        self.counts["outputs"] += 1
        if "problem" in answer:
            return self.fail(what, answer["problem"])
        parsed = self.parse(protocol, answer, shape)
        metadata = parsed.pop("ResponseMetadata", {})
        if shape is not None or protocol != "smithy-rpc-v2-cbor":
            if metadata.get("RequestId") != "the-request-id":
                return self.fail(what, f"no request id in {metadata}")
        different = difference(plain(wanted), plain(parsed))
        if different:
            self.fail(what, different)

    def parse(self, protocol, answer, shape):
        response = {
            "status_code": answer["status"],
            "headers": botocore.awsrequest.HeadersDict(answer["headers"]),
            "body": base64.b64decode(answer["body"]),
        }
        return botocore.parsers.create_parser(protocol).parse(response, shape)

    def errors(self, model, name, protocol):
        operation = model.operation_model(name)
        codes = [shape.metadata.get("error", {}).get("code", shape.name) for shape in operation.error_shapes]
        for code in codes + ["Unmodelled.Code"]:
            message = f"what {TEXT} is wrong"
            answer = self.wire.ask(
                do="fail", service=model.service_name, operation=name, protocol=protocol, code=code, message=message
            )
            self.counts["errors"] += 1
            parsed = self.parse(protocol, answer, operation.output_shape)
            found = (parsed["Error"].get("Code"), parsed["Error"].get("Message"), parsed["ResponseMetadata"].get("RequestId"))
            if found != (code, message, "the-request-id"):
                self.fail(f"{model.service_name} {name} error {code} ({protocol})", found)


def main():
    parser = argparse.ArgumentParser(description="check that botocore and our wire understand each other")
    parser.add_argument("binary")
    parser.add_argument("services", nargs="*")
    arguments = parser.parse_args()
    services = arguments.services or sorted(path.parent.name for path in ROOT.glob("services/*/shapes"))
    wire = Wire(arguments.binary)
    check = Check(wire, botocore.session.get_session())
    for service in services:
        check.service(service)
    if wire.close() != 0:
        check.fail("the wire", "exited with an error")
    for failure in check.failures[:40]:
        print(failure, file=sys.stderr)
    print(f"contract: {check.counts['inputs']} inputs, {check.counts['outputs']} outputs, {check.counts['errors']} errors, "
          f"{len(check.failures)} failures")
    return 1 if check.failures or not all(check.counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
