"""Parts of our scripts in a sandbox: jobs that stand still, and a repository's objects without the rest of its git directory."""

# All that the agent has left running stands still until this shell ends: what is the worker (the grandchild of the supervisor,
# which is the topmost ancestor of this shell), and what lies below it or below the first process. A process may have any name,
# with line ends and parentheses in it: what follows the last of those in `stat` are numbers and a letter.
HOLD = """
parent() {{ local stat=; {{ read -r -d '' stat </proc/$1/stat; }} 2>/dev/null || :; set -- ${{stat##*)}}; parent=${{2:-1}}; }}
depth() {{
  chain=" " depth=0 parent=$1
  while ((parent > 1)); do chain+="$parent " depth=$((depth + 1)) top=$parent; parent "$parent"; done
}}
depth $$
own=$chain supervisor=$top stopped=
hold() {{
  local path pid
  for path in /proc/[0-9]*; do
    pid=${{path#/proc/}}
    if ((pid == 1)) || [[ $own == *" $pid "* || $stopped == *" $pid "* ]]; then continue; fi
    depth "$pid"
    if ((top == supervisor && depth < 3)); then continue; fi
    if kill -STOP "$pid" 2>/dev/null; then stopped+=" $pid "; fi
  done
}}
trap '[[ -z $stopped ]] || kill -CONT $stopped 2>/dev/null || :' EXIT
for ((round = 0; round < 50; round++)); do
  before=$stopped
  hold
  [[ $stopped != "$before" ]] || break # those that it had started meanwhile
done
"""
_REMOVE = """
remove() {{ # remove PATH...
  while (($#)); do
    rm -f -- "${{@:1:100}}" 2>/dev/null || :
    shift $(($# < 100 ? $# : 100))
  done
}}
"""
# A git directory is where `.git` says, which may be a file.
GIT_DIR = """
git_dir() {{ # git_dir PATH: `dir` is the git directory of a `.git`
  local line
  dir=$1
  if [[ -f $dir ]]; then
    IFS= read -r -d '' -n 5000 line <"$dir" || :
    while [[ $line == *[$'\\r\\n'] ]]; do line=${{line%?}}; done
    [[ $line != 'gitdir: '* ]] || dir=${{line#gitdir: }}
  fi
  [[ $dir == /* ]] || dir=${{1%/*}}/$dir
}}
"""
# Named pipes in the place of what git reads of each nested repository that is none of the base commit's submodules.
NESTED = (
    GIT_DIR
    + _REMOVE
    + """
pipes=() repositories=
while IFS= read -r -d '' path; do
  repositories=1
  git_dir "$path"
  for path in "$dir/HEAD" "$dir/commondir"; do [[ ! -p $path ]] || pipes+=("$path"); done
done < <(find {workdir}/ -mindepth 2 -name .git -prune -print0 2>/dev/null)
remove "${{pipes[@]}}"
"""
)
# {folder}/git is a git directory whose alternates are folders of links to those that hold the repository's objects: git reads no
# `info` of the agent's. The `alternates` there are followed here. Named pipes among the objects go; each folder is looked at
# once, however many links lead to it. `full` is set when something of ours cannot be written.
OBJECTS = """
full=
git init -q --bare --template= ${{format-}} {folder}/git && mkdir -p {folder}/git/objects/info {folder}/git/info || full=1
git_dir {workdir}/.git
if [[ -f $dir/commondir ]]; then # of a linked working tree
  IFS= read -r -n 4096 line <"$dir/commondir" || :
  if [[ $line == /* ]]; then dir=$line; else dir+=/$line; fi
fi
shopt -s nullglob
stores=("$dir/objects")
declare -A seen=()
for ((store = 0; store < ${{#stores[@]}}; store++)); do
  from=${{stores[store]}} into={folder}/stores/$store look=()
  type -P ln >/dev/null || into=$from # an image may lack it
  {{ [[ $into == "$from" ]] || {{ mkdir -p "$into" && ln -s "$from/pack" "$from"/[0-9a-f][0-9a-f] "$into/"; }}; }} &&
    printf '%s\\n' "$into" >>{folder}/git/objects/info/alternates || full=1
  for path in "$into"/*/ "$into"/pack/multi-pack-index.d/ "$into"/info/commit-graphs/; do
    cd -P -- "$path" 2>/dev/null && [[ -z ${{seen[$PWD]-}} ]] || continue
    seen[$PWD]=1
    look+=("$path")
  done
  ((${{#look[@]}} == 0)) || find -L "${{look[@]}}" -maxdepth 1 -type p -exec rm -f {{}} + 2>/dev/null || :
  [[ -f $from/info/alternates ]] || continue
  while ((${{#stores[@]}} < 1000)) && {{ IFS= read -r -n 4096 path || [[ $path ]]; }}; do
    [[ $path == /* ]] || path=$from/$path
    stores+=("$path")
  done <"$from/info/alternates"
done
shopt -u nullglob
cd -- {workdir}
export GIT_DIR={folder}/git
"""
# Named pipes that git would read in a git directory go, four folders deep, in each folder once, however many links lead to it.
PIPES = (
    _REMOVE
    + """
declare -A seen=()
folders=("$PWD/.git")
for ((level = 0; level < 4; level++)); do
  inner=() pipes=()
  for path in "${{folders[@]}}"; do
    cd -P -- "$path" 2>/dev/null && [[ -z ${{seen[$PWD]-}} ]] || continue
    seen[$PWD]=1
    for path in "$PWD"/* "$PWD"/.[!.]*; do
      if [[ -d $path ]]; then inner+=("$path"); elif [[ -p $path ]]; then pipes+=("$path"); fi
    done
  done
  remove "${{pipes[@]}}"
  folders=("${{inner[@]}}")
done
cd -- {workdir}
"""
)
