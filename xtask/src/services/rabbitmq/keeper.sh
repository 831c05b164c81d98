# Runs a private broker for as long as standard input stays open. The other end of it is held by xtask, so that the
# broker ends with it, however it ends: a clean end, a panic and a SIGKILL all close the pipe.
# Needs to lead a process group of its own. Takes: SERVER, EPMD, FOLDER.

stopping=
trap 'stopping=yes' TERM
exec 3<&0 </dev/null

# In the foreground and in our group. Left to itself, Erlang would start one as a daemon that stays behind.
"$EPMD" -address 127.0.0.1 -port "$ERL_EPMD_PORT" 3<&- &
"$SERVER" 3<&- &
server=$!

{
    trap '' TERM
    read -r _ <&3
    kill -TERM $$ "$server"
    sleep 10
    kill -KILL 0
} &

# A signal ends a `wait` early.
while kill -0 "$server" 2>/dev/null; do wait "$server"; done
# A broker that died by itself leaves its log for xtask to show.
if [ -n "$stopping" ]; then rm -rf "$FOLDER"; fi
kill -KILL 0
