"""Systems Manager's Parameter Store: one's own parameters, and AWS's public ones."""

from conftest import AL2023


def test_public_names_lead_to_images(account):
    image = account.image()
    (shown,) = account.ec2.describe_images(ImageIds=[image])["Images"]
    assert shown["State"] == "available" and shown["ImageOwnerAlias"] == "amazon"
    found = account.ssm.get_parameters(Names=[AL2023, "/aws/service/none-such"])
    assert [parameter["Name"] for parameter in found["Parameters"]] == [AL2023]
    assert found["InvalidParameters"] == ["/aws/service/none-such"]


def test_a_parameter_is_put_versioned_and_deleted(account, refused):
    ssm = account.ssm
    assert ssm.put_parameter(Name="/shop/db", Value="one", Type="String")["Version"] == 1
    with refused("ParameterAlreadyExists"):
        ssm.put_parameter(Name="/shop/db", Value="two", Type="String")
    assert ssm.put_parameter(Name="/shop/db", Value="two", Overwrite=True)["Version"] == 2
    parameter = ssm.get_parameter(Name="/shop/db")["Parameter"]
    assert (parameter["Value"], parameter["Version"], parameter["Type"]) == ("two", 2, "String")
    assert parameter["ARN"] == f"arn:aws:ssm:us-east-1:{account.id}:parameter/shop/db"
    ssm.put_parameter(Name="/shop/cache", Value="a,b", Type="StringList")
    by_path = ssm.get_parameters_by_path(Path="/shop")["Parameters"]
    assert {found["Name"] for found in by_path} == {"/shop/db", "/shop/cache"}
    ssm.delete_parameter(Name="/shop/db")
    with refused("ParameterNotFound"):
        ssm.get_parameter(Name="/shop/db")


def test_a_secret_is_shown_to_those_who_ask_for_its_decryption(account, refused):
    ssm = account.ssm
    ssm.put_parameter(Name="/shop/password", Value="hunter2", Type="SecureString")
    assert "hunter2" not in ssm.get_parameter(Name="/shop/password")["Parameter"]["Value"]
    shown = ssm.get_parameter(Name="/shop/password", WithDecryption=True)["Parameter"]
    assert (shown["Value"], shown["Type"]) == ("hunter2", "SecureString")
    (described,) = ssm.describe_parameters()["Parameters"]
    assert described["KeyId"] == "alias/aws/ssm"
    with refused("InvalidKeyId"):
        ssm.put_parameter(Name="/shop/other", Value="x", Type="SecureString", KeyId="alias/mine")


KEY_PAIR = """
Resources:
  Key: {Type: "AWS::EC2::KeyPair", Properties: {KeyName: web, KeyType: ed25519}}
Outputs:
  Id: {Value: !GetAtt Key.KeyPairId}
"""


def test_a_templates_key_pair_has_its_private_half_in_a_secret_that_goes_with_it(account, refused):
    account.cloudformation.create_stack(StackName="keys", TemplateBody=KEY_PAIR)
    account.cloudformation.get_waiter("stack_create_complete").wait(StackName="keys")
    (output,) = account.cloudformation.describe_stacks(StackName="keys")["Stacks"][0]["Outputs"]
    name = f"/ec2/keypair/{output['OutputValue']}"
    secret = account.ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]
    assert secret["Type"] == "SecureString" and "PRIVATE KEY" in secret["Value"]
    account.cloudformation.delete_stack(StackName="keys")
    account.cloudformation.get_waiter("stack_delete_complete").wait(StackName="keys")
    with refused("ParameterNotFound"):
        account.ssm.get_parameter(Name=name)
