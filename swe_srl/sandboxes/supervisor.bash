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
# Variables set by the host: __swe_supervisor (this script), __swe_worker (a script), __swe_relay (0 or 1), __swe_limits (arguments of
# ulimit), __swe_workdir. Every name begins so: one that an image's variable has too would change what its commands see.
exec 190<&0 191>&2 193>&1 </dev/null >/dev/null 2>&1
unset __swe_supervisor TMOUT FUNCNEST # an image's, which would end `read` and functions here
((__swe_relay)) && { read -r -N 1 -u 190 || exit 110; }
__swe_bash_env=${BASH_ENV-} # an image's: for the commands, and the programs that they start
unset BASH_ENV
export -n __swe_worker __swe_relay __swe_limits __swe_workdir __swe_bash_env
[[ -z $__swe_limits ]] || ulimit $__swe_limits 2>&191 || exit 110
((__swe_relay)) && kill -9 -- -1
trap : PIPE INT TERM HUP QUIT USR1 USR2 ALRM
__swe_pipe= __swe_next_pipe= __swe_relay_pid= __swe_sink= __swe_settled=
__swe_locale=$LC_ALL
export -n LC_ALL
LC_ALL=C # lengths are in bytes

close_descriptors() {
  exec 190<&- 193>&- 194>&-
  [[ -z $__swe_pipe ]] || exec {__swe_pipe}>&-
  [[ -z $__swe_next_pipe ]] || exec {__swe_next_pipe}>&-
}

# An image's exported functions that have the names of what the worker uses go first: in posix mode `unset` comes before any. On
# one line, as the worker's script.
__swe_begin='__swe_options=:$BASHOPTS:$SHELLOPTS:; [[ $__swe_options == *:posix:* ]] || POSIXLY_CORRECT=1;'
__swe_begin+='unset -f builtin enable eval exec exit export kill mapfile printf pwd read readonly return set shopt trap unset;'
__swe_begin+='[[ $__swe_options == *:posix:* ]] || unset POSIXLY_CORRECT;'
__swe_begin+='[[ $__swe_options == *:inherit_errexit:* ]] || shopt -u inherit_errexit 2>/dev/null; eval "$__swe_worker"'

start_worker() {
  exec 194> >(
    close_descriptors
    cd -- "$__swe_workdir" || cd /
    LC_ALL=$__swe_locale __swe_worker=$__swe_worker __swe_bash_env=$__swe_bash_env /bin/bash --noprofile --norc -c "$__swe_begin" bash <&0 2>&191
    printf '\0\0\0X%s\0' "$?" >&191 # the NULs end what it had begun to report
  )
  __swe_waiter=$!
}
start_worker # the rest is read while it starts

# Dead processes count against the limit of processes until they are taken in: only the first process and this shell are left
# then. A container's first process does so when it reads a line (WAIT in docker_sandbox.py). A pause without a process is to read
# for a while what the lost worker has not, and then what does not come.
await_room() {
  local __swe_processes __swe_tries
  exec 189<"/proc/$$/fd/194"
  for ((__swe_tries = 0; __swe_tries < 500; __swe_tries++)); do
    __swe_processes=(/proc/[0-9]*)
    ((${#__swe_processes[@]} > 2)) || break
    ((__swe_relay)) && printf '\n' >/proc/1/fd/3
    read -r -d '' -t 0.004 -u 189
  done
  exec 189<&-
}

prepare_relay() {
  exec {__swe_next_pipe}> >(
    trap - PIPE
    exec 195>&193 191>&-
    __swe_next_pipe= close_descriptors
    exec cat >&195
  )
  __swe_next_relay=$!
}

# What an earlier command's background jobs still write must not reach the next command, nor may its loss kill those jobs.
retire_relay() {
  local __swe_old __swe_byte
  [[ -n $__swe_pipe ]] || return 0
  exec {__swe_pipe}>&-
  __swe_pipe=
  [[ -e /proc/$__swe_relay_pid/fd/0 ]] || return 0
  exec {__swe_old}<"/proc/$__swe_relay_pid/fd/0"
  kill -9 "$__swe_relay_pid"
  wait "$__swe_relay_pid"
  if ! read -r -t 0 -u "$__swe_old" || read -r -N 1 -t 1 -u "$__swe_old" __swe_byte; then
    (close_descriptors; exec 191>&-; exec cat <&"$__swe_old") &
  fi
  exec {__swe_old}<&-
}

# A relay serves on when the last command ended well and left nobody behind who writes to its pipe: there are the container's first
# process, this shell, the subshell that waits for the worker, the relay and the next one, all alive, and one more: the worker,
# which has let go of the pipe, unless it forged the command's end.
relay_is_free() {
  local __swe_process __swe_descriptor __swe_processes=(/proc/[0-9]*)
  [[ -n $__swe_settled && ${#__swe_processes[@]} == 6 ]] || return 1
  for __swe_process in "$__swe_waiter" "$__swe_relay_pid" "$__swe_next_relay"; do
    [[ -e /proc/$__swe_process/fd/0 ]] || return 1
  done
  for __swe_process in "${__swe_processes[@]##*/}"; do
    case $__swe_process in
      1 | "$$" | "$__swe_waiter" | "$__swe_relay_pid" | "$__swe_next_relay") ;;
      *)
        for __swe_descriptor in "/proc/$__swe_process/fd"/*; do
          [[ ! $__swe_descriptor -ef /proc/$$/fd/$__swe_pipe ]] || return 1
        done
        ;;
    esac
  done
}

next_sink() {
  __swe_sink=$1
  ((__swe_relay)) || return 0
  if ! relay_is_free; then
    retire_relay
    [[ -e /proc/$__swe_next_relay/fd/0 ]] || { exec {__swe_next_pipe}>&-; prepare_relay; } # somebody has killed it
    __swe_pipe=$__swe_next_pipe __swe_relay_pid=$__swe_next_relay __swe_next_pipe=
  fi
  __swe_settled=1 __swe_sink=/proc/$$/fd/$__swe_pipe
  printf '%s' "$1" >&193
}

run_clean() {
  local __swe_status
  (
    exec >"$__swe_sink" 2>&1
    printf 'B\0' >&191
    close_descriptors
    cd -- "$__swe_workdir" || cd /
    (exec 191>&-; export LC_ALL=$__swe_locale; [[ -z $__swe_bash_env ]] || export BASH_ENV=$__swe_bash_env; eval "$1")
    __swe_status=$?
    printf '%s' "$2"
    printf 'D%s %s\0\0\0' "$2" "$__swe_status" >&191
  ) &
}

# Where nobody waits for the worker any more, it may go on; when nobody reads its pipe either, it is gone, too.
tell_if_lost() {
  local __swe_process
  [[ ! -e /proc/$__swe_waiter ]] || return 0
  for __swe_process in /proc/[0-9]*; do
    [[ ! $__swe_process/fd/190 -ef /proc/$$/fd/194 ]] || return 0
  done
  printf '\0\0\0X137\0' >&191
}

((__swe_relay)) && prepare_relay
while IFS= read -r -N 11 -u 190 __swe_header; do
  IFS= read -r -N "${__swe_header:1:2}" -u 190 __swe_first
  IFS= read -r -N "${__swe_header:3}" -u 190 __swe_second
  case $__swe_header in
    [CEH]*)
      IFS= read -r -N 32 -u 190 __swe_nonce
      next_sink "$__swe_first"
      if [[ $__swe_header != H* ]]; then
        printf '\n%s%02d%s%s%s%s%02d%s' "${__swe_header:0:1}" "${#__swe_sink}" "${__swe_header:3}" "$__swe_sink" "$__swe_second" "$__swe_nonce" "${#__swe_sink}" "$__swe_sink" >&194
      else
        run_clean "$__swe_second" "$__swe_nonce"
      fi
      ((__swe_relay)) && [[ -z $__swe_next_pipe ]] && prepare_relay
      ;;
    F*) printf '%s' "$__swe_first" >"$__swe_sink" ;;
    P*) tell_if_lost ;;
    W*)
      __swe_settled=
      start_worker
      ;;
    K*)
      __swe_settled=
      kill -9 -- -1
      ((__swe_relay)) && { retire_relay; exec {__swe_next_pipe}>&-; }
      await_room
      ((__swe_relay)) && prepare_relay
      start_worker
      ;;
  esac
done
((__swe_relay)) && kill -TERM 1 # the host has gone: the container ends
