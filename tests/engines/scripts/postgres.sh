# What the scripts that start PostgreSQL share.

compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || install /usr/lib/postgresql postgresql
programs=$(compgen -G '/usr/lib/postgresql/*/bin' | sort -V | tail -n 1)
pids=()

init() { # node: the data of a new server
    mkdir "$folder/$1" && chown_to postgres "$folder/$1"
    run_as postgres "$programs/initdb" --auth trust --username postgres --no-sync --pgdata "$folder/$1" >"$folder/init" 2>&1 ||
        { cat "$folder/init" >&2; exit 1; }
}
start() { # node, options
    start_as postgres "$folder/$1.log" "$programs/postgres" -D "$folder/$1" -p "${ports[$1]}" \
        -c listen_addresses=127.0.0.1 -c unix_socket_directories= "${@:2}"
    pids[$1]=$pid
    wait_until "PostgreSQL $1 answers" 30 "$programs/pg_isready" -q -h 127.0.0.1 -p "${ports[$1]}"
}
sql() { psql -qAtX -h 127.0.0.1 -p "${ports[$1]}" -U postgres -v ON_ERROR_STOP=1 -c "${*:2}" postgres; } # node, a statement
kill_node() { kill_tree "${pids[$1]}"; }                                               # node
