# The supervisor: the first shell inside a sandbox. It stays between the host and the worker (worker.bash) and never runs a
# command in itself. It reads messages from its standard input and reports on its standard error (descriptor 191). A message is
# a letter, two digits and eight digits (the lengths in bytes of two parts), and the parts:
#   C sink command   forward to the worker, with the nonce (32 bytes) that follows
#   E sink command   the same, with escapes in the command
#   H sink script    run in a clean subshell; the nonce follows, too
#   F nonce          write the nonce to the sink of the last command
#   P                say so when both the worker and the subshell that waits for it are gone
#   W                start a new worker
#   K                kill every other process, then start a new worker
# In relay mode (containers) the sink is a mark instead: the supervisor writes it to its standard output (descriptor 193), then
# relays there what comes through a pipe that this command alone writes to. There it first waits for a byte: what it said before
# the engine's client has read the head of the engine's answer could stay in that client's buffer.
# Variables set by the host: supervisor (this script), worker (a script), relay (0 or 1), limits (arguments of ulimit), workdir.
exec 190<&0 191>&2 193>&1 </dev/null >/dev/null 2>&1
unset supervisor TMOUT FUNCNEST # an image's, which would end `read` and functions here
((relay)) && { read -r -N 1 -u 190 || exit 110; }
bash_env=${BASH_ENV-} # an image's: for the commands, and the programs that they start
unset BASH_ENV
export -n worker relay limits workdir bash_env
[[ -z $limits ]] || ulimit $limits 2>&191 || exit 110
((relay)) && kill -9 -- -1
trap : PIPE INT TERM HUP QUIT USR1 USR2 ALRM
pipe= next_pipe= relay_pid= sink= settled=
locale=$LC_ALL
export -n LC_ALL
LC_ALL=C # lengths are in bytes

close_descriptors() {
  exec 190<&- 193>&- 194>&-
  [[ -z $pipe ]] || exec {pipe}>&-
  [[ -z $next_pipe ]] || exec {next_pipe}>&-
}

# An image's exported functions that have the names of what the worker uses go first: in posix mode `unset` comes before any. On
# one line, as the worker's script.
begin='__swe_options=:$BASHOPTS:$SHELLOPTS:; [[ $__swe_options == *:posix:* ]] || POSIXLY_CORRECT=1;'
begin+='unset -f builtin enable eval exec exit export kill mapfile printf pwd read readonly return set shopt trap unset;'
begin+='[[ $__swe_options == *:posix:* ]] || unset POSIXLY_CORRECT;'
begin+='[[ $__swe_options == *:inherit_errexit:* ]] || shopt -u inherit_errexit 2>/dev/null; eval "$worker"'

start_worker() {
  exec 194> >(
    close_descriptors
    cd -- "$workdir" || cd /
    LC_ALL=$locale worker=$worker bash_env=$bash_env /bin/bash --noprofile --norc -c "$begin" bash <&0 2>&191
    printf '\0\0\0X%s\0' "$?" >&191 # the NULs end what it had begun to report
  )
  waiter=$!
}
start_worker # the rest is read while it starts

# Dead processes count against the limit of processes until they are taken in: only the first process and this shell are left
# then. A container's first process does so when it reads a line (WAIT in docker_sandbox.py). A pause without a process is to read
# for a while what the lost worker has not, and then what does not come.
await_room() {
  local processes tries
  exec 189<"/proc/$$/fd/194"
  for ((tries = 0; tries < 500; tries++)); do
    processes=(/proc/[0-9]*)
    ((${#processes[@]} > 2)) || break
    ((relay)) && printf '\n' >/proc/1/fd/3
    read -r -d '' -t 0.004 -u 189
  done
  exec 189<&-
}

prepare_relay() {
  exec {next_pipe}> >(
    trap - PIPE
    exec 195>&193 191>&-
    next_pipe= close_descriptors
    exec cat >&195
  )
  next_relay=$!
}

# What an earlier command's background jobs still write must not reach the next command, nor may its loss kill those jobs.
retire_relay() {
  local old byte
  [[ -n $pipe ]] || return 0
  exec {pipe}>&-
  pipe=
  [[ -e /proc/$relay_pid/fd/0 ]] || return 0
  exec {old}<"/proc/$relay_pid/fd/0"
  kill -9 "$relay_pid"
  wait "$relay_pid"
  if ! read -r -t 0 -u "$old" || read -r -N 1 -t 1 -u "$old" byte; then
    (close_descriptors; exec 191>&-; exec cat <&"$old") &
  fi
  exec {old}<&-
}

# A relay serves on when the last command ended well and left nobody behind who writes to its pipe: there are the container's first
# process, this shell, the subshell that waits for the worker, the relay and the next one, all alive, and one more: the worker,
# which has let go of the pipe, unless it forged the command's end.
relay_is_free() {
  local process descriptor processes=(/proc/[0-9]*)
  [[ -n $settled && ${#processes[@]} == 6 ]] || return 1
  for process in "$waiter" "$relay_pid" "$next_relay"; do
    [[ -e /proc/$process/fd/0 ]] || return 1
  done
  for process in "${processes[@]##*/}"; do
    case $process in
      1 | "$$" | "$waiter" | "$relay_pid" | "$next_relay") ;;
      *)
        for descriptor in "/proc/$process/fd"/*; do
          [[ ! $descriptor -ef /proc/$$/fd/$pipe ]] || return 1
        done
        ;;
    esac
  done
}

next_sink() {
  sink=$1
  ((relay)) || return 0
  if ! relay_is_free; then
    retire_relay
    [[ -e /proc/$next_relay/fd/0 ]] || { exec {next_pipe}>&-; prepare_relay; } # somebody has killed it
    pipe=$next_pipe relay_pid=$next_relay next_pipe=
  fi
  settled=1 sink=/proc/$$/fd/$pipe
  printf '%s' "$1" >&193
}

run_clean() {
  local status
  (
    exec >"$sink" 2>&1
    printf 'B\0' >&191
    close_descriptors
    cd -- "$workdir" || cd /
    (exec 191>&-; export LC_ALL=$locale; [[ -z $bash_env ]] || export BASH_ENV=$bash_env; eval "$1")
    status=$?
    printf '%s' "$2"
    printf 'D%s %s\0\0\0' "$2" "$status" >&191
  ) &
}

# Where nobody waits for the worker any more, it may go on; when nobody reads its pipe either, it is gone, too.
tell_if_lost() {
  local process
  [[ ! -e /proc/$waiter ]] || return 0
  for process in /proc/[0-9]*; do
    [[ ! $process/fd/190 -ef /proc/$$/fd/194 ]] || return 0
  done
  printf '\0\0\0X137\0' >&191
}

((relay)) && prepare_relay
while IFS= read -r -N 11 -u 190 header; do
  IFS= read -r -N "${header:1:2}" -u 190 first
  IFS= read -r -N "${header:3}" -u 190 second
  case $header in
    [CEH]*)
      IFS= read -r -N 32 -u 190 nonce
      next_sink "$first"
      if [[ $header != H* ]]; then
        printf '\n%s%02d%s%s%s%s%02d%s' "${header:0:1}" "${#sink}" "${header:3}" "$sink" "$second" "$nonce" "${#sink}" "$sink" >&194
      else
        run_clean "$second" "$nonce"
      fi
      ((relay)) && [[ -z $next_pipe ]] && prepare_relay
      ;;
    F*) printf '%s' "$first" >"$sink" ;;
    P*) tell_if_lost ;;
    W*)
      settled=
      start_worker
      ;;
    K*)
      settled=
      kill -9 -- -1
      ((relay)) && { retire_relay; exec {next_pipe}>&-; }
      await_room
      ((relay)) && prepare_relay
      start_worker
      ;;
  esac
done
((relay)) && kill -TERM 1 # the host has gone: the container ends
