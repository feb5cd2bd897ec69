"""`kill -9` at any instant: no acknowledged call is lost, and what was under way ends."""

import os
import pathlib
import random
import signal
import subprocess
import threading

import botocore.exceptions
import pytest

from conftest import Account, World, program, wait_for

ROUNDS = 20


def processes(home):
    """The processes that run the world at `home`: process id by role."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode().split("\0")
            except (OSError, UnicodeDecodeError):
                continue
            if len(words) > 2 and words[0].endswith("zonal") and words[2] == home:
                found[words[1]] = int(entry.name)
    return found


@pytest.fixture
def kept(tmp_path):
    """A virtual world with its state on disk, detached, so that killing its daemon ends nothing of ours."""
    world = World(tmp_path / "home", "--world", "sim", "--detach", "--range", "8", "--speed", "30")
    yield world
    world.end()


def again(world):
    """Starts the killed world, as a user would."""
    done = subprocess.run([program(), "up", "--home", world.home, "--port", str(world.port), "--dns-port", str(world.dns_port),
                           "--world", "sim", "--detach", "--range", "8", "--speed", "30"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_killed_daemon_has_kept_every_call_that_it_answered(kept):
    chance = random.Random(20)
    account = Account(kept)
    answered = set()
    for number in range(ROUNDS):
        dead = threading.Event()

        def call(number=number, dead=dead):
            n = 0
            while not dead.is_set():
                n += 1
                try:
                    answered.add(account.ec2.create_security_group(GroupName=f"g-{number}-{n}", Description="kept")["GroupId"])
                except botocore.exceptions.BotoCoreError:
                    return  # not answered: it may have happened or not

        caller = threading.Thread(target=call)
        caller.start()
        dead.wait(chance.uniform(0.02, 0.2))
        os.kill(processes(kept.home)["daemon"], signal.SIGKILL)
        caller.join(30)
        dead.set()
        again(kept)
        there = {group["GroupId"] for page in account.ec2.get_paginator("describe_security_groups").paginate()
                 for group in page["SecurityGroups"]}
        assert answered <= there, f"lost: {answered - there}"
    assert len(answered) > ROUNDS


def test_a_stack_ends_complete_or_rolled_back_however_often_its_daemon_is_killed(kept):
    chance = random.Random(8)
    account = Account(kept)
    template = (pathlib.Path(__file__).parents[1] / "cases/whatsthetime/phase-6.yaml").read_text()
    account.cloudformation.create_stack(StackName="clock", TemplateBody=template)
    for _ in range(5):
        threading.Event().wait(chance.uniform(0.0, 0.05))
        os.kill(processes(kept.home)["daemon"], signal.SIGKILL)
        again(kept)
    status = lambda: account.cloudformation.describe_stacks(StackName="clock")["Stacks"][0]["StackStatus"]
    wait_for("the stack's end", lambda: status() in ("CREATE_COMPLETE", "ROLLBACK_COMPLETE"), 120)
    if status() == "CREATE_COMPLETE":
        (group,) = account.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
        wait_for("the group at its size", lambda: len([instance for instance in account.autoscaling.describe_auto_scaling_groups(
            AutoScalingGroupNames=[group["AutoScalingGroupName"]])["AutoScalingGroups"][0]["Instances"]
            if instance["LifecycleState"] == "InService"]) == group["DesiredCapacity"], 60)
