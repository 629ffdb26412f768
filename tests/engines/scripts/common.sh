# What the scripts share. Each starts an engine of several processes in a folder of its own, prints `name=value` lines
# and `ready`, does what it reads from its input, a line each, and answers each with its output and `ok` or `failed`.
# It ends with its input, and takes all processes and the folder with it.

set -uo pipefail
folder=$(mktemp -d "${TMPDIR:-/tmp}/knox-$(basename "$0").XXXXXX")
chmod 755 "$folder"

children=()
clean_up() {
    trap - EXIT
    # Its children as well, which PostgreSQL's would wait for.
    local child
    for child in "${children[@]}"; do kill_tree "$child"; done
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 1' INT TERM PIPE

die() { echo "$(basename "$0"): $*" >&2; exit 1; }

install() { # program, packages: installs them if the program is not there
    local program=$1
    shift
    [ ! -e "$program" ] && ! command -v "$program" >/dev/null || return 0
    # One after the other: engines start at the same time, and apt waits for no lock.
    flock /var/lib/apt/lists sh -c \
        'apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null 2>&1' sh "$@" ||
        die "cannot install $*"
}

wait_until() { # what, seconds, a command
    local what=$1 end=$((SECONDS + $2))
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || { echo "$what: not in time" >&2; return 1; }
        sleep 0.1
    done
}

# Scripts that run at the same time take their ports from different hundreds: a port is free until its server is started,
# and another script would find it so. The lock goes with the script and its servers. All are below those that the system
# gives to outgoing connections, also those 10,000 above.
until
    hundred=$((120 + RANDOM % 100))
    { exec {hundred_lock}>"${TMPDIR:-/tmp}/knox-ports-$hundred"; } 2>/dev/null && flock -n "$hundred_lock"
do :; done

declare -A taken
free_ports() { # how many, the distances at which ports must be free as well: sets `ports`
    local count=$1 port distance
    shift
    ports=()
    while [ ${#ports[@]} -lt "$count" ]; do
        port=$((hundred * 100 + RANDOM % 99))
        for distance in 0 "$@"; do
            [ -z "${taken[$((port + distance))]:-}" ] || continue 2
            ! (: </dev/tcp/127.0.0.1/$((port + distance))) 2>/dev/null || continue 2
        done
        for distance in 0 "$@"; do taken[$((port + distance))]=1; done
        ports+=("$port")
    done
}

# Servers die with this script, even if it is killed. Those that do not run as root run as a user of their own.
kill_tree() { # process: kills it and its children, and waits until it is gone
    # The first one comes first, so that no more are born.
    local born
    born=$(cat "/proc/$1/task/$1/children" 2>/dev/null)
    kill -KILL "$1" $born 2>/dev/null
    while kill -0 "$1" 2>/dev/null; do sleep 0.02; done
}

start_as() { # user, log, the command: sets `pid`
    local user=$1 log=$2 as=()
    shift 2
    [ "$(id -u)" != 0 ] || [ "$user" = root ] || as=(--reuid "$user" --regid "$user" --init-groups)
    setpriv "${as[@]}" --pdeathsig KILL "$@" >>"$log" 2>&1 </dev/null &
    pid=$!
    children+=("$pid")
    # Bash is not to say that it was killed.
    disown "$pid"
}

chown_to() { [ "$(id -u)" != 0 ] || chown "$@"; } # user, files

run_as() { # user, the command
    local user=$1
    shift
    if [ "$(id -u)" != 0 ] || [ "$user" = root ]; then "$@"; else setpriv --reuid "$user" --regid "$user" --init-groups "$@"; fi
}

serve() { # runs each line of the input as a function of this script
    echo ready
    local words
    while read -r -a words; do
        if "${words[@]}" 2>&1; then echo ok; else echo failed; fi
    done
}
