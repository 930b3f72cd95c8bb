# Leaves a git repository with one commit: HEAD, under its own sha, without parents, other refs, remotes, reflogs, stashes or
# unreachable objects, and without what merges, rebases and tools leave in a git directory. Does nothing when that is so already
# (a single empty commit below HEAD is allowed). A linked working tree becomes the main one. Prints HEAD's sha.
set -eu
cd -- "$repository"
head=$(git rev-parse --verify HEAD)
own=$(git rev-parse --git-dir)
git_dir=$(git rev-parse --git-common-dir)
if [[ ! $own -ef $git_dir ]]; then
  git_dir=$(cd -- "$git_dir" && pwd)
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

if ! is_stripped; then
  for remote in $(git remote); do git remote remove "$remote"; done
  git update-ref --no-deref HEAD "$head"
  git for-each-ref --format='delete %(refname)' | git update-ref --stdin --no-deref
  git update-ref refs/heads/main "$head"
  git symbolic-ref HEAD refs/heads/main
  printf '%s\n' "$head" >"$git_dir/shallow"
  rm -rf -- "$git_dir"/{logs,worktrees,rr-cache,lost-found,FETCH_HEAD,ORIG_HEAD,MERGE_HEAD,CHERRY_PICK_HEAD,REVERT_HEAD} \
    "$git_dir"/objects/info/{commit-graph,commit-graphs} "$git_dir"/objects/pack/*.{keep,promisor,bitmap} "$git_dir"/info/{refs,grafts}
  git config core.logAllRefUpdates false
  git repack -a -d -q
  rm -f -- "$git_dir/objects/info/alternates"
  git prune --expire=now
fi
# What is no object store of git's, but left by a fetch, a push or a repack that was killed: it may hold any objects.
objects=$git_dir/objects
find "$objects" -mindepth 1 -maxdepth 1 ! -name '[0-9a-f][0-9a-f]' ! -name pack ! -name info -exec rm -rf -- {} +
find "$objects" -mindepth 2 -maxdepth 2 '(' -name 'tmp_*' -o -name '.tmp-*' -o -type d ')' -exec rm -rf -- {} +
for pack in "$objects"/pack/*.pack; do
  [[ -e ${pack%.pack}.idx ]] || rm -f -- "${pack%.pack}".*
done
find "$objects/pack" -mindepth 1 ! -name '*.pack' ! -name '*.idx' ! -name '*.rev' ! -name multi-pack-index -exec rm -rf -- {} +
others=()
for name in HEAD config config.worktree description index sharedindex.'*' info objects refs packed-refs shallow hooks branches \
  modules lfs annex; do
  others+=(! -name "$name")
done
find "$git_dir" -mindepth 1 -maxdepth 1 "${others[@]}" -exec rm -rf -- {} +
printf '%s\n' "$head"
