# Keeps a private broker for as long as standard input stays open. The other end of it is held by the process that
# wants the broker, so that the broker ends with it, however it ends: a clean end, a panic and a SIGKILL all close the
# pipe. What comes through the pipe are the words `start`, `stop` and `kill`; each is answered by a line when done.
# Needs to lead a process group of its own. Takes: SERVER, EPMD, FOLDER, RABBITMQ_PID_FILE.

# Told to end, `read` is interrupted, and what follows it is done. The servers have their own ideas of it.
trap : TERM
exec 3<&0 </dev/null 4>&1 >>"$FOLDER/console.log" 2>&1

# In the foreground and in our group. Left to itself, Erlang would start one as a daemon that stays behind.
"$EPMD" -address 127.0.0.1 -port "$ERL_EPMD_PORT" 3<&- 4>&- &

run() {
    rm -f "$RABBITMQ_PID_FILE"
    : >"$FOLDER/running"
    {
        "$SERVER" &
        echo $! >"$FOLDER/server.pid"
        wait $!
        rm -f "$FOLDER/running"
    } 3<&- 4>&- &
    watcher=$!
}

# A signal to us ends a `wait` early.
gone() {
    while kill -0 "$watcher" 2>/dev/null; do wait "$watcher"; done
}

while read -r word <&3; do
    case $word in
    start) run ;;
    stop)
        kill -TERM "$(cat "$FOLDER/server.pid")"
        gone
        ;;
    kill)
        kill -KILL "$(cat "$RABBITMQ_PID_FILE")"
        gone
        ;;
    esac
    echo "$word" >&4
done

# Whatever hangs is killed in the end.
{
    sleep 10
    kill -KILL 0
} &
if [ -e "$FOLDER/running" ]; then
    kill -TERM "$(cat "$FOLDER/server.pid")"
    gone
fi
rm -rf "$FOLDER"
kill -KILL 0
