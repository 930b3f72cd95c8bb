#!/bin/bash
# Runs once inside a container of the base image, without a network, and turns it into the image of one SWE-bench instance.
# Everything it needs lies in /build: the source archive, the wheels, and settings.sh (written by `make-swebench-images.sh`):
#   REQUIREMENTS  what is installed first
#   INSTALL       arguments of the `pip install` that installs the repository
# and undo.patch, what is taken back from the source (empty for a release before the fix).
set -euo pipefail
. /build/settings.sh

# The repository: an empty commit first (the harness runs `git show`, which would print a whole one-commit history).
mkdir /testbed
tar -xf /build/source.tar --strip-components=1 --no-same-owner -C /testbed
cd /testbed
[ ! -s /build/undo.patch ] || git apply --reverse /build/undo.patch
rm -rf PKG-INFO ./*.egg-info src/*.egg-info
export GIT_AUTHOR_NAME=swe-srl GIT_AUTHOR_EMAIL=swe-srl@localhost GIT_AUTHOR_DATE='2000-01-01T00:00:00Z'
export GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE
git -c init.defaultBranch=main init --quiet
printf '%s\n' '*.egg-info/' '__pycache__/' '.pytest_cache/' build/ >>.git/info/exclude
git commit --quiet --allow-empty --message 'An empty beginning'
git add --all --force
git commit --quiet --message 'The code before the fix'
rm -rf .git/logs .git/hooks .git/COMMIT_EDITMSG

# The environment: a venv where the harness's scripts expect conda's, and an `activate` that knows just that.
prefix=/opt/miniconda3
python3 -m venv "$prefix/envs/testbed"
mkdir -p "$prefix/bin"
cat >"$prefix/bin/activate" <<'ACTIVATE'
# Stands in for conda's script: `conda activate NAME` activates the venv of that name.
conda() {
    if [ "${1:-}" = activate ]; then
        . "/opt/miniconda3/envs/${2:-testbed}/bin/activate"
    else
        echo "this stand-in for conda knows 'activate' only" >&2
        return 1
    fi
}
ACTIVATE
pip() { "$prefix/envs/testbed/bin/python" -m pip --quiet --disable-pip-version-check "$@"; }
pip install --no-index --find-links /build/packages --no-cache-dir setuptools wheel
pip install --no-index --find-links /build/packages --no-cache-dir --no-build-isolation "${REQUIREMENTS[@]}"
pip install --no-index --no-deps --no-cache-dir --no-build-isolation "${INSTALL[@]}"
# The harness installs the patched source again, without a network ("no-build-isolation = false" switches isolation off).
printf '[global]\nno-index = true\nno-build-isolation = false\ndisable-pip-version-check = true\n' >/etc/pip.conf

find /testbed -name __pycache__ -type d -prune -exec rm -rf {} +
rm -rf /build /testbed/build /tmp/* /root/.cache
git status --short # nothing; and the index now has the files' times, so that the first `git status` of a container is fast
git rev-parse HEAD # the last line: the base commit
