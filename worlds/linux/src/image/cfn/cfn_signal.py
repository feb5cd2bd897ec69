#!/usr/bin/python3
"""cfn-signal, where Amazon Linux has it: tells CloudFormation how the set-up of an instance went, by SignalResource or by the URL of a
wait condition handle.

The flags are those of the CloudFormation helper scripts reference.
"""

import argparse
import json
import urllib.request

import cfn_common


def main():
    # Its own flags, not the common ones: `-s` and `-r` mean something else here.
    arguments = argparse.ArgumentParser(prog="cfn-signal")
    outcome = arguments.add_mutually_exclusive_group()
    outcome.add_argument("-s", "--success", choices=("true", "false"), default="true", help="whether the set-up succeeded")
    outcome.add_argument("-e", "--exit-code", type=int, help="the exit code of the set-up: 0 is success")
    arguments.add_argument("--stack", help="the stack's name or id")
    arguments.add_argument("--resource", help="the logical id of the resource that waits")
    arguments.add_argument("--region", help="default: the instance's own")
    arguments.add_argument("-i", "--id", help="what is signalled for; default: the instance's id")
    arguments.add_argument("-r", "--reason", help="why, for a wait condition")
    arguments.add_argument("-d", "--data", default="", help="what the wait condition's Data gives")
    arguments.add_argument("--url", help="CloudFormation's endpoint")
    for unused in ("--role",), ("-f", "--credential-file"), ("--access-key",), ("--secret-key",), ("--http-proxy",), ("--https-proxy",):
        arguments.add_argument(*unused, help=argparse.SUPPRESS)
    arguments.add_argument("handle", nargs="?", help="the URL of a wait condition handle")
    given = arguments.parse_args()
    if bool(given.handle) == bool(given.stack and given.resource):
        arguments.error("either a wait condition handle's URL, or --stack and --resource are needed")
    succeeded = given.exit_code == 0 if given.exit_code is not None else given.success == "true"
    status = "SUCCESS" if succeeded else "FAILURE"
    sender = given.id or cfn_common.identity()["instanceId"]
    if given.handle:
        reason = given.reason or ("Configuration Complete" if succeeded else "Configuration failed")
        body = json.dumps({"Status": status, "Reason": reason, "UniqueId": sender, "Data": given.data})
        cfn_common.request(urllib.request.Request(given.handle, body.encode(), {"Content-Type": ""}, method="PUT"))
    else:
        members = {"StackName": given.stack, "LogicalResourceId": given.resource, "UniqueId": sender, "Status": status}
        cfn_common.call("SignalResource", members, given.region, given.url)


if __name__ == "__main__":
    cfn_common.run(main)
