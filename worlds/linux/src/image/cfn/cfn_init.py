#!/usr/bin/python3
"""cfn-init, where Amazon Linux has it: brings an instance to what AWS::CloudFormation::Init in a resource's metadata says.

Config sets name config keys in order; each config's sections are worked off in the reference's order: packages, groups, users, sources,
files, commands, services. The first thing that fails ends it, with `Error occurred during build: …` and exit code 1.
"""

import json
import logging
import os
import sys

import cfn_common
import cfn_tools

INIT = "AWS::CloudFormation::Init"
AUTHENTICATION = "AWS::CloudFormation::Authentication"
KEPT = "/var/lib/cfn-init/data/metadata.json"
LOG = "/var/log/cfn-init.log"


def main():
    arguments = cfn_common.flags("cfn-init")
    arguments.add_argument("-c", "--configsets", default="default", help="config sets, joined by commas; default: default")
    arguments.add_argument("--resume", action="store_true", help="of Windows: nothing to resume here")
    arguments.add_argument("metadata", nargs="?", help="a file with metadata, in place of a stack's resource")
    given = arguments.parse_args()
    cfn_common.log_to(LOG, given.verbose)
    if given.metadata:
        with open(given.metadata, encoding="utf-8") as file:
            metadata = json.load(file)
    elif given.stack and given.resource:
        metadata = cfn_common.resource(given.stack, given.resource, given.region, given.url)["Metadata"]
    else:
        arguments.error("--stack and --resource, or a file with metadata, are needed")
    keep(metadata)
    build(metadata, [name.strip() for name in given.configsets.split(",")])


def keep(metadata):
    """Leaves the metadata where other programs look for it; it may have secrets."""
    os.makedirs(os.path.dirname(KEPT), exist_ok=True)
    with open(os.open(KEPT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(metadata, file, indent=4)


def build(metadata, sets):
    """Works off the configs that some config sets come to."""
    init = metadata.get(INIT)
    if not isinstance(init, dict):
        raise cfn_common.Failure(f"Could not find '{INIT}' key in template metadata")
    names = configs(init, sets)
    logging.info("Running configs: %s", ", ".join(names))
    for name in names:
        config = init.get(name)
        if not isinstance(config, dict):
            raise cfn_common.Failure(f"Could not find config key {name} in {INIT}")
        try:
            apply(config, metadata.get(AUTHENTICATION) or {})
        except (cfn_common.Failure, OSError) as failure:
            logging.exception("Config %s failed", name)
            sys.exit(f"Error occurred during build: {failure}")


def configs(init, sets):
    """The config keys of config sets, in order; without sets, the one named `config`."""
    defined = init.get("configSets")
    if not defined:
        if sets != ["default"]:
            raise cfn_common.Failure(f"No ConfigSet named {sets[0]} exists")
        return ["config"]
    if sets == ["default"] and "default" not in defined and "config" in init:
        return ["config"]
    names = []

    def expand(name, inside):
        if name not in defined:
            raise cfn_common.Failure(f"No ConfigSet named {name} exists")
        if name in inside:
            raise cfn_common.Failure(f"Circular dependency between ConfigSets: {' -> '.join([*inside, name])}")
        items = defined[name]
        for item in items if isinstance(items, list) else [items]:
            if isinstance(item, dict):
                expand(item.get("ConfigSet"), [*inside, name])
            else:
                names.append(item)

    for name in sets:
        expand(name, [])
    return names


def apply(config, authentication):
    """Works off one config."""
    changes = cfn_tools.Changes()
    for section, work in cfn_tools.SECTIONS:
        wanted = config.get(section)
        if wanted:
            logging.debug("Section %s", section)
            work(wanted, changes, authentication)


if __name__ == "__main__":
    cfn_common.run(main)
