"""Images that are not as most are: what their authors wrote into them holds, and does not break the sandbox."""

from __future__ import annotations

import io
import secrets
import time
from collections.abc import Callable, Iterator

import pytest

from swe_srl.envs.patch import take_patch
from swe_srl.errors import SandboxError
from swe_srl.sandboxes import image_roots, make_sandbox
from swe_srl.sandboxes.container_transport import engine
from swe_srl.sandboxes.docker_sandbox import BASE_IMAGE
from swe_srl.types import SandboxSpec

pytestmark = pytest.mark.docker
KINDS = ("docker", pytest.param("local", marks=pytest.mark.sandbox))
SCRIPT = "echo noise; export ACTIVATED=yes PATH=/opt/env/bin:$PATH; set -eu; cd /opt"


@pytest.fixture
def image(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """Makes an image of lines of a Dockerfile, over the base image; it is unpacked anew, and goes at the end."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    client = engine()
    made: list[str] = []

    def build(lines: str) -> str:
        made.append(f"swe-srl-test-{secrets.token_hex(6)}:latest")
        file = io.BytesIO(f"FROM {BASE_IMAGE}\n{lines}\n".encode())
        client.images.build(fileobj=file, tag=made[-1], rm=True, network_mode="none")
        return made[-1]

    yield build
    for name in made:
        client.images.remove(name, force=True)
    client.close()
    image_roots.image_root.cache_clear()


@pytest.mark.parametrize("kind", KINDS)
def test_an_images_bash_env_gives_its_variables_and_nothing_else(kind: str, image: Callable[[str], str]) -> None:
    lines = (
        f"ENV BASH_ENV=/env.sh\nRUN mkdir -p /opt/env/bin /testbed; printf '%s' '{SCRIPT}' >/env.sh\nWORKDIR /testbed"
    )
    with make_sandbox(kind, SandboxSpec(image=image(lines))) as sandbox:
        first = sandbox.run('pwd; echo "$PWD $ACTIVATED ${PATH%%:*} $BASH_ENV"; echo "$unset"; false; echo on')
        assert first.output == "/testbed\n/testbed yes /opt/env/bin /env.sh\n\non\n" and not first.rebuilt
        assert sandbox.run("bash -c pwd").output == "noise\n/opt\n", (
            "a shell that a command starts reads it, as in any container"
        )
        sandbox.run("exit 3")
        assert sandbox.run("echo $ACTIVATED").output == "yes\n"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("script", ["exit 3", "exec true", "kill -9 $$"])
def test_an_images_bash_env_that_ends_its_shell_ends_no_session(
    script: str, kind: str, image: Callable[[str], str]
) -> None:
    lines = f"ENV BASH_ENV=/env.sh\nRUN mkdir /testbed; echo '{script}' >/env.sh"
    with make_sandbox(kind, SandboxSpec(image=image(lines))) as sandbox:
        shown = sandbox.run("pwd; echo $BASH_ENV")
        assert shown.output == "/testbed\n/env.sh\n" and not shown.rebuilt


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "lines",
    [
        "RUN rm -rf /tmp\nUSER 1000",
        "RUN chmod 755 /tmp\nUSER 1000",
        "RUN rm -rf /tmp && mkdir /var/room && ln -s /var/room /tmp\nUSER 1000",
        "RUN rm -rf /tmp && ln -s ../var/missing /tmp\nUSER 1000",
        "RUN chown 1000 /tmp && chmod 700 /tmp\nUSER 1000",
        "RUN rm -rf /tmp && mkdir /room && chown 1234 /room && ln -s /room/tmp /tmp\nUSER 1000",
    ],
)
def test_every_image_has_a_tmp_for_everybody(lines: str, kind: str, image: Callable[[str], str]) -> None:
    commit = "git -c user.name=a -c user.email=a@b commit -qm a --allow-empty"
    repository = f"RUN mkdir /testbed && cd /testbed && git init -q && {commit}"
    name = image(f"{repository} && chown -R 1000 /testbed\n{lines}")
    for _ in range(2):
        with make_sandbox(kind, SandboxSpec(image=name)) as sandbox:
            assert sandbox.run("stat -Lc %a /tmp; touch /tmp/mine && echo mine").output == "1777\nmine\n"
            sandbox.run("cd /testbed && echo x >new")
            commit = sandbox.run("git rev-parse HEAD").output.strip()
            assert "new file" in take_patch(sandbox, "/testbed", commit)
            snapshot = sandbox.snapshot()
            with sandbox.fork(snapshot) as fork:
                assert fork.run("stat -Lc %a /tmp; ls /tmp").output == "1777\nmine\n"
            snapshot.discard()


@pytest.mark.parametrize("program", ["while :; do :; done", "exec yes", "yes & sleep infinity"])
def test_a_git_that_never_ends_is_not_waited_for(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swe_srl.envs.clean.SECONDS", 3.0)
    with make_sandbox("docker", SandboxSpec(image=BASE_IMAGE, user="0:0")) as sandbox:
        sandbox.run(f"printf '#!/bin/bash\n{program}\n' >/usr/local/bin/git && chmod +x /usr/local/bin/git")
        began = time.monotonic()
        with pytest.raises(
            SandboxError, match="the patch cannot be taken: git, find or bash of the sandbox did not end"
        ):
            take_patch(sandbox, "/testbed", "0" * 40)
        assert time.monotonic() - began < 60
        assert sandbox.run("echo on").output.endswith("on\n")


def test_a_tmp_that_is_well_is_seen_without_the_images_programs(image: Callable[[str], str]) -> None:
    """One of them may never end."""
    programs = "for name in stat chmod mkdir readlink; do printf '#!/bin/bash\\necho run >>/ran\\n' >/usr/local/bin/$name; done"
    name = image(f"RUN {programs}; chmod +x /usr/local/bin/*; : >/ran; /usr/bin/chmod 666 /ran")
    with make_sandbox("docker", SandboxSpec(image=name)) as sandbox:
        assert sandbox.run("cat /ran; echo seen").output == "seen\n"


@pytest.mark.parametrize("program", ["while :; do /bin/sleep 1000; done", "while :; do echo more; done"])
def test_a_bash_that_never_ends_is_not_waited_for(
    program: str, image: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine's client waited for it without end, and kept all that it printed."""
    monkeypatch.setattr("swe_srl.sandboxes.container_tmp.SECONDS", 2.0)
    name = image(
        f"RUN printf '#!/bin/dash\\n{program}\\n' >/bin/endless && chmod 755 /bin/endless && mv /bin/endless /bin/bash"
    )
    with pytest.raises(SandboxError, match="its /bin/bash did not end within 2 seconds"):
        make_sandbox("docker", SandboxSpec(image=name))
