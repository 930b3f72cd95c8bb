# Clears what an image still holds of the files of a planted repository as they were at an earlier commit: copies of them anywhere
# (a build, an installed package, a backup) become what the repository now has, or go with what was taken away; byte code,
# built archives, what editors and patches left beside them and what tests remembered go; what lists the installed and packed files
# (RECORD, SOURCES.txt) tells of the copies as they are now. What git tracks stays as it is.

clear_copies() { # clear_copies COMMIT ROOT: in the repository of the current folder, and below ROOT; fails when it cannot clear all
  type -P find >/dev/null && type -P sha256sum >/dev/null || { echo "find or sha256sum is missing" && return 1; }
  local top path name folder size sum
  local -A changed=() sources=() # the paths by their contents' sums; the sources whose byte code goes
  local -A recorded=() gone=() packages=() # the paths by the sums as RECORD has them; those taken away; where copies were
  local traces wanted=() codes=()
  top=$(git rev-parse --show-toplevel) && cd -- "$top" || return 1
  traces=('**/__pycache__/**' '**/.pytest_cache/**' '**/.mypy_cache/**' '**/htmlcov/**' 'dist/**' 'build/bdist*/**')
  traces=("${traces[@]/#/:(glob)}")
  while IFS= read -r -d '' path; do
    name=${path##*/} folder=${path%"${path##*/}"}
    traces+=(":(literal)$path".{orig,rej,bak} ":(literal)$path~" ":(literal)$folder.$name".sw{n,o,p} ":(literal)$folder#$name#")
    folder=${folder%/} folder=${folder##*/}
    name=$(escaped "${folder:+$folder/}$name")
    [[ $(git cat-file -t "$1:$path" 2>/dev/null) == blob ]] || continue # a submodule
    size=$(git cat-file -s "$1:$path") && sum=$(git cat-file blob "$1:$path" | sha256sum) || return 1
    changed[${sum%% *}]=$path sources[$top/$path]=1
    if ((size)); then recorded[$(record_sum "${sum%% *}")]=$path; fi
    [[ -e $path || -L $path ]] || gone[$path]=1
    if ((size >= 512)); then wanted+=(-o -size "${size}c"); else wanted+=(-o -size "${size}c" -path "*/$name*"); fi
    if [[ $name == *.py ]]; then
      name=${name%.py}
      wanted+=(-o -path "*/$name.py[co]" -o -path "*/${name%"${name##*/}"}__pycache__/${name##*/}.*.py[co]")
    fi
  done < <(git diff-tree -r -z --name-only --no-renames --diff-filter=DMT "$1" HEAD)
  ((${#changed[@]})) || return 0
  git ls-files -z --others -- "${traces[@]}" | xargs -0 -r rm -f -- || return 1
  while IFS= read -r -d '' path; do
    if [[ $path == */RECORD || $path == */SOURCES.txt ]]; then clear_list "$path" || return 1
    elif [[ $path == *.py[co] ]]; then codes+=("$path")
    else clear_copy "$path" || return 1; fi
  done < <(find "$2" '(' -path /proc -o -path /sys -o -path /dev -o -name .git ')' -prune -o -type f ! -size 0 \
    '(' -path '*.dist-info/RECORD' -o -path '*.egg-info/SOURCES.txt' "${wanted[@]}" ')' -print0 2>/dev/null)
  for path in "${codes[@]}"; do clear_code "$path" || return 1; done
  for path in "${!packages[@]}"; do # that of a few modules missing would tell which ones were changed
    [[ ! -d $path ]] || find "$path" -path '*/__pycache__/*.py[co]' -exec rm -f -- {} + || return 1
  done
}

own() { # own PATH: whether the repository tracks it
  [[ $1 == "$top"/* ]] && git ls-files --error-unmatch -- ":(literal)${1#"$top"/}" >/dev/null 2>&1
}

record_sum() { # record_sum SUM: as a wheel's RECORD has it
  printf "$(sed 's/../\\x&/g' <<<"$1")" | base64 | tr '+/' '-_' | tr -d '=\n'
}

clear_list() { # clear_list PATH: the sums of copies become those of what they are now; what was taken away is not named
  local line path sum kept=()
  grep -q -F -f <(printf '%s\n' "${!recorded[@]}" "${!gone[@]}") -- "$1" 2>/dev/null || return 0
  ! own "$1" || return 0
  local -A without=()
  while IFS= read -r line || [[ $line ]]; do
    if [[ $1 == */SOURCES.txt ]]; then
      [[ ${gone[$line]-} ]] || kept+=("$line")
      continue
    fi
    if [[ $line =~ ,sha256=([A-Za-z0-9_-]+),[0-9]+ && ${recorded[${BASH_REMATCH[1]}]-} ]]; then
      path=${recorded[${BASH_REMATCH[1]}]}
      if [[ ! -f $path ]]; then without[${line%%,sha256=*}]=1 && continue; fi
      sum=$(sha256sum <"$path") || return 1
      line=${line/"${BASH_REMATCH[0]}"/",sha256=$(record_sum "${sum%% *}"),$(stat -L -c %s -- "$path")"}
    fi
    kept+=("$line")
  done <"$1"
  for path in "${!without[@]}"; do # nor its byte code
    path=/$path path=${path%/*}/__pycache__/${path##*/}
    for line in "${!kept[@]}"; do [[ /${kept[line]} != "${path%.py}".*.py[co],* ]] || unset "kept[line]"; done
  done
  sum=$(stat -c %y -- "$1") && printf '%s\n' "${kept[@]}" >"$1" && touch -d "$sum" -- "$1"
}

escaped() { # escaped TEXT: as a pattern of `find` that stands for itself
  printf '%s\n' "$1" | sed 's/[][*?\\]/\\&/g'
}

clear_copy() { # clear_copy PATH: when it is one, and not the repository's own
  sum=$(sha256sum <"$1") || return 0 # what cannot be read tells nothing
  path=${changed[${sum%% *}]-}
  [[ $path ]] || return 0
  ! own "$1" || return 0
  if [[ -f $path ]]; then
    cp -f -- "$path" "$1" || return 1
    touch -r "$path" -- "$1" || return 1
  else # its folder does not tell that something went
    sum=$(stat -c %y -- "${1%/*}") && rm -f -- "$1" && touch -d "$sum" -- "${1%/*}" || return 1
  fi
  sources[$1]=1
  path=${1%/*}
  if [[ ! -e $path/__init__.py ]]; then packages[$path/__pycache__]=1 && return 0; fi
  while [[ -e ${path%/*}/__init__.py ]]; do path=${path%/*}; done
  packages[$path]=1
}

clear_code() { # clear_code PATH: unless it is that of another source
  local folder=${1%/*} module=${1##*/}
  module=${module%.py[co]}
  if [[ $folder == */__pycache__ ]]; then folder=${folder%/__pycache__} module=${module%.opt-[12]} module=${module%.*}; fi
  [[ -e $folder/$module.py && -z ${sources[$folder/$module.py]-} ]] || rm -f -- "$1"
}
