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
