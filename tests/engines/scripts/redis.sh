# What the scripts that start Redis share.

program=${KNOX_TEST_REDIS_SERVER:-redis-server}
install "$program" redis-server
install redis-cli redis-tools
pids=()

cli() { redis-cli -p "${ports[$1]}" "${@:2}"; } # node, a command
expect_ok() { # a command that says OK if all went well
    local answer
    answer=$("$@")
    [ "$answer" = OK ] || { echo "$answer"; return 1; }
}
start() { # node, options
    start_as root "$folder/$1.log" "$program" --bind 127.0.0.1 --port "${ports[$1]}" --dir "$folder/$1" "${@:2}"
    pids[$1]=$pid
    wait_until "node $1 answers" 20 cli "$1" ping
}
kill_node() { kill_tree "${pids[$1]}"; } # node
