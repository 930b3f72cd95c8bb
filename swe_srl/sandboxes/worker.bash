# The worker: the persistent shell that commands run in. It reads messages from descriptor 190, as the supervisor writes them:
# C, two digits, eight digits: the lengths in bytes of what follows, the sink (a file for the output) and the command; then 32
# bytes of nonce, read only after the command has ended, so that the command cannot know it. It reports on descriptor 191.
# Between commands only `builtin` forms run, and a command's own function `builtin` is removed first (posix mode finds `unset`
# before any function). Every line ends so that the script can be joined to one line: error messages then say "line 1".
# A command's TMOUT would end `read` here.
# A B says that a command has begun: one that has not can be given to another shell when this one is lost.
exec 190<&0 191>&2 </dev/null >/dev/null 2>&1;
__swe_status() { return "$1"; };
__swe_rc=0;
trap 'builtin printf "S%s\0" "${PWD-}" >&191; builtin export -p >&191; builtin printf "\0" >&191' EXIT;
unset worker;
shopt -s expand_aliases;
builtin printf 'R\0' >&191;
while IFS= TMOUT= builtin read -r -N 11 -u 190 __swe_message; do
  IFS= TMOUT= builtin read -r -N "${__swe_message:1:2}" -u 190 __swe_sink || builtin exit 118;
  IFS= LC_ALL=C TMOUT= builtin read -r -N "${__swe_message:3}" -u 190 __swe_message || builtin exit 119;
  __swe_options=;
  {
    builtin printf 'B\0' >&191;
    { __swe_status "$__swe_rc"; builtin eval "$__swe_message"; } >&192 2>&1 190<&- 191>&- 192>&-;
    __swe_rc=$? __swe_options=:$BASHOPTS:$SHELLOPTS: POSIXLY_CORRECT=1;
    unset -f builtin || exit 121;
    [[ $__swe_options == *:posix:* ]] || unset POSIXLY_CORRECT;
    [[ $__swe_options != *:expand_aliases:* ]] || builtin shopt -s expand_aliases;
    [[ $__swe_options == *:inherit_errexit:* ]] || builtin shopt -u inherit_errexit;
    IFS= TMOUT= builtin read -r -N 32 -u 190 __swe_message || builtin exit 122;
    builtin printf '%s' "$__swe_message" >&192;
  } 192>"$__swe_sink";
  [[ $__swe_options ]] || builtin exit 120;
  builtin printf 'D%s %s\0%s\0' "$__swe_message" "$__swe_rc" "${PWD-}" >&191;
  builtin export -p >&191;
  builtin printf '\0' >&191;
done
