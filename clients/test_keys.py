"""Key pairs, judged by OpenSSH, OpenSSL and PuTTY."""

import hashlib
import shutil
import subprocess

import pytest


def tool(*arguments, data=None):
    done = subprocess.run(arguments, input=data, capture_output=True, timeout=30)
    assert done.returncode == 0, f"{arguments}: {done.stderr.decode()}"
    return done.stdout


def saved(tmp_path, material):
    path = tmp_path / "key.pem"
    path.write_text(material + "\n")
    path.chmod(0o600)
    return str(path)


def colons(digest):
    return ":".join(f"{byte:02x}" for byte in digest)


def public_key(account, name):
    pair = account.ec2.describe_key_pairs(KeyNames=[name], IncludePublicKey=True)["KeyPairs"][0]
    return pair, pair["PublicKey"].split()[:2]


def test_an_rsa_key_that_aws_made_is_openssls_with_the_sha1_of_its_private_half(account, tmp_path, refused):
    made = account.ec2.create_key_pair(KeyName="rsa")
    path = saved(tmp_path, made["KeyMaterial"])
    assert made["KeyMaterial"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    pair, public = public_key(account, "rsa")
    assert tool("ssh-keygen", "-y", "-f", path).decode().split()[:2] == public
    assert b"RSA key ok" in tool("openssl", "rsa", "-check", "-noout", "-in", path)
    assert "(2048 bit" in tool("openssl", "rsa", "-text", "-noout", "-in", path).decode()
    private = tool("openssl", "pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in", path)
    assert pair["KeyFingerprint"] == made["KeyFingerprint"] == colons(hashlib.sha1(private).digest())
    assert "KeyMaterial" not in pair and pair["KeyPairId"] == made["KeyPairId"]
    with refused("InvalidKeyPair.Duplicate"):
        account.ec2.create_key_pair(KeyName="rsa")


def test_an_ed25519_key_is_opensshs_with_its_fingerprint(account, tmp_path):
    made = account.ec2.create_key_pair(KeyName="ed", KeyType="ed25519")
    path = saved(tmp_path, made["KeyMaterial"])
    _, public = public_key(account, "ed")
    assert tool("ssh-keygen", "-y", "-f", path).decode().split()[:2] == public
    # OpenSSH's, as AWS writes it: padded base64.
    assert made["KeyFingerprint"].endswith("=")
    assert f"SHA256:{made['KeyFingerprint'].rstrip('=')} " in tool("ssh-keygen", "-l", "-f", path).decode()


def test_an_imported_rsa_key_has_the_md5_of_its_public_half(account, tmp_path):
    path = str(tmp_path / "own")
    tool("ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f", path)
    imported = account.ec2.import_key_pair(KeyName="own", PublicKeyMaterial=open(path + ".pub", "rb").read())
    public = tool("openssl", "rsa", "-in", path, "-pubout", "-outform", "DER")
    assert imported["KeyFingerprint"] == colons(hashlib.md5(public).digest())


@pytest.mark.skipif(not shutil.which("puttygen"), reason="putty-tools is not installed")
@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_key_in_puttys_format_is_puttys(account, tmp_path, kind):
    made = account.ec2.create_key_pair(KeyName="windows user", KeyType=kind, KeyFormat="ppk")
    path = str(tmp_path / "key.ppk")
    with open(path, "w") as file:
        file.write(made["KeyMaterial"] + "\n")
    pair, public = public_key(account, "windows user")
    # puttygen checks the file's own sum, then that the halves belong together.
    assert tool("puttygen", path, "-L").decode().split() == [*public, "windows", "user"]
    private = str(tmp_path / "key.pem")
    tool("puttygen", path, "-O", "private-openssh", "-o", private)
    assert tool("ssh-keygen", "-y", "-f", private).decode().split()[:2] == public
    if kind == "rsa":
        der = tool("openssl", "pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in", private)
        assert pair["KeyFingerprint"] == made["KeyFingerprint"] == colons(hashlib.sha1(der).digest())
