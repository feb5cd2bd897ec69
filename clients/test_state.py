"""State that earlier versions stored: clients/state/VERSION.sql is the database of a world whose phase-6 stack was complete, as text
(`sqlite3.Connection.iterdump`). A file is added with each version and never changed."""

import pathlib
import sqlite3

import pytest

from conftest import Account, World, wait_for

STATES = sorted(pathlib.Path(__file__).with_name("state").glob("*.sql"))


@pytest.mark.parametrize("state", STATES, ids=lambda path: path.stem)
def test_a_state_of_an_earlier_version_is_taken_over_and_goes_on(state, tmp_path):
    home = tmp_path / "home"
    (home / "daemon").mkdir(parents=True)
    with sqlite3.connect(home / "daemon/state.sqlite") as database:
        database.executescript(state.read_text())
    database.close()
    world = World(home, "--world", "sim")
    try:
        there = Account(world)
        there.id = "test"  # Its account is the default one.
        stack = lambda: there.cloudformation.describe_stacks(StackName="whatsthetime")["Stacks"][0]
        assert stack()["StackStatus"] == "CREATE_COMPLETE"
        (group,) = there.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
        assert group["DesiredCapacity"] == len(group["Instances"]) == 2
        ids = [instance["InstanceId"] for instance in group["Instances"]]
        there.ec2.get_waiter("instance_running").wait(InstanceIds=ids)
        (targets,) = there.elbv2.describe_target_groups()["TargetGroups"]
        health = lambda: there.elbv2.describe_target_health(TargetGroupArn=targets["TargetGroupArn"])["TargetHealthDescriptions"]
        wait_for("both are healthy again", lambda: [each["TargetHealth"]["State"] for each in health()] == ["healthy"] * 2, 90)
        there.cloudformation.delete_stack(StackName="whatsthetime")
        there.cloudformation.get_waiter("stack_delete_complete").wait(StackName="whatsthetime")
        assert there.ec2.describe_instances(InstanceIds=ids)["Reservations"][0]["Instances"][0]["State"]["Name"] == "terminated"
    finally:
        world.end()
