#!/usr/bin/python3
"""cfn-get-metadata, where Amazon Linux has it: prints a resource's metadata, or what a key of it has, as JSON."""

import json

import cfn_common


def main():
    arguments = cfn_common.flags("cfn-get-metadata")
    arguments.add_argument("-k", "--key", help="a key, or several joined by dots")
    given = arguments.parse_args()
    if not given.stack or not given.resource:
        arguments.error("--stack and --resource are needed")
    print(json.dumps(value_at(cfn_common.resource(given.stack, given.resource, given.region, given.url)["Metadata"], given.key), indent=4))


def value_at(value, key):
    """What a dotted key leads to."""
    for part in key.split(".") if key else []:
        if not isinstance(value, dict) or part not in value:
            raise cfn_common.Failure(f"Metadata does not contain key {key}")
        value = value[part]
    return value


if __name__ == "__main__":
    cfn_common.run(main)
