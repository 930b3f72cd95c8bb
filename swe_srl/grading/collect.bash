# Sourced by the grading scripts. Runs in the sandbox.

# collect LOG COMMAND…: runs the command without input; its output, and its children's, goes through a pipe into LOG (bounded).
# Returns the command's exit status. Children left behind that hold the pipe open get two more seconds.
collect() {
    local log=$1 pipe=$1.pipe reader status tries
    shift
    mkfifo -m 600 "$pipe"
    { (ulimit -f 65536; exec cat >"$log"); cat >/dev/null; } <"$pipe" & # `cat` writes at once; `head -c` would not
    reader=$!
    "$@" >"$pipe" 2>&1 </dev/null
    status=$?
    for tries in {1..200}; do
        kill -0 "$reader" 2>/dev/null || break
        sleep 0.01
    done
    kill "$reader" 2>/dev/null
    rm -f "$pipe"
    return "$status"
}

# apply_patch FILE: swebench's attempts, in its order; a failed attempt's traces are removed before the next.
apply_patch() {
    local attempt first=1
    for attempt in 'git apply --verbose' 'git apply --verbose --3way' 'git apply --verbose --reject' \
        'patch --batch --forward --fuzz=5 -p1 -i'; do
        if [ -z "$first" ]; then
            git checkout -- .
            git clean -fd
        fi
        first=
        echo "+ $attempt"
        if $attempt "$1"; then return 0; fi
    done
    git apply --check --reverse "$1"
}
