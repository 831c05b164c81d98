# Runs a private database server, whose command follows, for as long as standard input stays open. The other end of it is
# held by xtask, so that the server ends with it, however it ends: a clean end, a panic and a SIGKILL all close the pipe.
# Needs to lead a process group of its own. Takes: FOLDER, END (the signal that ends the server).

stopping=
trap 'stopping=yes' TERM
exec 3<&0 </dev/null

"$@" 3<&- &
server=$!

{
    trap '' TERM
    read -r _ <&3
    kill -TERM $$
    kill -"$END" "$server"
    sleep 10
    kill -KILL 0
} &

# A signal ends a `wait` early.
while kill -0 "$server" 2>/dev/null; do wait "$server"; done
# A server that died by itself leaves its log for xtask to show.
if [ -n "$stopping" ]; then rm -rf "$FOLDER"; fi
kill -KILL 0
