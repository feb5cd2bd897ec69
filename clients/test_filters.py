"""Every filter that EC2's reference lists is taken by the operation that has it, and none that it does not list."""

import html
import re

from botocore import xform_name

# What the reference lists and is no name: "tag" stands for "tag:KEY" where the two are split by markup.
NO_NAMES = {"tag"}


def documented(model):
    """The filters that an operation's page lists."""
    shape = model.input_shape
    if not shape or "Filters" not in shape.members or shape.required_members:
        return None
    text = html.unescape(shape.members["Filters"].documentation)
    return set(re.findall(r"<code>([a-z][^<:]*)</code> *(?:-|–|:)", text)) - NO_NAMES


def implemented(account, operation, **arguments):
    try:
        getattr(account.ec2, xform_name(operation))(**arguments)
    except account.ec2.exceptions.ClientError as error:
        return error.response["Error"]["Code"] not in ("InvalidAction", "UnknownOperationException")
    return True


def test_every_documented_filter_is_taken_and_no_other(account, refused):
    account.launch()
    account.ec2.allocate_address()
    template = account.ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData={"InstanceType": "t3.micro"})
    checked = 0
    for operation in account.ec2.meta.service_model.operation_names:
        names = documented(account.ec2.meta.service_model.operation_model(operation)) if operation.startswith("Describe") else None
        if not names or not implemented(account, operation):
            continue
        call = getattr(account.ec2, xform_name(operation))
        more = {"LaunchTemplateId": template["LaunchTemplate"]["LaunchTemplateId"]} if "TemplateVersions" in operation else {}
        for name in sorted(names):
            call(Filters=[{"Name": name, "Values": ["nothing has this"]}], **more)
            checked += 1
        with refused("InvalidParameterValue") as refusal:
            call(Filters=[{"Name": "no-such-filter", "Values": ["x"]}], **more)
        assert refusal.message == "The filter 'no-such-filter' is invalid"
    assert checked > 300, "the reference's pages are read"
