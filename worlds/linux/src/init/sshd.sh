# What an sshd needs, seen to when the first client comes. What is printed goes to the console.
umask 022
if [ ! -x /usr/sbin/sshd ]; then
    echo "sshd: the image has none; installing it"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update && apt-get install -y --no-install-recommends openssh-server sudo; } >/var/log/sshd-install.log 2>&1 || {
        tail -n 3 /var/log/sshd-install.log
        exit 1
    }
fi
mkdir -p /run/sshd
made=
# The kinds that Amazon Linux has.
for kind in ecdsa ed25519; do
    file=/etc/ssh/ssh_host_${kind}_key
    [ -s $file ] && continue
    rm -f $file $file.pub
    ssh-keygen -q -t $kind -N '' -f $file || exit 1
    made=1
done
[ -n "$made" ] || exit 0
# As cloud-init prints them, for who compares them with what ssh shows.
{
    echo "#############################################################"
    echo "-----BEGIN SSH HOST KEY FINGERPRINTS-----"
    for file in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -l -f $file; done
    echo "-----END SSH HOST KEY FINGERPRINTS-----"
    echo "#############################################################"
    echo "-----BEGIN SSH HOST KEY KEYS-----"
    cat /etc/ssh/ssh_host_*_key.pub
    echo "-----END SSH HOST KEY KEYS-----"
} >/run/sshd.keys
cat /run/sshd.keys
rm -f /run/sshd.keys
exit 0
