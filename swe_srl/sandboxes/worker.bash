# The worker: the persistent shell that commands run in. The supervisor writes it messages: a line end, a letter, two digits and
# eight digits: the lengths of what follows, the sink (a file for the output) and the command; then, read only after the command
# has ended, which may have changed any variable: 32 bytes of nonce, two digits, and the sink again. All of it is ASCII, whose
# lengths are the same in every locale: the letter is E when the command comes with escapes for other bytes, else C. The worker
# reports on descriptor 191.
# An image's BASH_ENV is read by a shell of its own, whose exported variables the worker takes over: what else it does (it may
# print, change the directory, set options or exit) is not the worker's.
# A B says that a command has begun: one that has not can be given to another shell when this one is lost.
# `mapfile` reads the line ends and evaluates its callback after each: so a command stands in no loop and in no function, and
# `break`, `return` and `declare` do in it what they do at the top of any script.
# Between commands only `builtin` forms, `exec` and our read-only functions run, without aliases, one level deep (FUNCNEST); a
# command's own functions `builtin` and `exec` are removed first (posix mode finds `unset` before any function). They run untraced:
# a command's `set -x` is put back for commands alone. Every line ends so that the script can be joined to one line: error messages then say "line 1".
# A command's TMOUT would end `read` here. A background job that is killed before it has put aside the worker's EXIT trap runs it, too.
# No descriptor of the worker is below 190 while a command runs. Both are closed on `exec`, like what bash saves at 10 and 11 for
# the braces, of which they are duplicates: a program that a command starts has neither. They are compared with those of the
# parent (the supervisor's subshell that waits for the worker), where one process may look at another one's, and while it is there:
# a command may have killed it, and it may be ending while it is looked at.
exec 10<&- 11<&-;
{ exec 190<&10 191>&11; } </dev/null 2>/dev/null;
exec </dev/null >/dev/null 2>&1;
__swe_rc=0 __swe_kind= __swe_trace= __swe_options=:expand_aliases:;
trap '{ if [[ /proc/self -ef /proc/$$ ]]; then builtin printf S >&191; builtin pwd >&191; builtin printf "\0" >&191; builtin export -p >&191; builtin printf ".\0" >&191; fi; } 2>/dev/null' EXIT;
unset __swe_worker;
__swe_env=$__swe_bash_env;
unset __swe_bash_env;
if [[ $__swe_env ]]; then
  export BASH_ENV=$__swe_env;
  if read -r -d '' -t 20 __swe_env < <(exec /bin/bash --noprofile --norc -c 'unset PWD OLDPWD SHLVL || :; export -p >&9; printf "\0" >&9' 9>&1 >/dev/null);
  then eval "$__swe_env"; else kill -9 "$!"; fi;
fi;
unset __swe_env;
__swe_take() {
  TMOUT= builtin read -r -N 11 -u 190 __swe_message || builtin exit 118;
  TMOUT= builtin read -r -N "${__swe_message:1:2}" -u 190 __swe_sink || builtin exit 118;
  __swe_kind=${__swe_message:0:1};
  TMOUT= builtin read -r -N "${__swe_message:3}" -u 190 __swe_message || builtin exit 119;
  [[ $__swe_kind != E ]] || builtin printf -v __swe_message %b "$__swe_message";
  builtin readonly __swe_turns;
  [[ $__swe_options != *:expand_aliases:* ]] || builtin shopt -s expand_aliases;
  [[ ! $__swe_trace ]] || __swe_message="__swe_traced $__swe_rc"$'\n'"$__swe_message";
  builtin export -n __swe_message __swe_sink __swe_kind __swe_trace __swe_rc __swe_options;
  exec >"$__swe_sink" 2>&1 || builtin exit 120;
  builtin printf 'B\0' >&191;
  builtin return "$__swe_rc";
};
__swe_traced() {
  __swe_trace=;
  builtin set -x;
  { [[ $- == *e* ]] || builtin return "$1"; } 2>/dev/null;
};
__swe_end() {
  __swe_rc=$1 __swe_options=:$BASHOPTS:$SHELLOPTS:;
  [[ $__swe_options == *:posix:* ]] || POSIXLY_CORRECT=1;
  unset -f builtin exec || exit 121;
  builtin enable alias builtin declare enable eval exec exit export mapfile printf pwd read readonly return set shopt trap umask unset || exit 121;
  [[ $__swe_options == *:posix:* ]] || unset POSIXLY_CORRECT;
  [[ $__swe_options == *:inherit_errexit:* ]] || builtin shopt -u inherit_errexit;
  builtin shopt -u expand_aliases;
  [[ $- != *x* ]] || { __swe_trace=x; builtin set +x; };
};
__swe_report() {
  exec >/dev/null 2>&1 || builtin exit 120;
  [[ ! $__swe_sees || ! -e /proc/$PPID/fd/0 ||
    /proc/self/fd/190 -ef /proc/$PPID/fd/0 && /proc/self/fd/191 -ef /proc/$PPID/fd/191 || ! -e /proc/$PPID/fd/0 ]] || builtin exit 122;
  TMOUT= builtin read -r -N 34 -u 190 __swe_message || builtin exit 122;
  TMOUT= builtin read -r -N "${__swe_message:32}" -u 190 __swe_sink || builtin exit 122;
  __swe_message=${__swe_message:0:32};
  builtin printf '%s' "$__swe_message" >"$__swe_sink" || builtin exit 120;
  builtin printf 'D%s %s\0' "$__swe_message" "$__swe_rc" >&191;
  builtin pwd >&191;
  builtin printf '\0' >&191;
  builtin export -p >&191;
  builtin printf '.\0' >&191;
  __swe_kind=;
};
__swe_check() { [[ ! $__swe_kind ]] || builtin exit 123; };
__swe_sees=;
[[ /proc/self/fd/190 -ef /proc/$PPID/fd/0 && /proc/self/fd/191 -ef /proc/$PPID/fd/191 ]] && __swe_sees=1;
readonly __swe_sees;
readonly -f __swe_take __swe_traced __swe_end __swe_report __swe_check;
printf '\0\0\0R\0' >&191;
mapfile -t -u 190 -c 1 -C 'if \__swe_take; then \builtin eval "$__swe_message"; else \builtin eval "$__swe_message"; fi; { \__swe_end "$?"; } >/dev/null 2>&1; \__swe_report'$'\n''\__swe_check #' __swe_turns
