#!/bin/sh
# dnf, yum and amazon-linux-extras in front of apt: user data written for Amazon Linux names them, and the base image is made of Debian
# packages. It translates the names of packages that differ, and makes what comes of them look as it does there: units, users, places. It
# is no RPM: RPM files, other repositories, groups and modules are refused.

me=${0##*/}
say() { [ -n "$quiet" ] || echo "$*"; }
die() { echo "$me: $*" >&2; exit 1; }

# The Debian names of one package.
translate() {
    case $1 in
    *.rpm | *://*) die "RPM files can't be installed here: this system is made of Debian packages" ;;
    httpd) echo apache2 ;;
    httpd-tools) echo apache2-utils ;;
    mod_ssl) echo apache2 ;;
    nginx | nginx1) echo nginx-light ;;
    php[0-9]*-*) translate "php-${1#*-}" ;;
    php | php[0-9]*) echo php-cli libapache2-mod-php ;;
    php-mysqlnd | php-mysql | php-pdo) echo php-mysql ;;
    php-pgsql) echo php-pgsql ;;
    php-json | php-common | php-process) echo php-common ;;
    php-pecl-redis* | php-redis) echo php-redis ;;
    php-pecl-memcached) echo php-memcached ;;
    mariadb*-server | mysql*-server) echo mariadb-server ;;
    mariadb | mariadb1* | mysql | mysql8*) echo mariadb-client ;;
    postgresql1*-server | postgresql-server) echo postgresql ;;
    postgresql1*) echo postgresql-client ;;
    redis | redis[0-9]*) echo redis-server ;;
    amazon-efs-utils | nfs-utils) echo nfs-common ;;
    java-*amazon-corretto* | java-*openjdk*) echo default-jre-headless ;;
    python3-devel) echo python3-dev ;;
    *-devel) echo "lib${1%-devel}-dev" ;;
    docker) echo docker.io ;;
    bind-utils) echo bind9-dnsutils ;;
    nmap-ncat | nc) echo ncat ;;
    procps-ng) echo procps ;;
    iproute | iproute-tc) echo iproute2 ;;
    iputils) echo iputils-ping ;;
    vim-enhanced | vim-minimal) echo vim-tiny ;;
    openssh-clients) echo openssh-client ;;
    gcc-c++) echo g++ ;;
    cronie) echo cron ;;
    # Its scripts are there from the start.
    aws-cfn-bootstrap) ;;
    *) echo "$1" ;;
    esac
}

# A unit's name there for the unit that there is.
alias_unit() {
    for at in /lib/systemd/system /usr/lib/systemd/system; do
        [ -e "$at/$2" ] && mkdir -p /etc/systemd/system && ln -sfn "$at/$2" "/etc/systemd/system/$1" && return
    done
    return 0
}

# What a package looks like on Amazon Linux. Called after it was installed.
settle() {
    case $1 in
    httpd)
        alias_unit httpd.service apache2.service
        getent group apache >/dev/null || groupadd --non-unique --gid 33 apache
        getent passwd apache >/dev/null || useradd --non-unique --uid 33 --gid 33 --home-dir /usr/share/httpd --no-create-home --shell /usr/sbin/nologin apache 2>/dev/null
        mkdir -p /etc/httpd/conf
        [ -e /etc/httpd/conf.d ] || ln -s /etc/apache2/conf-enabled /etc/httpd/conf.d
        [ -e /etc/httpd/conf/httpd.conf ] || ln -s /etc/apache2/apache2.conf /etc/httpd/conf/httpd.conf
        [ -e /var/log/httpd ] || ln -s /var/log/apache2 /var/log/httpd
        # There the directory is empty, and a test page is shown as long as it is.
        if grep -qs "Apache2 Debian Default Page" /var/www/html/index.html; then rm /var/www/html/index.html; fi
        ;;
    nginx | nginx1)
        mkdir -p /etc/nginx/default.d /usr/share/nginx/html
        # The site that is there from the start, if nobody has made it his own.
        if [ -L /etc/nginx/sites-enabled/default ]; then
            rm /etc/nginx/sites-enabled/default
            cat >/etc/nginx/sites-enabled/default <<'SITE'
server {
    listen 80 default_server;
    server_name _;
    root /usr/share/nginx/html;
    include /etc/nginx/default.d/*.conf;
}
SITE
        fi
        ;;
    php-fpm | php[0-9]*-fpm)
        for unit in /lib/systemd/system/php*-fpm.service; do
            [ -e "$unit" ] && alias_unit php-fpm.service "${unit##*/}"
        done
        ;;
    redis | redis[0-9]*) alias_unit "$1.service" redis-server.service ;;
    cronie) alias_unit crond.service cron.service ;;
    esac
}

# What was asked for. Options that choose repositories or detail have nothing to choose here.
quiet= command= wanted= skip=
for word in "$@"; do
    if [ -n "$skip" ]; then skip=; continue; fi
    case $word in
    -q | --quiet) quiet=1 ;;
    -d | -e | -c | -x | --enablerepo | --disablerepo | --setopt | --releasever) skip=1 ;;
    -*) ;;
    *) if [ -z "$command" ]; then command=$word; else wanted="$wanted $word"; fi ;;
    esac
done

export DEBIAN_FRONTEND=noninteractive LC_ALL=C
[ "$(id -u)" = 0 ] || case $command in
install | reinstall | localinstall | remove | erase | autoremove | update | upgrade) die "This command has to be run with superuser privileges (under the root user on most systems)." ;;
esac

refresh() {
    # Once an hour is enough for lists that are the machine's own.
    [ -n "$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -mmin -60 2>/dev/null)" ] || apt-get update -q >/dev/null ||
        die "the lists of packages can't be had: is there a route to a gateway?"
}

# Services are started by who asks for it, not by being installed.
without_starting() {
    [ -e /usr/sbin/policy-rc.d ] && { "$@"; return; }
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT INT TERM
    "$@"
    done=$?
    rm -f /usr/sbin/policy-rc.d
    return $done
}

install() {
    [ -n "$wanted" ] || die "Error: Need to pass a list of pkgs to install"
    names=
    for package in $wanted; do
        translated=$(translate "$package") || exit 1
        names="$names $translated"
    done
    refresh
    log=$(mktemp)
    # shellcheck disable=SC2086
    if ! without_starting apt-get install -y -q --no-install-recommends "$@" $names </dev/null >"$log" 2>&1; then
        cat "$log" >&2
        missing=$(sed -n 's/^E: Unable to locate package //p' "$log" | head -1)
        rm -f "$log"
        [ -z "$missing" ] || die "No match for argument: $missing"
        exit 1
    fi
    [ -n "$quiet" ] || grep '^Setting up' "$log" || say "Nothing to do."
    rm -f "$log"
    for package in $wanted; do settle "$package"; done
    say "Complete!"
}

case $command in
install | localinstall) install ;;
reinstall) install --reinstall ;;
remove | erase)
    names=
    for package in $wanted; do names="$names $(translate "$package")"; done
    # shellcheck disable=SC2086
    apt-get remove -y -q $names </dev/null && say "Complete!"
    ;;
autoremove) apt-get autoremove -y -q </dev/null && say "Complete!" ;;
update | upgrade)
    # Amazon Linux 2023 is fixed to a release: without a newer one being named, there is nothing to update.
    if [ -n "$wanted" ]; then install --only-upgrade; else refresh; say "Nothing to do."; say "Complete!"; fi
    ;;
check-update) refresh ;;
makecache) refresh && say "Metadata cache created." ;;
clean) apt-get clean ;;
list) dpkg-query --show --showformat '${Package}.${Architecture}\t${Version}\n' ;;
info) for package in $wanted; do apt-cache show "$(translate "$package" | cut -d' ' -f1)"; done ;;
search) refresh && for word in $wanted; do apt-cache search "$word"; done ;;
repolist) echo "repo id   repo name"; echo "zonal     What this machine's package manager offers" ;;
enable) ;;
--version | "") echo "$me: a front to apt (Zonal)" ;;
*) die "No such command: $command (this is a front to apt that knows install, remove, update, list, info, search, makecache, clean)" ;;
esac
