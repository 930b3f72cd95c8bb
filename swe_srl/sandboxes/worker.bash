# The worker: the persistent shell that commands run in. It reads messages from descriptor 190: C (or A, when the command is of
# ASCII alone), two digits, eight digits: the lengths in bytes of what follows, the sink (a file for the output, here always 29
# bytes) and the command; then 32 bytes of nonce, read only after the command has ended, so that the command cannot know it. It
# reports on descriptor 191 that the command is done, and then on 193 the state it left, which the host need not wait for.
# These three end where another program begins: they are copies of what bash itself put aside (from 10 on), which does so.
# Between commands only `builtin` forms run, and a command's own function `builtin` is removed first (posix mode finds `unset`
# before any function; it changes two options, which are set again). Every line ends so that the script can be joined to one
# line: error messages then say "line 1".
# A command's TMOUT would end `read` here.
# Lines that end in "# relay" are for relay mode alone. There a B says that a command has begun: one that has not can be given
# to another shell when this one is lost. Elsewhere the host sees what was read, and an N says that the command cannot begin.
{ exec 190<&10 193>&11 191>&12; } </dev/null >/dev/null 2>&1;
exec </dev/null >/dev/null 2>&1;
__swe_status() { return "$1"; };
__swe_rc=0 __swe_options=;
trap '{ builtin printf "S%s\0" "${PWD-}"; builtin export -p; builtin printf "\0"; } >&193' EXIT;
unset worker;
shopt -s expand_aliases;
builtin printf 'R\0' >&191;
while TMOUT= builtin read -r -N 40 -u 190 __swe_message; do
  __swe_sink=${__swe_message:11} __swe_begun= __swe_posix=;
  if [[ $__swe_message == A* ]]; then
    IFS= TMOUT= builtin read -r -N "${__swe_message:3:8}" -u 190 __swe_message || builtin exit 119;
  else
    IFS= LC_ALL=C TMOUT= builtin read -r -N "${__swe_message:3:8}" -u 190 __swe_message || builtin exit 119;
  fi;
  {
    builtin printf 'B\0' >&191; # relay
    __swe_begun=1;
    [[ $__swe_rc == 0 ]] || __swe_status "$__swe_rc";
    builtin eval "$__swe_message";
  } >"$__swe_sink" 2>&1;
  __swe_rc=$?;
  [[ $__swe_begun ]] || { builtin printf 'N\0' >&191; builtin exit 120; };
  [[ ! -o posix ]] || __swe_posix=1;
  if [[ $BASHOPTS != "$__swe_options" ]]; then
    __swe_options=$BASHOPTS __swe_aliases= __swe_errexit=;
    [[ :$BASHOPTS: != *:expand_aliases:* ]] || __swe_aliases=1;
    [[ :$BASHOPTS: != *:inherit_errexit:* ]] || __swe_errexit=1;
  fi;
  POSIXLY_CORRECT=1;
  unset -f builtin || exit 121;
  [[ $- != *r* ]] || builtin exit 120;
  [[ $__swe_posix ]] || unset POSIXLY_CORRECT;
  [[ ! $__swe_aliases ]] || builtin shopt -s expand_aliases;
  [[ $__swe_errexit ]] || builtin shopt -u inherit_errexit;
  TMOUT= builtin read -r -N 32 -u 190 __swe_message || builtin exit 122;
  builtin printf '%s' "$__swe_message" >"$__swe_sink"; # relay
  builtin printf 'D%s %s\0' "$__swe_message" "$__swe_rc" >&191;
  { builtin printf 'S%s\0' "${PWD-}"; builtin export -p; builtin printf '\0'; } >&193;
done
