import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trajectory_strategies import PATIENT

from swe_srl.rewards import ShellSimilarity, get_similarity, similarity_names
from swe_srl.rewards.shell.edits import edit_of
from swe_srl.rewards.shell.normal import normalise
from swe_srl.rewards.shell.parse import Redirect, parse

SHELL = ShellSimilarity()
REPLACE = """python3 - <<'PY'
from pathlib import Path

path = Path('a.py')
text = path.read_text()
old = 'x = 1'
new = 'x = 2'
assert text.count(old) == 1
text = text.replace(old, new)
path.write_text(text)
PY"""

SAME = [
    ("grep -rn --include='*.py' foo src", 'grep --include="*.py" -n -r foo ./src/'),
    ("grep --recursive --line-number foo src", "grep -rn foo src"),
    ("cd /testbed && pytest tests/test_a.py", "pytest /testbed/tests/test_a.py"),
    ("cd src && cat a.py", "cat src/a.py"),
    ("pip install -e /testbed", "cd /testbed && pip install -e ."),
    ("cat a.py | grep -n foo", "grep -n foo a.py"),
    ("head -20 a.py", "head -n 20 a.py"),
    ("python3 -m pytest -q a.py", "pytest -q a.py"),
    ("bash -c 'ls src'", "ls src"),
    ("timeout -s KILL 60 env PAGER=cat pytest a.py", "PYTHONUNBUFFERED=1 pytest a.py"),
    ("env A=1 pytest a.py", "A='1' pytest a.py"),
    ("A=1 bash -c 'pytest a.py > x'", "A=1 pytest a.py > x"),
    ("bash -c 'pytest a.py' > x", "pytest a.py > x"),
    ("bash -c \"bash -c 'ls src'\"", "ls src"),
    ("pytest -xvs a.py", "pytest -x -v -s a.py"),
    ("cd src && ls && cd - && cat a.py", "cd src && ls && cd .. && cat a.py"),
    ("cd -- src && ls", "cd src && ls"),
    ("ls >& x", "ls &> x"),
    ("python - <<E\nprint(1)\nE", "python -c 'print(1)'"),
    ("grep '$x' a.py", 'grep "\\$x" a.py'),
    ("grep 'foo$' a.py", 'grep "foo$" a.py'),
    ("cat $x/a.py", 'cat "$x"/a.py'),
    ("cat > x.sh <<'E'\necho $1 \\\\\nE", "cat > x.sh <<E\necho \\$1 \\\\\\\\\nE"),
    ("cat > x.sh <<\\E\necho $1\nE", "cat > x.sh <<'END OF IT'\necho $1\nEND OF IT"),
    ("cat > x <<-E\n\ta\n\tE", "cat > x <<E\na\nE"),
    ("cd src || exit 1; cat a.py", "cd src && cat a.py"),
    ("cd src || { echo no; exit 1; }; cat a.py", "cd src || { echo no; exit 1; }\ncat a.py"),
    ("(cd src && ls); cat a.py", "ls src; cat a.py"),
    ("sed -i -e 's/a/b/' x.py", "sed --in-place 's/a/b/' x.py"),
    ("printf 'a\\nb\\n' > x.txt", "cat > x.txt <<E\na\nb\nE"),
    ("(ls; pwd) > x", "{ ls; pwd; } > x"),
    ("git -C /testbed diff", "git diff"),
    ("sed -n '10,20p;20q' a.py", "sed -n '10,20p' a.py"),
    ("nl -ba a.py | sed -n '10,+10p; 21q'", "cat -n a.py | sed -n '10,20p'"),
    ("git -c a.b=c -C src -C lib log a.py > x", "cd src/lib && git -c a.b=c log a.py > ../../x"),
    ("make -C docs html", "cd docs && make html"),
    ("head -n 30 a.py | tail -n +20", "sed -n '20,30p' a.py"),
    ("head -30 a.py | tail -11", "cat a.py | sed -n '20,30p'"),
    ("cat a.py | head -30 | tail -11 | grep x", "sed -n '20,30p' a.py | grep x"),
    ("tail -n +20 a.py | head -n 11", "sed -n 20,30p a.py"),
    ("awk 'NR>=20 && NR<=30' a.py", "awk 'NR==20,NR==30 {print $0}' a.py"),
    ("awk 'NR == 20 { print }' a.py", "sed -n 20p a.py"),
    ("ls |& head", "ls 2>&1 | head"),
    ("echo a > x.txt", "cat > x.txt <<'EOF'\na\nEOF"),
    ("cat <<EOF > x.py\na\nb\nEOF", "cat > x.py <<'END'\na\nb\nEND"),
    ("sed -i 's/x = 1/x = 2/' a.py", REPLACE),
    ("sed -i 's|a/b|c|' a.py", "sed -i 's/a\\/b/c/' a.py"),
    ("find . -name '*.py' -type f", 'find -type f -name "*.py"'),
    ("ls", "ls ."),
    ("cat   a.py", "cat a.py"),
    ("egrep foo a.py", "grep -E foo a.py"),
]
WRITE = "p = 'a.py'\nt = open(p).read()\nopen(p, 'w').write(t.replace('x = 1', 'x = 2'))"
DIFFERENT = [  # commands that look alike, of other effects
    ("sed -i 's/a/b/' x.py", "sed -i 's/a/b/g' x.py"),
    ("sed -i 's/a.b/c/' x.py", "sed -i 's/a\\.b/c/' x.py"),
    ("sed -i 's/a+/c/' x.py", "sed -i -E 's/a+/c/' x.py"),
    ("sed -i 's/a/b/' x.py", "sed -i -n 's/a/b/' x.py"),
    ("sed -i 's/a/b/' x.py", "sed -i.bak 's/a/b/' x.py"),
    ("sed -i 's/a/b/' x.py", "sed -i '3s/a/b/' x.py"),
    ("cat > x.sh <<'E'\necho $1\nE", "cat > x.sh <<E\necho $1\nE"),
    ("bash <<< '$x'", 'bash <<< "$x"'),
    ("grep '$x' a.py", 'grep "$x" a.py'),
    ("grep '`x`' a.py", 'grep "`x`" a.py'),
    ("rm *.py", "rm '*.py'"),
    ("rm {a,b}.py", "rm '{a,b}.py'"),
    ("rm $x", "rm '$x'"),
    ("! ls src", "ls src"),
    ("cd a || ls", "cd a; ls"),
    ("cd a || ls", "cd a && ls"),
    ("test -e a && ls", "test -e a || ls"),
    ("make && git add a", "make; git add a"),
    ("python server.py &", "python server.py"),
    ("A=1 pytest", "A=2 pytest"),
    ("env A=1 pytest", "pytest"),
    ("env -i pytest", "pytest"),
    ("x=1", "x=2"),
    ("ls > /dev/null", "ls"),
    ("(cat a; cat b) > c", "cat a; cat b > c"),
    ("(cd src); cat a.py", "cd src; cat a.py"),
    ("printf a > x.txt", "echo a > x.txt"),
    ("echo -n a > x.txt", "echo a > x.txt"),
    ("echo -e 'a\\n' > x.txt", "echo 'a\\n' > x.txt"),
    (f'python -c "{WRITE}"', f'python -c "{WRITE.replace("t.replace", "u.replace")}"'),
    (f"python <<'E'\n{WRITE}\nE", f"python <<'E'\n{WRITE.replace('t.replace', 't.lower().replace')}\nE"),
    ("ls || { cat a; cat b; }", "ls; cat a; cat b"),
    ("head -n 30 a.py | tail -n +20", "sed -n '20,31p' a.py"),
    ("git -C src diff", "git diff"),
    ("sed -n '10,20p;15q' a.py", "sed -n '10,20p' a.py"),
    ("sed '10,20p;20q' a.py", "sed '10,20p' a.py"),
    ("git commit -C HEAD", "git commit"),
    ("head -n 10 a.py | tail -n +20", "sed -n '20,10p' a.py"),
    ("cat -n a.py | head -30 | tail -11", "sed -n '20,30p' a.py"),
    ("awk 'NR>=20 || NR<=30' a.py", "sed -n '20,30p' a.py"),
    ("head -c 30 a.py | tail -n +2", "sed -n '2,30p' a.py"),
    ("LC_ALL=C sort a.py", "sort a.py"),
]
WORSE = [  # target, an equivalent or near command, a command of another effect that looks alike
    ("cd /testbed && pip install -e .", "pip install -e /testbed", "cd /testbed && python reproduce.py"),
    ("cat src/a/fields.py", "cat ./src/a/fields.py", "cat src/a/schema.py"),
    ("ls -la /testbed/src", "ls -al src", "rm -rf /testbed/src"),
    ("cat setup.py && ls -la", "ls -la && cat setup.py", "cat setup.cfg && ls -la"),
    ("grep -n foo a.py", "cat a.py | grep -n foo", "grep -n foo b.py"),
    ("sed -n '1,20p' a.py", "head -20 a.py", "sed -n '41,60p' a.py"),
    ("sed -i 's/foo/bar/' a.py", "sed -i 's|foo|bar|' a.py", "sed -i 's/foo/bar/' b.py"),
    ("find . -name '*.py'", 'find -name "*.py"', "find . -name '*.txt'"),
    ("cat a.py", "cat 'a.py'", "cat a.py > b.py"),
    ("cat a.py", "cat ./a.py", "rm -f b.py; cat a.py"),
    ("git diff", "git --no-pager diff", "git stash"),
    ("pytest tests/test_a.py -k foo", "python -m pytest -k foo tests/test_a.py", "pytest tests/test_a.py -k bar"),
]


@pytest.mark.parametrize(("first", "second"), DIFFERENT)
def test_commands_of_other_effects_score_less(first, second):
    assert 0.0 <= SHELL(first, second).value < 0.99
    assert 0.0 <= SHELL(second, first).value < 0.99


def test_a_program_that_reads_a_name_that_nothing_sets_is_worth_little():
    broken = WRITE.replace("t.replace", "u.replace")
    assert SHELL(f"python <<'E'\n{broken}\nE", f"python <<'E'\n{WRITE}\nE").value < 0.4


@pytest.mark.parametrize(("first", "second"), SAME)
def test_commands_of_equal_effect_score_one(first, second):
    assert SHELL(first, second).value == pytest.approx(1.0)
    assert SHELL(second, first).value == pytest.approx(1.0)


@pytest.mark.parametrize(("target", "better", "worse"), WORSE)
def test_the_equivalent_command_is_above_the_one_that_only_looks_alike(target, better, worse):
    assert SHELL(better, target).value >= 0.9
    assert SHELL(worse, target).value <= 0.6


def test_shown_lines_count_by_their_overlap():
    values = [SHELL(f"sed -n '{first},{first + 19}p' a.py", "sed -n '1,20p' a.py").value for first in (1, 6, 16, 41)]
    assert values == sorted(values, reverse=True)
    assert values[0] == 1.0
    assert values[-1] < 0.5


@pytest.mark.parametrize(
    ("first", "second", "value"),
    [
        ("sed -n '5,3p' f", "sed -n '4,3p' f", 0.37),  # lines 5 and 4
        ("sed -n '5,3p' f", "sed -n '5p' f", 1.0),
        ("sed -n '1,0p' f", "head -n 0 f", 0.37),  # line 1, and none
        ("head -n 0 f", "head -n 0 g", 0.2),
        ("head -n 0 f", "head -n 1 f", 0.4),
        ("sed -n '5,$p' f", "sed -n '7,$p' f", 0.62),
    ],
)
def test_few_and_no_lines_have_an_overlap_too(first, second, value):
    assert SHELL(first, second).value == pytest.approx(value, abs=0.1)
    assert SHELL(second, first).value == pytest.approx(value, abs=0.1)


def test_a_file_named_like_the_parsers_own_is_a_file():
    (unit,) = normalise("cat - < /dev/here-document/0 <<E\nx\nE", "/r")
    assert (unit.stages[0].body, unit.stages[0].operands) == ("x\n", ("-", "/dev/here-document/0"))


def test_what_is_no_bash_says_so_and_is_worth_little():
    score = SHELL("(cat a.py", "cat a.py")
    assert "the predicted command was not parsed" in score.parts["method"]
    assert 0.0 < score.value <= 0.3
    score = SHELL("cat a.py", "(cat a.py")
    assert score.parts["method"] == "sequence: the target command was not parsed"
    assert score.value > 0.9


@settings(PATIENT, max_examples=300)
@given(st.text(st.sampled_from("catlsgrep -/.'\"|&;<>(){}$`\\\n=ab*#"), max_size=60), st.text(max_size=20))
def test_any_text_gets_a_score(first, second):
    for predicted, target in ((first, second), (second, first), (first, first)):
        assert 0.0 <= SHELL(predicted, target).value <= 1.0
    assert SHELL(first, first).value == 1.0


PROGRAM_LIKE = [
    "cat",
    "head -n",
    "sed -n",
    "sed -i",
    "python -c",
    "echo",
    "cd",
    "bash -c",
    "test",
    "[",
    "]",
    "env",
    "git",
    "x=1",
    "f()",
    "if",
    "then",
    "fi",
]
WORD_LIKE = [
    *["f", "²", "٣", "0", "'5,3p'", "1,0p", "'s/a/b/'", "'$p'", "-", "--"],
    "5" * 30,
    '\'open("f").write("\\ud800")\'',
    "\ud800",
    "\0",
]
REDIRECT_LIKE = ["<", ">", ">&", "2>&1", "<<E", "<<<", "/dev/here-document/0", "/dev/here-document/x", "/dev/null"]
JOINT_LIKE = [*["{", "}", "(", ")", ";", "&", "&&", "|", "||", "!"], "# c\n", "\n", "\nE\n"]
SHELL_LIKE = st.lists(st.sampled_from([*PROGRAM_LIKE, *WORD_LIKE, *REDIRECT_LIKE, *JOINT_LIKE]), max_size=9).map(
    " ".join
)


@pytest.mark.parametrize("name", similarity_names())
@settings(PATIENT, max_examples=100)
@given(st.text(max_size=20) | SHELL_LIKE, SHELL_LIKE)
@example("cat < /dev/here-document/99", "cat f")
@example("cat < /dev/here-document/x", "cat f")
@example("{ # c\n} > f", "cat f")
@example("head -n ² f", "head -n 3 f")
@example(f"head -n {'5' * 5000} f", "head -n 3 f")
@example(f"sed -n '{'5' * 5000}p' f", "head -n 3 f")
@example("sed -n '5,3p' f", "sed -n '4,3p' f")
@example("sed -n '1,0p' f", "head -n 0 f")
def test_no_text_of_a_model_raises(name, first, second):
    similarity = get_similarity(name)
    for predicted, target in ((first, second), (second, first)):
        assert 0.0 <= similarity(predicted, target).value <= 1.0


COMMANDS = st.lists(
    st.sampled_from(
        ["cat a.py", "grep -rn 'x y' src", "ls -la", "pytest -x tests", "cd src", "sed -i 's/a/b/' c.py", REPLACE]
    ),
    min_size=1,
    max_size=3,
).map("\n".join)


@PATIENT
@given(COMMANDS, COMMANDS)
def test_commands_are_alike_from_both_sides(first, second):
    assert SHELL(first, second).value == pytest.approx(SHELL(second, first).value, abs=0.45)
    assert SHELL(first, f"cd /testbed; {first}").value == pytest.approx(1.0)


PATCH = "<<'E'\n--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-a\n+b\nE"
INSERT = "patch -p1 <<'E'\n--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,3 @@\n {}\n+b\nE"
TWICE = """python - <<'E'
p = 'a.py'
s = open(p).read()
s = s.replace('the first long line', 'the second long line').replace('abc', '{}')
open(p, 'w').write(s)
E"""
LINE = """python - <<'E'
lines = open('a.py').readlines()
lines[{}] = 'the first long line'
open('a.py', 'w').writelines(lines)
E"""


@pytest.mark.parametrize(
    ("first", "second", "most"),
    [
        ("python -c \"open('a.py', 'a').write('x = 1')\"", "python -c \"open('a.py', 'w').write('x = 1')\"", 0.7),
        (TWICE.format("xyz"), TWICE.format("def"), 0.8),
        (LINE.format(10), LINE.format(200), 0.8),
        (f"patch -p1 -R {PATCH}", f"patch -p1 {PATCH}", 0.5),
        (f"git apply --check {PATCH}", f"git apply {PATCH}", 0.7),
        (INSERT.format("def f():"), INSERT.format("def g():"), 0.8),
        ("python b.py", "python - <<E\nopen('a.py', 'w').write('x = 1')\nE", 0.15),
        ("cat -n > a.py <<E\nx\nE", "cat > a.py <<E\nx\nE", 0.7),
        ("cat b.py > a.py <<E\nx\nE", "cat > a.py <<E\nx\nE", 0.7),
        (
            "python b.py <<E\nopen('a.py', 'w').write('x = 1')\nE",
            "python - <<E\nopen('a.py', 'w').write('x = 1')\nE",
            0.7,
        ),
    ],
)
def test_edits_that_differ_beside_their_longest_texts_score_less(first, second, most):
    assert SHELL(first, second).value <= most >= SHELL(second, first).value


@pytest.mark.parametrize(
    "command",
    [
        "bash -c 'cat a.py' > b.py",
        "A=1 bash -c 'cat a.py'",
        "cd . > setup.py; cat a.py",
        "cd src & cat src/a.py",
        "cd $(rm -rf src); cat /testbed/a.py",
        "cat a.py >& setup.py",
        "cat a.py 2> setup.py",
        "cat a.py; true | exit; rm -rf src",
        "cat a.py; exit & rm -rf src",
        "cat a.py; exec 2>&1; rm -rf src",
        "cat a.py; { false & } && rm -rf src",
        "false || ls; bash -c 'true  || rm -rf src; rm -rf src'; cat a.py",
    ],
)
def test_what_a_command_does_beside_its_target_is_not_hidden(command):
    assert SHELL(command, "cat a.py").value <= 0.7


@pytest.mark.parametrize(
    "command",
    [
        "(exit);" * 2857,
        "cat <<A\n" * 2500,
        "<<A " * 2500 + "\n" + "b\n" * 5000,
        "a;" * 9900,
        "a|" * 9900 + "a",
        "a&&{ " * 300 + "a" + ";}" * 300,
        "cd a;" * 3900,
        "bash -c 'a';" * 1600,
        "\0" * 20_000,
        "a `" * 6000,
    ],
    ids=lambda command: command[:12].encode("unicode_escape").decode(),
)
def test_no_command_takes_long(command):
    start = time.process_time()
    SHELL(command[:20_000], "cat > a.py <<'E'\n" + "x = foo(1, 2)\n" * 50 + "E")
    assert time.process_time() - start < 1.0


def test_a_long_command_takes_little_time():
    command = "\n".join(f"grep -n 'word {number}' file_{number}.py" for number in range(400))
    start = time.process_time()
    SHELL(command, command.replace("word", "words"))
    SHELL(command * 3, command)
    assert time.process_time() - start < 15


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("echo 'a b' \"c $X\" d\\ e", ("echo", "a b", "c $X", "d e")),
        ('echo "a\\"b\\\\n"', ("echo", 'a"b\\n')),
        ("grep --include='*.py' $(ls)", ("grep", "--include=*.py", "$(ls)")),
        ("FOO=1 python a.py", ("python", "a.py")),
    ],
)
def test_words_lose_their_quotes(command, words):
    (pipeline,) = parse(command)
    assert pipeline.stages[0].words == words


def test_here_documents_are_taken_whole():
    command = "python3 - <<'PY' 2>&1 | head -5 && ls\nprint(1 << 2)\n$(x)\nPY\ncat b"
    first, second, third = parse(command)
    assert first.stages[0].body == "print(1 << 2)\n$(x)\n"
    assert first.stages[0].redirects == (Redirect(">&", "1", "2"),)
    assert [stage.words[0] for stage in first.stages] == ["python3", "head"]
    assert (second.connector, second.stages[0].words, third.stages[0].words) == ("&&", ("ls",), ("cat", "b"))


def test_dead_code_does_not_count():
    assert normalise("true || cat a.py", "/r") == normalise("true", "/r")
    assert normalise("false && cat a.py", "/r") == normalise("false", "/r")
    assert normalise("exit 0; cat a.py", "/r") == normalise("exit 0", "/r")
    assert len(normalise("true && cat a.py", "/r")) == 2
    assert normalise("true || { ls; cat a.py; }", "/r") == normalise("true", "/r")
    assert normalise("false || { echo; exit; }; cat a.py", "/r") == normalise("false || { echo; exit; }", "/r")
    assert normalise("(exit 1; cat a.py); cat b.py", "/r") == normalise("(exit 1); cat b.py", "/r")
    assert len(normalise("ls || exit; cat a.py", "/r")) == 3


def test_edits_are_understood_whatever_tool_makes_them():
    patch = "--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-a\n+b\n"
    found = edit_of("git apply", {}, "", (), (), patch)
    assert (found.files, found.old, found.new) == (("x.py",), "a", "b")
    assert edit_of("cat", {}, "", ("x.py",), (), "") is None
    assert edit_of("python", {}, "print(open('a.py').read())", (), (), "") is None


TARGETS = [
    "cat src/app/fields.py",
    "grep -rn 'def parse' src",
    "sed -i 's/x = 1/x = 2/' src/app/fields.py",
    REPLACE,
    "python -m pytest tests/test_fields.py -q",
    "cat > repro.py <<'EOF'\nfrom app import fields\nprint(fields.parse('x'))\nEOF",
    "find . -name '*.py' | xargs grep -l parse",
    "git diff",
]
ISSUE = "When fields.parse gets an empty text it raises IndexError in src/app/fields.py, run python -m pytest tests"
EXPLOITS = {
    "nothing": lambda target: "",
    "a comment": lambda target: f"# {target}",
    "true": lambda target: "true",
    "said, not done": lambda target: f"echo {target!r}",
    "dead code": lambda target: f"true || {target}",
    "more dead code": lambda target: f"exit 0\n{target}",
    "never called": lambda target: f"f() {{\n{target}\n}}",
    "a condition that fails": lambda target: f"if false; then\n{target}\nfi",
    "quoted": lambda target: f": <<'NEVER'\n{target}\nNEVER",
    "a listing": lambda target: "ls src/app",
    "the context": lambda target: ISSUE,
    "the context, said": lambda target: f"echo '{ISSUE}'",
    "a hundred commands": lambda target: "; ".join(
        [f"cat src/file_{number}.py" for number in range(100)] + [target.split("\n")[0]]
    ),
    "every option": lambda target: "grep -abcdefghijklmnopqrstuvwxyz src tests docs setup.py fields.py",
    "the target's words": lambda target: "ls " + " ".join(sorted(set(target.split())))[:200],
}


@pytest.mark.parametrize("name", EXPLOITS)
@pytest.mark.parametrize("target", TARGETS, ids=range(len(TARGETS)))
def test_known_exploits_do_not_score(name, target):
    assert get_similarity("shell")(EXPLOITS[name](target), target).value <= 0.35


PIECES = st.sampled_from(
    [
        "true",
        "echo x",
        "ls",
        "ls src",
        "pwd",
        "cd src",
        "git status",
        "cat README.md",
        "python a.py",
        "sleep 1",
        ": x",
        "#",
        "cat src/app/__init__.py",
        "grep -r x .",
        "find .",
        "echo 'cat src/app/fields.py'",
        "export A=1",
        "if true",
        ")",
    ]
)


@settings(PATIENT, max_examples=300)
@given(st.lists(PIECES, min_size=1, max_size=6), st.sampled_from(["; ", " && ", " | ", "\n", " || "]))
def test_no_mix_of_common_commands_scores_on_all_targets(pieces, joint):
    """A policy that ignores its context must not live off the reward."""
    similarity = get_similarity("shell")
    scores = [similarity(joint.join(pieces), target).value for target in TARGETS]
    assert sum(scores) / len(scores) <= 0.15


def test_characters_beyond_the_scanners_table_are_read_as_they_are():
    (unit,) = normalise("grep 'é𩯠中' 日本.txt | head", "/r")
    assert (unit.stages[0].pattern, unit.stages[0].operands) == ("é𩯠中", ("日本.txt",))
    wild = "\U0002bbe0\xb82\x08{\U000f71a8\U000eea63\xc2k:\U000d6963"
    assert all(0.0 <= SHELL(wild, target).value <= 1.0 for target in (wild, "ls") for _ in range(50))
    many = "".join(chr(0x4E00 + i) for i in range(100))
    assert SHELL(f"cat {many}", f"cat {many}").value == 1.0


NUMBERED = "cat -n src/a.py | sed -n '100,200p'"


@pytest.mark.parametrize(
    ("predicted", "target", "low", "high"),
    [  # found among the commands of recorded trajectories, where the value was plainly wrong
        ("nl -ba src/a.py | sed -n '100,200p'", NUMBERED, 1.0, 1.0),
        ("sed -n '100,200p' src/a.py", NUMBERED, 0.9, 0.95),
        ("cat -n src/a.py | sed -n '170,200p'", NUMBERED, 0.4, 0.6),
        ("cat -n src/a.py | sed -n '300,400p'", NUMBERED, 0.2, 0.4),
        ("cat -n docs/b.md | sed -n '100,200p'", NUMBERED, 0.0, 0.2),
        ("cat -n docs/b.md | sed -n '500,550p'", NUMBERED, 0.0, 0.2),
        ("nl src/a.py | sed -n '100,200p'", NUMBERED, 0.1, 0.9),  # numbers no blank lines
        ("pytest --version", "pytest", 0.0, 0.2),
        ("git checkout src/b.py", "git checkout src/a.py", 0.0, 0.35),
        ("find . -type f -name '*.py'", "find . -name '*.py'", 0.9, 0.99),
        ("find . -name b.txt", "find . -name a.py", 0.0, 0.6),
        ("find . ! -name a.py", "find . -name a.py", 0.0, 0.6),
        ("find . -type d -name a", "find . -type f -name a", 0.0, 0.7),
    ],
)
def test_what_recorded_commands_showed(predicted: str, target: str, low: float, high: float) -> None:
    assert low <= SHELL(predicted, target).value <= high
