#!/usr/bin/python3
"""cfn-hup, where Amazon Linux has it: looks at resources' metadata every so often, and runs the actions of hooks that are triggered by a
change of it.

Reference: "cfn-hup": the files, their members, and what an action's environment has.
"""

import argparse
import configparser
import glob
import json
import logging
import os
import subprocess
import sys
import time

import cfn_common
import cfn_get_metadata

KEPT = "/var/lib/cfn-hup/data/metadata_db.json"
LOG = "/var/log/cfn-hup.log"
TRIGGERS = {"post.add", "post.update", "post.remove"}


def main():
    arguments = argparse.ArgumentParser(prog="cfn-hup")
    arguments.add_argument("-c", "--config", default="/etc/cfn", help="the directory of cfn-hup.conf and hooks.conf")
    arguments.add_argument("--no-daemon", action="store_true", help="look once, and end")
    arguments.add_argument("-v", "--verbose", action="store_true", help="more in the log")
    given = arguments.parse_args()
    settings = configparser.ConfigParser(interpolation=None)
    if not settings.read(os.path.join(given.config, "cfn-hup.conf")) or not settings.has_option("main", "stack"):
        raise cfn_common.Failure(f"{given.config}/cfn-hup.conf has no stack in [main]")
    settings = settings["main"]
    cfn_common.log_to(LOG, given.verbose or settings.getboolean("verbose", fallback=False))
    while True:
        try:
            look(settings, hooks(given.config))
        except (cfn_common.Failure, OSError) as failure:
            logging.error("%s", failure)
        if given.no_daemon:
            return
        time.sleep(60 * settings.getfloat("interval", fallback=15))


def hooks(directory):
    """All hooks: of hooks.conf, and of the files in hooks.d."""
    found = {}
    for path in [os.path.join(directory, "hooks.conf"), *sorted(glob.glob(os.path.join(directory, "hooks.d", "*.conf")))]:
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(path)
        for name in parser.sections():
            hook = dict(parser[name])
            triggers = {trigger.strip() for trigger in hook.get("triggers", "").split(",")}
            if not triggers <= TRIGGERS or not hook.get("path", "").startswith("Resources.") or not hook.get("action"):
                raise cfn_common.Failure(f"Hook {name} of {path} needs triggers of {', '.join(sorted(TRIGGERS))}, a path Resources.…, and an action")
            found[name] = {**hook, "triggers": triggers}
    return found


def look(settings, wanted):
    """Compares what is there with what was, and runs the actions of what changed. The first look runs those of `post.add`."""
    try:
        with open(KEPT, encoding="utf-8") as file:
            before = json.load(file)
    except (FileNotFoundError, ValueError):
        before = {}
    now = {}
    for name, hook in wanted.items():
        _, logical_id, *rest = hook["path"].split(".", 2)
        try:
            detail = cfn_common.resource(settings["stack"], logical_id, settings.get("region"))
            now[name] = cfn_get_metadata.value_at(detail, rest[0] if rest else None)
        except cfn_common.Failure as failure:
            if "does not exist" not in str(failure) and "does not contain" not in str(failure):
                raise
            now[name] = None
    for name, hook in wanted.items():
        old, new = before.get(name), now[name]
        if old == new:
            continue
        trigger = "post.add" if old is None else "post.remove" if new is None else "post.update"
        if trigger in hook["triggers"]:
            act(name, hook, {"CFN_OLD_METADATA": old, "CFN_NEW_METADATA": new})
    os.makedirs(os.path.dirname(KEPT), exist_ok=True)
    with open(os.open(KEPT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(now, file)


def act(name, hook, values):
    """Runs a hook's action as its user."""
    environment = {**os.environ, **{key: json.dumps(value) for key, value in values.items()}}
    command = ["/bin/bash", "-c", hook["action"]]
    if hook.get("runas", "root") != "root":
        command = ["runuser", "-u", hook["runas"], "--", *command]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    logging.info("Action of %s ended with %s: %s", name, done.returncode, (done.stdout + done.stderr).strip())


if __name__ == "__main__":
    sys.exit(cfn_common.run(main))
