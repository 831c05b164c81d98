# Keeps a private server, whose command follows, for as long as standard input stays open. The process that wants the
# server holds the other end, so that the server ends with it, however it ends: a clean end, a panic and a SIGKILL all
# close the pipe. What comes through the pipe are the words `start`, `stop` and `kill`; each is answered by a line when
# done, and so is the first start. Needs to lead a process group of its own.
# Takes: FOLDER; END, the signal that stops the server; PID_FILE of the process to kill, unless it is the server; EPMD, a script
# that starts one, or nothing.

# Told to end, `read` is interrupted, and what follows it is done. The servers have their own ideas of it.
trap : TERM
PID_FILE=${PID_FILE:-$FOLDER/server.pid}
exec 3<&0 </dev/null 4>&1 >>"$FOLDER/console.log" 2>&1

# In the foreground and in our group. Left to itself, Erlang would start one as a daemon that stays behind.
if [ -n "$EPMD" ]; then "$EPMD" 3<&- 4>&- & fi

run() {
    rm -f "$PID_FILE" "$FOLDER/server.pid"
    : >"$FOLDER/running"
    {
        "$@" &
        echo $! >"$FOLDER/server.pid"
        wait $!
        rm -f "$FOLDER/running"
    } 3<&- 4>&- &
    watcher=$!
    until [ -s "$FOLDER/server.pid" ]; do sleep 0.05; done
}

# The server, and the script that has started it. Not all files of pids end with a newline, and a server that shuts down
# removes its own.
pids() { echo "$(cat "$PID_FILE") $(cat "$FOLDER/server.pid")"; }

# Does something to the server, and waits until it is gone. A server may outlive the script that has started it, and
# would go on in its folder. A signal to us ends a `wait` early.
end() {
    served=$(pids)
    "$@"
    while kill -0 "$watcher" 2>/dev/null; do wait "$watcher"; done
    for pid in $served; do
        while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
    done
}

run "$@"
echo start >&4
while read -r word <&3; do
    case $word in
    start) run "$@" ;;
    stop) end kill -"$END" "$(cat "$FOLDER/server.pid")" ;;
    kill) end kill -KILL "$(cat "$PID_FILE")" ;;
    esac
    echo "$word" >&4
done

# Whatever hangs is killed in the end: first the server, so that its folder still goes.
last=$(pids)
{
    sleep 8
    kill -KILL $last
    sleep 5
    kill -KILL 0
} &
if [ -e "$FOLDER/running" ]; then end kill -"$END" "$(cat "$FOLDER/server.pid")"; fi
rm -rf "$FOLDER"
kill -KILL 0
