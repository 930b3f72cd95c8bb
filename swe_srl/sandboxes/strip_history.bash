# Leaves a git repository with one commit: HEAD, under its own sha, without parents, other refs, remotes, reflogs, stashes or
# unreachable objects. Does nothing when that is so already (a single empty commit below HEAD is allowed). Prints HEAD's sha.
set -eu
cd -- "$repository"
head=$(git rev-parse --verify HEAD)
git_dir=$(git rev-parse --git-dir)

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
    "$git_dir"/objects/info/{commit-graph,commit-graphs} "$git_dir"/objects/pack/*.{keep,promisor,bitmap} "$git_dir/info/refs"
  git config core.logAllRefUpdates false
  git repack -a -d -q
  rm -f -- "$git_dir/objects/info/alternates"
  git prune --expire=now
fi
printf '%s\n' "$head"
