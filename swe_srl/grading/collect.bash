# Sourced by the grading scripts. Runs in the sandbox.

# collect LOG COMMAND…: runs the command without input; its output, and its children's, goes through a pipe into LOG (bounded).
# Returns the command's exit status. Children left behind that hold the pipe open get two more seconds.
collect() {
    local log=$1 pipe=$1.pipe reader status tries
    shift
    mkfifo -m 600 "$pipe"
    { head -c 67108864 >"$log"; cat >/dev/null; } <"$pipe" &
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

# as_tester COMMAND…: as a user who can read the repository and add files to it, but change or remove none that is there;
# as the present user where the sandbox cannot switch users. Says on descriptor 9 which of the two it was.
as_tester() {
    local drop=(setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --) home
    if [ "$(id -u)" != 0 ] || ! "${drop[@]}" true 2>/dev/null; then
        echo same >&9
        "$@" 9>&-
        return
    fi
    echo separate >&9
    home=$(mktemp -d)
    chmod 1777 "$home"
    find . -path ./.git -prune -o -type d -exec chmod 1777 {} +
    HOME=$home GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*' "${drop[@]}" "$@" 9>&-
}
