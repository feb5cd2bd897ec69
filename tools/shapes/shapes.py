#!/usr/bin/env python3
"""Writes services/*/shapes from the botocore that is installed.

Each `shapes` file lists the operations that its service wants (`operation NAME ...`); the rest of the file
follows from them: the facts of every structure, list, map and enum they reach. To add an operation, run
`shapes.py --add SERVICE OPERATION...`, or put a bare `operation NAME` line into the file and run this again.

    shapes.py                     rewrite every services/*/shapes
    shapes.py --check             exit 1 if one of them is not what botocore says (drift)
    shapes.py --add ec2 CreateVpc add operations, then rewrite that service

Only facts are written, no documentation text. The grammar is described in crates/shapes/src/parse.rs.
"""

import argparse
import pathlib
import sys

import botocore.session

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCALARS = {
    "string": "string",
    "character": "string",
    "integer": "integer",
    "long": "long",
    "float": "float",
    "double": "double",
    "boolean": "boolean",
    "timestamp": "timestamp",
    "blob": "blob",
}
# An enum with more values than this is a plain string: nobody matches on 1,000 instance types.
LARGEST_ENUM = 64
# Values that AWS sends and its own model leaves out. Each has its line in UNDOCUMENTED-AWS.md.
UNDOCUMENTED = {
    "AttachmentStatus": ["available"],  # of an internet gateway
    "NetworkInterfaceStatus": ["pending"],
    # What a stack goes through, in its events.
    "ResourceStatus": ["REVIEW_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
                       "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"],
}


def limits(shape):
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is None and high is None:
        return ""
    return "({},{})".format("" if low is None else low, "" if high is None else high)


def count(shape):
    return "".join(f" {key}={shape.metadata[key]}" for key in ("min", "max") if key in shape.metadata)


class Writer:
    """Collects what the listed operations reach, and renders it."""

    def __init__(self, directory, session):
        self.model = session.get_service_model(directory)
        self.directory = directory
        self.is_global = not session.get_available_regions(directory)
        self.declared = {}
        self.errors = {}
        self.namespace = self.model.metadata.get("xmlNamespace", "")

    def kind(self, shape):
        """The type of a member as the file writes it; declares what it names."""
        name = shape.type_name
        if name == "structure":
            self.structure(shape)
            return shape.name
        if name == "list":
            flat = bool(shape.serialization.get("flattened"))
            declared = shape.name + ("_Flat" if flat else "")
            if declared not in self.declared:
                self.declared[declared] = None
                line = f"list {declared} {self.kind(shape.member)}{count(shape)}"
                item = shape.member.serialization.get("name")
                if item:
                    line += f" item={item}"
                if flat:
                    line += " flat"
                self.declared[declared] = [line]
            return declared
        if name == "map":
            flat = bool(shape.serialization.get("flattened"))
            declared = shape.name + ("_Flat" if flat else "")
            if declared not in self.declared:
                self.declared[declared] = None
                line = f"map {declared} {self.kind(shape.key)} {self.kind(shape.value)}{count(shape)}"
                for part, inner in (("key", shape.key), ("value", shape.value)):
                    given = inner.serialization.get("name")
                    if given:
                        line += f" {part}={given}"
                if flat:
                    line += " flat"
                self.declared[declared] = [line]
            return declared
        values = getattr(shape, "enum", None)
        if values and len(values) <= LARGEST_ENUM:
            values = [*values, *UNDOCUMENTED.get(shape.name, [])]
            self.declared[shape.name] = [f"enum {shape.name}"] + [f"  {v}" for v in values]
            return shape.name
        if values:
            return "string"
        kind = SCALARS[name]
        if kind == "timestamp" and "timestampFormat" in shape.serialization:
            return f"timestamp/{shape.serialization['timestampFormat']}"
        return kind + limits(shape)

    def structure(self, shape):
        if shape.name in self.declared:
            return
        self.declared[shape.name] = None
        lines = [f"structure {shape.name}"]
        payload = shape.serialization.get("payload")
        required = set(shape.required_members)
        for member, inner in shape.members.items():
            facts = inner.serialization
            line = f"  {member} {self.kind(inner)}"
            if facts.get("name", member) != member:
                line += f" name={facts['name']}"
            if "queryName" in facts:
                line += f" query={facts['queryName']}"
            if "location" in facts:
                line += f" in={facts['location']}"
            if member == payload:
                line += " payload"
            if facts.get("xmlAttribute"):
                line += " attribute"
            if member in required:
                line += " required"
            if inner.metadata.get("idempotencyToken"):
                line += " token"
            lines.append(line)
        self.declared[shape.name] = lines

    def operation(self, name):
        model = self.model.operation_model(name)
        line = f"operation {name} {model.http.get('method', 'POST')} {model.http.get('requestUri', '/')}"
        code = model.http.get("responseCode", 200)
        if code != 200:
            line += f" status={code}"
        if model.input_shape is not None:
            line += f" input={self.kind(model.input_shape)}"
            root = model.input_shape.serialization.get("name")
            if root:
                line += f" root={root}"
            space = model.input_shape.serialization.get("xmlNamespace")
            if space and not self.namespace:
                self.namespace = space["uri"] if isinstance(space, dict) else space
        if model.output_shape is not None:
            line += f" output={self.kind(model.output_shape)}"
            wrapper = model.output_shape.serialization.get("resultWrapper")
            if wrapper:
                line += f" wrapper={wrapper}"
        for shape in model.error_shapes:
            error = shape.metadata.get("error", {})
            entry = f"error {shape.name} code={error.get('code', shape.name)}"
            if "httpStatusCode" in error:
                entry += f" status={error['httpStatusCode']}"
            if error.get("senderFault") or error.get("httpStatusCode", 400) < 500:
                entry += " sender"
            self.errors[shape.name] = entry
        if model.error_shapes:
            line += " errors=" + ",".join(sorted(shape.name for shape in model.error_shapes))
        return line

    def render(self, operations):
        metadata = self.model.metadata
        lines = [self.operation(name) for name in operations]
        head = [
            "# Facts of the service's interface, written by tools/shapes/shapes.py. Do not edit by hand,",
            "# except to add an `operation NAME` line; then run that tool.",
            f"service {self.directory}",
            f"id {metadata['serviceId']}",
            f"signing {self.model.signing_name}",
            f"endpoint {metadata['endpointPrefix']}",
            f"version {metadata['apiVersion']}",
            f"protocols {' '.join(metadata.get('protocols', [metadata['protocol']]))}",
        ]
        for key, field in (("namespace", self.namespace), ("target", metadata.get("targetPrefix")),
                           ("json", metadata.get("jsonVersion"))):
            if field:
                head.append(f"{key} {field}")
        if "awsQueryCompatible" in metadata:
            head.append("query-compatible")
        if self.is_global:
            head.append("global")
        out = head + [""] + lines + [""]
        for name in sorted(self.declared):
            out += self.declared[name]
        out += [""] + [self.errors[name] for name in sorted(self.errors)]
        return "\n".join(out).rstrip() + "\n"


def listed(path):
    return [line.split()[1] for line in path.read_text().splitlines() if line.startswith("operation ")]


def main():
    parser = argparse.ArgumentParser(description="write services/*/shapes from the installed botocore")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 on drift")
    parser.add_argument("--add", nargs="+", metavar=("SERVICE", "OPERATION"), help="add operations to a service")
    arguments = parser.parse_args()
    session = botocore.session.get_session()
    only, added = None, []
    if arguments.add:
        only, added = arguments.add[0], arguments.add[1:]
    drifted = []
    for directory in sorted((ROOT / "services").iterdir()):
        path = directory / "shapes"
        if (only and directory.name != only) or not (path.exists() or directory.name == only):
            continue
        before = path.read_text() if path.exists() else ""
        operations = listed(path) if before else []
        operations += [name for name in added if name not in operations]
        after = Writer(directory.name, session).render(operations)
        if after == before:
            continue
        drifted.append(directory.name)
        if not arguments.check:
            path.write_text(after)
            print(f"wrote services/{directory.name}/shapes ({len(operations)} operations)")
    if arguments.check and drifted:
        print("services whose shapes differ from botocore's: " + ", ".join(drifted), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
