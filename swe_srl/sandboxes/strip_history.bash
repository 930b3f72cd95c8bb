# Leaves a git repository with one commit: HEAD, under its own sha, without parents, other refs, remotes, reflogs, stashes or
# unreachable objects, with HEAD's index, and without what merges, rebases and tools leave in a git directory. Does nothing when
# that is so already (a single empty commit below HEAD is allowed). A linked working tree becomes the main one. The same is done
# to submodules; of the large files that LFS and annex keep, those of HEAD stay. Prints HEAD's sha.
set -eu
cd -- "$repository"
# With such variables of an image's, git knows another repository there, or other objects, than those that are stripped.
for name in GIT_{DIR,COMMON_DIR,WORK_TREE,INDEX_FILE,OBJECT_DIRECTORY,ALTERNATE_OBJECT_DIRECTORIES,NAMESPACE,SHALLOW_FILE}; do
  [[ ! ${!name-} ]] || { echo "$name=${!name} leads git away from $repository: make the image without that variable" >&2; exit 1; }
done
# The repository's own programs are not run. This variable is the one that every version of git knows.
export GIT_CONFIG_PARAMETERS="${GIT_CONFIG_PARAMETERS:+$GIT_CONFIG_PARAMETERS }'core.fsmonitor=false' 'core.hooksPath=/dev/null'"
# Where references are no files, what follows would not find them. A git that does not know that format reads no configuration of it.
refuse_other_references() {
  local format
  format=$(git config --file "$1/config" extensions.refStorage 2>/dev/null || git config extensions.refStorage || :)
  [[ -z $format || $format == files ]] || {
    echo "the references of $1 are in git's format $format, which is not stripped: git refs migrate --ref-format=files" >&2
    exit 1
  }
}
refuse_other_references .git
head=$(git rev-parse --verify HEAD)
own=$(git rev-parse --git-dir)
git_dir=$(git rev-parse --git-common-dir)
rm -f -- "$git_dir"/*.lock # of a git that was killed: they would stop every other one
if [[ ! $own -ef $git_dir ]]; then
  git_dir=$(cd -- "$git_dir" && pwd)
  git -c core.splitIndex=false update-index --no-split-index
  cp -- "$own/index" "$git_dir/index"
  printf '%s\n' "$head" >"$git_dir/HEAD"
  printf 'gitdir: %s\n' "$git_dir" >"$(git rev-parse --show-toplevel)/.git"
  rm -rf -- "$git_dir/worktrees"
  git --git-dir="$git_dir" config core.bare false
  git --git-dir="$git_dir" config --unset-all core.worktree || :
fi

empty_tree=4b825dc642cb6eb9a060e54bf8d69288fbee4904
is_stripped() {
  local commits objects
  [[ -z $(git remote) && ! -s $git_dir/objects/info/alternates ]] || return 1
  [[ -z $(find "$git_dir/logs" -type f 2>/dev/null | head -n 1) ]] || return 1
  [[ $(git for-each-ref | wc -l) -le 1 ]] || return 1
  commits=$(git rev-list --count HEAD)
  [[ $commits == 1 || ($commits == 2 && $(git rev-parse 'HEAD~1^{tree}') == "$empty_tree") ]] || return 1
  objects=$(git rev-list --objects HEAD | wc -l)
  [[ $(git count-objects -v | awk '/^(count|in-pack):/ { sum += $2 } END { print sum }') -le $objects ]]
}

strip_objects() {
  local objects=$git_dir/objects name pack known path others=()
  rm -f -- "$git_dir"/*.lock
  find "$git_dir/refs" -type f -name '*.lock' -exec rm -f -- {} +
  known=$'\n'$(git for-each-ref --format='%(refname)' 2>/dev/null)$'\n'
  while IFS= read -r -d '' path; do # what is no reference there stops git, or says anything
    [[ $known == *$'\n'"${path#"$git_dir/"}"$'\n'* ]] || rm -f -- "$path"
  done < <(find "$git_dir/refs" -type f -print0)
  # Objects that the index alone holds are kept by `repack`: what is staged, in conflict, or was so before it was resolved.
  if ! git diff-index --cached --quiet HEAD || [[ -n $(git ls-files --resolve-undo) ]]; then git read-tree --reset HEAD; fi
  git -c core.splitIndex=false update-index --no-split-index # an index's shared part also tells of what was in it before
  if ! is_stripped; then
    git update-ref --no-deref HEAD "$head"
    git for-each-ref --format='delete %(refname)' | git update-ref --stdin --no-deref
    git update-ref refs/heads/main "$head"
    git symbolic-ref HEAD refs/heads/main
    printf '%s\n' "$head" >"$git_dir/shallow"
    rm -rf -- "$git_dir"/{logs,worktrees,rr-cache,lost-found,FETCH_HEAD,ORIG_HEAD,MERGE_HEAD,CHERRY_PICK_HEAD,REVERT_HEAD} \
      "$objects"/info/{commit-graph,commit-graphs} "$objects"/pack/*.{keep,promisor,bitmap} "$git_dir"/info/{refs,grafts}
    git config core.logAllRefUpdates false
    git repack -a -d -q
    rm -f -- "$objects/info/alternates"
    git prune --expire=now
  fi
  # What is no object store of git's, but left by a fetch, a push or a repack that was killed: it may hold any objects.
  find "$objects" -mindepth 1 -maxdepth 1 ! -name '[0-9a-f][0-9a-f]' ! -name pack ! -name info -exec rm -rf -- {} +
  find "$objects" -mindepth 2 -maxdepth 2 '(' -name 'tmp_*' -o -name '.tmp-*' -o -type d ')' -exec rm -rf -- {} +
  for pack in "$objects"/pack/*.pack; do
    [[ -e ${pack%.pack}.idx ]] || rm -f -- "${pack%.pack}".*
  done
  find "$objects/pack" -mindepth 1 ! -name '*.pack' ! -name '*.idx' ! -name '*.rev' ! -name multi-pack-index -exec rm -rf -- {} +
  strip_words
  for name in HEAD config config.worktree index info objects refs packed-refs shallow hooks branches \
    modules lfs annex; do
    others+=(! -name "$name")
  done
  find "$git_dir" -mindepth 1 -maxdepth 1 "${others[@]}" -exec rm -rf -- {} +
}

# What people and tools say of branches and servers. (`git remote remove` runs hooks whatever `core.hooksPath` says.)
strip_words() {
  local name
  while IFS= read -r -d '' name; do
    git config --local --remove-section "${name%.*}" 2>/dev/null || : # it has gone with another name of its section
  done < <(git config --local -z --name-only --get-regexp '^(branch|credential|http|remote|url)\.')
  find "$git_dir/info" -type f ! -name exclude ! -name attributes ! -name sparse-checkout ! -name grafts -exec rm -f -- {} + \
    2>/dev/null || :
}

# Large files' contents are beside git's objects, under names that files of HEAD hold: the others go.
strip_contents() {
  [[ -d $git_dir/lfs || -d $git_dir/annex ]] || return 0
  local kept path
  kept=" $(git grep --no-textconv --no-color -h -o -E '^oid sha256:[0-9a-f]{64}|/annex/objects/.*' HEAD | sed 's/.*[:/]//' | tr '\n' ' ') "
  kept+="$(git ls-tree -r HEAD | awk '$1 == 120000 { print $3 }' | git cat-file --batch | tr '\0' '\n' |
    sed -n 's!.*/annex/objects/.*/!!p' | tr '\n' ' ') "
  while IFS= read -r -d '' path; do
    [[ $kept == *" ${path##*/} "* ]] || { chmod u+w -- "${path%/*}" && rm -f -- "$path"; }
  done < <(find "$git_dir"/{lfs,annex}/objects -type f -print0 2>/dev/null)
  find "$git_dir"/{lfs,annex} -mindepth 1 -maxdepth 1 ! -name objects -exec rm -rf -- {} + 2>/dev/null || :
}

# Submodules have repositories of their own, below modules/ or where they are checked out. A git directory comes with the folder of
# its working tree, which need not be there any more.
modules() {
  local found path
  while IFS= read -r -d '' found; do
    [[ -d $found/objects && -d $found/refs ]] || continue
    path=$(git --git-dir="$found" config core.worktree || :)
    [[ $path == /* ]] || path=$found/$path
    [[ -d $path ]] || path=$found
    printf '%s\0%s\0' "$found" "$path"
  done < <(find "$git_dir/modules" -type f -name HEAD -printf '%h\0' 2>/dev/null)
  while IFS= read -r -d '' found; do
    path=$PWD/${found#*$'\t'}
    [[ ! -d $path/.git || -L $path/.git ]] || printf '%s\0%s\0' "$path/.git" "$path"
  done < <(git ls-files -z --stage | grep -z '^160000 ')
}

strip_modules() {
  local module path
  while IFS= read -r -d '' module && IFS= read -r -d '' path; do
    (
      cd -- "$path"
      git_dir=$module
      export GIT_DIR=$module GIT_WORK_TREE=$path
      refuse_other_references "$module"
      if head=$(git rev-parse --quiet --verify 'HEAD^{commit}'); then
        strip_repository
      else
        rm -rf -- "$git_dir"/{logs,packed-refs,lfs,annex} "$git_dir"/{refs,objects}/*
      fi
    )
  done < <(modules)
}

strip_repository() {
  strip_objects
  strip_contents
  strip_modules
}

git_dir=$(cd -- "$git_dir" && pwd)
cd -- "$(git rev-parse --show-toplevel)"
strip_repository
printf '%s\n' "$head"
